"""Light along rays, by the native library: filtered texture, one shadowed lamp, light from all around, gloss.

The structs mirror native/worlds/shade.cpp, whose numpy twin is `shade_reference`.
"""

from __future__ import annotations

from ctypes import c_float, c_int32, c_int64
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from gs_stereo.native.library import Library, Struct, array_of
from gs_stereo.worlds.pairs import world as worlds
from gs_stereo.worlds.raycast import RayHits

BYTE_TO_LIGHT = (np.arange(256, dtype=np.float32) / 255) ** np.float32(2.2)
"""Linear light of a texel's byte."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Footprint:
    """How the direction of a ray changes from one sample to the next, right and down."""

    right: Float32[np.ndarray, "3"]
    down: Float32[np.ndarray, "3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Shaded:
    """Linear RGB, and whether the lamp reaches the surface."""

    light: Float32[np.ndarray, "n 3"]
    lit: Bool[np.ndarray, "n"]


class World(Struct):
    """The tables of a world, its light, and how the direction of a ray changes from sample to sample."""

    _fields_ = (
        ("corner_uv", array_of("f4", 2, "triangles")), ("steps_uv", array_of("f4", 4, "triangles")),
        ("slope", array_of("f4", 6, "triangles")), ("normal", array_of("f4", 3, "triangles")),
        ("corner_normals", array_of("f4", 9, "triangles")), ("material", array_of("f4", 5, "pieces")),
        ("piece", array_of("i4", "triangles")), ("triangles", c_int64), ("pieces", c_int64),
        ("texels", array_of("u1", "rows", "columns", 3)), ("rows", c_int64), ("columns", c_int64),
        ("starts", array_of("f4", 2, "boxes")), ("linear", array_of("f4", 256)),
        ("tiles", c_int32), ("levels", c_int32), ("boxes", c_int32), ("side", c_int32), ("far", c_int32),
        ("place", c_float * 3), ("lamp", c_float * 3), ("sky", c_float * 3), ("floor", c_float * 3),
        ("reach", c_float), ("right", c_float * 3), ("down", c_float * 3),
    )  # fmt: skip


class Rays(Struct):
    """Rays and their hits, and what the two passes write."""

    _fields_ = (
        ("count", c_int64), ("shadows", c_int64), ("rays", array_of("f4", "count", 6)), ("t", array_of("f4", "count")),
        ("uv", array_of("f4", "count", 2)), ("triangle", array_of("i4", "count")),
        ("light", array_of("f4", "count", 3)), ("normal", array_of("f4", "count", 3)),
        ("shadow_rays", array_of("f4", "count", 6)), ("reached", array_of("?", "count")),
        ("shadow_of", array_of("i8", "count")),
    )  # fmt: skip


LIBRARY = Library(name="worlds", functions={"gs_surfaces": (World, Rays), "gs_light": (World, Rays)})


def shade(world: worlds.World, rays: Float32[np.ndarray, "n 6"], hits: RayHits, footprint: Footprint) -> Shaded:
    """Light that comes along each ray from what it hits. InputError if a ray hits nothing."""
    count = len(rays)
    shaded = Shaded(light=np.empty((count, 3), np.float32), lit=np.empty(count, bool))
    shadow_rays, shadow_of = np.empty((count, 6), np.float32), np.empty(count, np.int64)
    where = _packed_world(world, footprint)
    what = Rays(
        count=count, rays=rays, t=hits.t, uv=hits.uv, triangle=hits.triangle, light=shaded.light,
        normal=np.empty((count, 3), np.float32), shadow_rays=shadow_rays, reached=shaded.lit, shadow_of=shadow_of,
    )  # fmt: skip
    LIBRARY.call("gs_surfaces", where, what)
    tested = shadow_of[: what.shadows]
    shaded.lit[tested] = ~world.caster.blocked(shadow_rays[: what.shadows], 0.0, 0.999)
    LIBRARY.call("gs_light", where, what)
    return shaded


def _packed_world(world: worlds.World, footprint: Footprint) -> World:
    tiles, light = world.tiles, world.light
    rows, columns, _ = tiles.texels.shape
    levels = tiles.layout.levels
    return World(
        corner_uv=world.corner_uv, steps_uv=world.steps_uv, slope=world.slope, normal=world.normal,
        corner_normals=world.corner_normals, material=world.material, piece=world.piece,
        triangles=len(world.piece), pieces=world.material.shape[1], texels=tiles.texels, rows=rows, columns=columns,
        starts=tiles.starts, linear=BYTE_TO_LIGHT, tiles=len(tiles.origins), levels=levels,
        boxes=len(tiles.origins) * levels, side=tiles.layout.side, far=light.far, place=light.place, lamp=light.lamp,
        sky=light.sky, floor=light.floor, reach=light.reach_m, right=footprint.right, down=footprint.down,
    )  # fmt: skip
