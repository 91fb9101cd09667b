"""The shading of training pairs in numpy: the twin of native/worlds/shade.cpp.

Filtered texture, one shadowed lamp, sky and floor light, highlights, a blurred reflection of sky and floor. Arrays have
one row for each component, so that numpy works on long contiguous rows.
"""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from gs_stereo.worlds.light.lamp import BYTE_TO_LIGHT, LampLight, Light
from gs_stereo.worlds.raycast import RayHits, Rays
from gs_stereo.worlds.textures.tiles import Tiles
from gs_stereo.worlds.world import Shaded, World

_AT_ONCE = 1 << 15
_PROBES = 4
_LIFT = 1e-3
_LOOKUP_WIDTH = 4096


def shade_by_numpy(world: World, rays: Rays, hits: RayHits) -> Shaded:
    """What `LampLight.shade` gives, up to rounding."""
    count = len(rays.rows)
    light, lit = np.empty((count, 3), np.float32), np.empty(count, bool)
    for start in range(0, count, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        chosen = RayHits(t=hits.t[part], triangle=hits.triangle[part], uv=hits.uv[part])
        light[part], lit[part] = _shade_block(world, rays.rows[part], chosen, rays)
    return Shaded(light=light, lit=lit)


def _shade_block(world: World, rows: np.ndarray, hits: RayHits, rays: Rays) -> tuple[np.ndarray, np.ndarray]:
    lamp = cast(LampLight, world.light)
    triangle = hits.triangle
    way = np.ascontiguousarray(rows[:, 3:].T)
    point = np.ascontiguousarray(rows[:, :3].T) + hits.t * way
    face = lamp.normal[:, triangle]
    facing = _dot(face, way)
    colour = _texture(lamp, hits, way, face, facing, rays)
    material = lamp.material[:, lamp.piece[triangle]]
    normal = _shading_normal(lamp, hits, face, facing)
    to_lamp, distance = _to_lamp(lamp.light, point)
    cosine = np.maximum(_dot(normal, to_lamp), 0)
    lit = _reached(world, point, face * -np.sign(facing), to_lamp, distance, cosine)
    view = way / np.sqrt(_dot(way, way))
    strength = lit / (1 + (distance / np.float32(lamp.light.reach_m)) ** 2) if not lamp.light.far else lit
    light = colour * _matt(lamp.light, normal, cosine * strength)
    light += _gloss(lamp.light, normal, view, to_lamp, strength, material)
    glows = material[4] > 0
    light[:, glows] = colour[:, glows]
    return light.T, lit | glows


def lookup(tiles: Tiles, tile: np.ndarray, u: np.ndarray, v: np.ndarray, level: np.ndarray) -> UInt8[np.ndarray, "n 3"]:
    """Bilinear lookup at (u, v) in repeats of the texture, on whole mip levels."""
    side = np.float32(tiles.layout.side) / (1 << level).astype(np.float32)
    start = tiles.starts[:, tile * tiles.layout.levels + level]
    x, y = _reflected(u) * side + start[0], _reflected(v) * side + start[1]
    count = len(x)
    if count == 0:
        return np.empty((0, 3), np.uint8)
    wide = min(_LOOKUP_WIDTH, count)
    if pad := -count % wide:
        x, y = (np.concatenate([axis, np.zeros(pad, np.float32)]) for axis in (x, y))
    x, y = x.reshape(-1, wide), y.reshape(-1, wide)
    return np.asarray(cv2.remap(tiles.texels, x, y, cv2.INTER_LINEAR)).reshape(-1, 3)[:count]


def _reflected(u: np.ndarray) -> np.ndarray:
    """Position in [0, 1] of a texture that is repeated by reflection."""
    return np.abs(u - np.float32(2) * np.rint(u * np.float32(0.5)))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _shading_normal(lamp: LampLight, hits: RayHits, face: np.ndarray, facing: np.ndarray) -> Float32[np.ndarray, "3 n"]:
    """Interpolated, on the viewer's side of the surface."""
    corners = lamp.corner_normals[:, hits.triangle]
    normal = corners[:3] + hits.uv[:, 0] * corners[3:6] + hits.uv[:, 1] * corners[6:]
    side = np.where((_dot(normal, face) > 0) == (facing > 0), np.float32(-1), np.float32(1))
    return normal * (side / np.maximum(np.sqrt(_dot(normal, normal)), np.float32(1e-6)))


def _texture(
    lamp: LampLight, hits: RayHits, way: np.ndarray, face: np.ndarray, facing: np.ndarray, rays: Rays
) -> Float32[np.ndarray, "3 n"]:
    """Linear colour, filtered over the ray's footprint: mip levels across, up to four probes along its long side."""
    u, v = texture_place(lamp, hits)
    right, down = texture_steps(lamp, hits, way, face, facing, rays)
    long = np.where(_squared(right) >= _squared(down), right, down)
    length = np.sqrt(_squared(long))
    area = np.abs(right[0] * down[1] - right[1] * down[0])
    short = area / np.maximum(length, np.float32(1e-9))
    width = np.maximum(short, length / _PROBES)
    stretched = length > 1.5 * width
    tile = lamp.material[0, lamp.piece[hits.triangle]].astype(np.int64)
    colour = np.empty((3, len(u)), np.float32)
    plain, probed = np.flatnonzero(~stretched), np.flatnonzero(stretched)
    even = np.sqrt(np.maximum(area[plain], np.float32(1e-12)))
    colour[:, plain] = _trilinear(lamp, tile[plain], u[plain], v[plain], even)
    colour[:, probed] = _probed(lamp, tile[probed], (u[probed], v[probed]), long[:, probed], width[probed])
    return colour


def _probed(
    lamp: LampLight, tile: np.ndarray, place: tuple[np.ndarray, np.ndarray], long: np.ndarray, width: np.ndarray
) -> Float32[np.ndarray, "3 n"]:
    """Mean of probes along the long side of the footprint, each on the nearest mip level."""
    total = np.zeros((len(tile), 3), np.float32)
    level = np.rint(_level(lamp, width)).astype(np.int64)
    for step in (np.arange(_PROBES) + 0.5) / _PROBES - 0.5:
        u, v = (axis + np.float32(step) * way for axis, way in zip(place, long, strict=True))
        total += BYTE_TO_LIGHT[lookup(lamp.tiles, tile, u, v, level)]
    return total.T / np.float32(_PROBES)


def texture_place(lamp: LampLight, hits: RayHits) -> tuple[np.ndarray, np.ndarray]:
    """Texture position of the hits, in repeats."""
    corner, steps = lamp.corner_uv[:, hits.triangle], lamp.steps_uv[:, hits.triangle]
    second, third = hits.uv[:, 0], hits.uv[:, 1]
    return corner[0] + second * steps[0] + third * steps[2], corner[1] + second * steps[1] + third * steps[3]


def texture_steps(
    lamp: LampLight, hits: RayHits, way: np.ndarray, face: np.ndarray, facing: np.ndarray, rays: Rays
) -> tuple[np.ndarray, np.ndarray]:
    """Texture steps, (2, n) in repeats, from a sample to its right and lower neighbour on the hit triangle's plane."""
    slope = lamp.slope[:, hits.triangle].reshape(2, 3, -1)
    along = np.stack([_dot(slope[0], way), _dot(slope[1], way)])
    safe = np.where(np.abs(facing) < 1e-4, np.float32(1e-4), facing)
    steps = []
    for change in (rays.right, rays.down):
        own = slope[:, 0] * change[0] + slope[:, 1] * change[1] + slope[:, 2] * change[2]
        tilt = (face[0] * change[0] + face[1] * change[1] + face[2] * change[2]) / safe
        steps.append(hits.t * (own - along * tilt))
    return steps[0], steps[1]


def _squared(step: np.ndarray) -> np.ndarray:
    return step[0] ** 2 + step[1] ** 2


def _trilinear(
    lamp: LampLight, tile: np.ndarray, u: np.ndarray, v: np.ndarray, width: np.ndarray
) -> Float32[np.ndarray, "3 n"]:
    """Linear colour between two mip levels. width: of the footprint, in repeats."""
    level = _level(lamp, width)
    lower = level.astype(np.int64)
    fine, coarse = (BYTE_TO_LIGHT[lookup(lamp.tiles, tile, u, v, lower + step)].T for step in (0, 1))
    return fine + (level - lower).astype(np.float32) * (coarse - fine)


def _level(lamp: LampLight, width: np.ndarray) -> np.ndarray:
    """Mip level, not rounded, whose texels are as wide as the footprint."""
    layout = lamp.tiles.layout
    level = np.log2(np.maximum(width * np.float32(layout.side), np.float32(1)))
    return np.minimum(level, np.float32(layout.levels - 1.001))


def _to_lamp(light: Light, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit direction to the lamp and the distance to it."""
    place = np.asarray(light.place, np.float32)[:, None]
    if light.far:
        return np.broadcast_to(place, point.shape), np.full(point.shape[1], 1e6, np.float32)
    way = place - point
    distance = np.sqrt(_dot(way, way))
    return way / np.maximum(distance, np.float32(1e-6)), distance


def _reached(
    world: World,
    point: np.ndarray,
    outward: np.ndarray,
    to_lamp: np.ndarray,
    distance: np.ndarray,
    cosine: np.ndarray,
) -> np.ndarray:
    """True where the surface turns to the lamp and nothing stands between."""
    lit = (cosine > 0) & (_dot(outward, to_lamp) > 0)
    chosen = np.flatnonzero(lit)
    size = np.sqrt(_dot(point[:, chosen], point[:, chosen])) + 1
    rays = np.empty((len(chosen), 6), np.float32)
    rays[:, :3] = (point[:, chosen] + _LIFT * size * outward[:, chosen]).T
    rays[:, 3:] = (to_lamp[:, chosen] * np.minimum(distance[chosen], 60.0)).T
    lit[chosen] = ~world.caster.blocked(rays, 0.0, 0.999)
    return lit


def _matt(light: Light, normal: np.ndarray, lamp: np.ndarray) -> Float32[np.ndarray, "3 n"]:
    """Irradiance: the lamp, and sky and floor light weighted by how the surface lies."""
    up = 0.5 + 0.5 * normal[2]
    rows = [np.float32(a) * lamp + np.float32(b) * up + np.float32(c) * (1 - up) for a, b, c in _rgb_of(light)]
    return np.stack(rows)


def _rgb_of(light: Light) -> list[tuple[float, float, float]]:
    """(lamp, sky, floor) of each channel."""
    return list(zip(light.lamp, light.sky, light.floor, strict=True))


def _gloss(
    light: Light, normal: np.ndarray, view: np.ndarray, to_lamp: np.ndarray, strength: np.ndarray, material: np.ndarray
) -> Float32[np.ndarray, "3 n"]:
    """Blinn-Phong highlight of the lamp, and sky or floor reflected with a soft horizon (Schlick's factor)."""
    total = np.zeros_like(normal)
    chosen = np.flatnonzero(material[1] + material[3] > 0)
    if len(chosen) == 0:
        return total
    n, d, lamp = normal[:, chosen], view[:, chosen], to_lamp[:, chosen]
    half = lamp - d
    half = half / np.maximum(np.sqrt(_dot(half, half)), np.float32(1e-6))
    lobe = material[1, chosen] * np.maximum(_dot(n, half), 0) ** material[2, chosen] * strength[chosen]
    facing = np.clip(-_dot(n, d), 0, 1)
    mirrored_up = d[2] + 2 * facing * n[2]
    share = np.minimum(material[3, chosen] * (1 + 4 * (1 - facing) ** 5), np.float32(0.9))
    horizon = np.clip(0.5 + 2.0 * mirrored_up, 0, 1)
    for row, (a, b, c) in enumerate(_rgb_of(light)):
        total[row, chosen] = lobe * np.float32(a) + share * (np.float32(b) * horizon + np.float32(c) * (1 - horizon))
    return total
