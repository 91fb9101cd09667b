"""Light along rays, by the native library: filtered texture, one shadowed lamp, light from all around, gloss.

The structs mirror native/worlds/shade.cpp, whose numpy twin is `shade_reference`.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_float, c_int32, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float32

from gs_stereo.native.library import FOLDER, open_library
from gs_stereo.worlds.pairs.world import World
from gs_stereo.worlds.raycast import RayHits

LIBRARY = FOLDER / "libgsshade.so"
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


class _World(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("corner_uv", "steps_uv", "slope", "normal", "corner_normals", "material")),
        ("piece", c_void_p), ("triangles", c_int64), ("pieces", c_int64), ("texels", c_void_p), ("row_bytes", c_int64),
        ("starts", c_void_p), ("linear", c_void_p),
        ("tiles", c_int32), ("levels", c_int32), ("side", c_int32), ("far", c_int32),
        ("place", c_float * 3), ("lamp", c_float * 3), ("sky", c_float * 3), ("floor", c_float * 3),
        ("reach", c_float), ("right", c_float * 3), ("down", c_float * 3),
    )  # fmt: skip


class _Hits(ctypes.Structure):
    _fields_ = (
        ("rays", c_void_p), ("t", c_void_p), ("uv", c_void_p), ("triangle", c_void_p), ("count", c_int64),
    )  # fmt: skip


def shade(world: World, rays: Float32[np.ndarray, "n 6"], hits: RayHits, footprint: Footprint) -> Shaded:
    """Light that comes along each ray from what it hits; rays must hit something."""
    library, count = load_library(), len(rays)
    packed, where = _packed_world(world, footprint), _packed_hits(rays, hits)
    light, normal = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
    lit = np.empty(count, bool)
    shadow_rays, shadow_of = np.empty((count, 6), np.float32), np.empty(count, np.int64)
    shadows = library.gs_surfaces(
        packed, where, _pointer(light), _pointer(normal), _pointer(lit), _pointer(shadow_rays), _pointer(shadow_of)
    )
    lit[shadow_of[:shadows]] = ~world.caster.blocked(shadow_rays[:shadows], 0.0, 0.999)
    library.gs_light(packed, where, _pointer(normal), _pointer(lit), _pointer(light))
    return Shaded(light=light, lit=lit)


@cache
def load_library() -> ctypes.CDLL:
    """The built library; PluginError if it is not there."""
    library = open_library(LIBRARY)
    world, hits, pointer = POINTER(_World), POINTER(_Hits), c_void_p
    library.gs_surfaces.argtypes = [world, hits, pointer, pointer, pointer, pointer, pointer]
    library.gs_surfaces.restype = c_int64
    library.gs_light.argtypes = [world, hits, pointer, pointer, pointer]
    library.gs_light.restype = None
    return library


def _packed_world(world: World, footprint: Footprint) -> _World:
    """Points into the arrays of `world`, which must outlive it."""
    tiles, light = world.tiles, world.light
    tables = ("corner_uv", "steps_uv", "slope", "normal", "corner_normals", "material", "piece")
    packed = _World(
        **{name: _pointer(getattr(world, name)) for name in tables},
        triangles=len(world.piece), pieces=world.material.shape[1],
        texels=_pointer(tiles.texels), row_bytes=tiles.texels.strides[0],
        starts=_pointer(tiles.starts), linear=_pointer(BYTE_TO_LIGHT),
        tiles=len(tiles.origins), levels=tiles.layout.levels, side=tiles.layout.side,
        far=light.far, reach=light.reach_m,
    )  # fmt: skip
    for name in ("place", "lamp", "sky", "floor"):
        getattr(packed, name)[:] = getattr(light, name)
    packed.right[:], packed.down[:] = footprint.right.tolist(), footprint.down.tolist()
    return packed


def _packed_hits(rays: np.ndarray, hits: RayHits) -> _Hits:
    assert (hits.triangle >= 0).all(), "every scene is closed"
    return _Hits(
        rays=_pointer(rays), t=_pointer(hits.t), uv=_pointer(hits.uv), triangle=_pointer(hits.triangle), count=len(rays)
    )


def _pointer(array: np.ndarray) -> int:
    assert array.flags.c_contiguous, "the library takes contiguous arrays"
    return array.ctypes.data
