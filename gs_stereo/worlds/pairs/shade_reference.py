"""The shading of training pairs in numpy: the twin of native/worlds/shade.cpp.

Filtered texture, one shadowed lamp, sky and floor light, highlights, a blurred reflection of sky and floor. Arrays have
one row for each component, so that numpy works on long contiguous rows.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

from gs_stereo.worlds.pairs.shade import BYTE_TO_LIGHT, Footprint, Shaded
from gs_stereo.worlds.pairs.world import Light, World
from gs_stereo.worlds.raycast import RayHits

_AT_ONCE = 1 << 15
_PROBES = 4
_LIFT = 1e-3


def shade_by_numpy(world: World, rays: Float32[np.ndarray, "n 6"], hits: RayHits, footprint: Footprint) -> Shaded:
    """What `shade` gives, up to rounding."""
    light, lit = np.empty((len(rays), 3), np.float32), np.empty(len(rays), bool)
    for start in range(0, len(rays), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        chosen = RayHits(t=hits.t[part], triangle=hits.triangle[part], uv=hits.uv[part])
        light[part], lit[part] = _shade_block(world, rays[part], chosen, footprint)
    return Shaded(light=light, lit=lit)


def _shade_block(world: World, rays: np.ndarray, hits: RayHits, footprint: Footprint) -> tuple[np.ndarray, np.ndarray]:
    triangle = hits.triangle
    way = np.ascontiguousarray(rays[:, 3:].T)
    point = np.ascontiguousarray(rays[:, :3].T) + hits.t * way
    face = world.normal[:, triangle]
    facing = _dot(face, way)
    colour = _texture(world, hits, way, face, facing, footprint)
    material = world.material[:, world.piece[triangle]]
    normal = _shading_normal(world, hits, face, facing)
    to_lamp, distance = _to_lamp(world, point)
    cosine = np.maximum(_dot(normal, to_lamp), 0)
    lit = _reached(world, point, face * -np.sign(facing), to_lamp, distance, cosine)
    view = way / np.sqrt(_dot(way, way))
    strength = lit / (1 + (distance / np.float32(world.light.reach_m)) ** 2) if not world.light.far else lit
    light = colour * _matt(world, normal, cosine * strength)
    light += _gloss(world, normal, view, to_lamp, strength, material)
    glows = material[4] > 0
    light[:, glows] = colour[:, glows]
    return light.T, lit | glows


def _dot(a: np.ndarray, b: np.ndarray) -> Float32[np.ndarray, "n"]:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _shading_normal(world: World, hits: RayHits, face: np.ndarray, facing: np.ndarray) -> Float32[np.ndarray, "3 n"]:
    """Interpolated, on the viewer's side of the surface."""
    corners = world.corner_normals[:, hits.triangle]
    normal = corners[:3] + hits.uv[:, 0] * corners[3:6] + hits.uv[:, 1] * corners[6:]
    side = np.where((_dot(normal, face) > 0) == (facing > 0), np.float32(-1), np.float32(1))
    return normal * (side / np.maximum(np.sqrt(_dot(normal, normal)), np.float32(1e-6)))


def _texture(
    world: World, hits: RayHits, way: np.ndarray, face: np.ndarray, facing: np.ndarray, footprint: Footprint
) -> Float32[np.ndarray, "3 n"]:
    """Linear colour, filtered over the ray's footprint: mip levels across, up to four probes along its long side."""
    u, v = _place(world, hits)
    right, down = _texture_steps(world, hits, way, face, facing, footprint)
    long = np.where(_squared(right) >= _squared(down), right, down)
    length = np.sqrt(_squared(long))
    area = np.abs(right[0] * down[1] - right[1] * down[0])
    short = area / np.maximum(length, np.float32(1e-9))
    width = np.maximum(short, length / _PROBES)
    stretched = length > 1.5 * width
    tile = world.material[0, world.piece[hits.triangle]].astype(np.int64)
    colour = np.empty((3, len(u)), np.float32)
    plain, probed = np.flatnonzero(~stretched), np.flatnonzero(stretched)
    even = np.sqrt(np.maximum(area[plain], np.float32(1e-12)))
    colour[:, plain] = _trilinear(world, tile[plain], u[plain], v[plain], even)
    colour[:, probed] = _probed(world, tile[probed], (u[probed], v[probed]), long[:, probed], width[probed])
    return colour


def _probed(
    world: World, tile: np.ndarray, place: tuple[np.ndarray, np.ndarray], long: np.ndarray, width: np.ndarray
) -> Float32[np.ndarray, "3 n"]:
    """Mean of probes along the long side of the footprint, each on the nearest mip level."""
    total = np.zeros((len(tile), 3), np.float32)
    level = np.rint(_level(world, width)).astype(np.int64)
    for step in (np.arange(_PROBES) + 0.5) / _PROBES - 0.5:
        u, v = (axis + np.float32(step) * way for axis, way in zip(place, long, strict=True))
        total += BYTE_TO_LIGHT[world.tiles.lookup(tile, u, v, level)]
    return total.T / np.float32(_PROBES)


def _place(world: World, hits: RayHits) -> tuple[np.ndarray, np.ndarray]:
    corner, steps = world.corner_uv[:, hits.triangle], world.steps_uv[:, hits.triangle]
    second, third = hits.uv[:, 0], hits.uv[:, 1]
    return corner[0] + second * steps[0] + third * steps[2], corner[1] + second * steps[1] + third * steps[3]


def _texture_steps(
    world: World, hits: RayHits, way: np.ndarray, face: np.ndarray, facing: np.ndarray, footprint: Footprint
) -> tuple[np.ndarray, np.ndarray]:
    """Texture steps, (2, n) in repeats, from a sample to its right and lower neighbour on the hit triangle's plane."""
    slope = world.slope[:, hits.triangle].reshape(2, 3, -1)
    along = np.stack([_dot(slope[0], way), _dot(slope[1], way)])
    safe = np.where(np.abs(facing) < 1e-4, np.float32(1e-4), facing)
    steps = []
    for change in (footprint.right, footprint.down):
        own = slope[:, 0] * change[0] + slope[:, 1] * change[1] + slope[:, 2] * change[2]
        tilt = (face[0] * change[0] + face[1] * change[1] + face[2] * change[2]) / safe
        steps.append(hits.t * (own - along * tilt))
    return steps[0], steps[1]


def _squared(step: np.ndarray) -> np.ndarray:
    return step[0] ** 2 + step[1] ** 2


def _trilinear(
    world: World, tile: np.ndarray, u: np.ndarray, v: np.ndarray, width: np.ndarray
) -> Float32[np.ndarray, "3 n"]:
    """Linear colour between two mip levels. width: of the footprint, in repeats."""
    level = _level(world, width)
    lower = level.astype(np.int64)
    fine, coarse = (BYTE_TO_LIGHT[world.tiles.lookup(tile, u, v, lower + step)].T for step in (0, 1))
    return fine + (level - lower).astype(np.float32) * (coarse - fine)


def _level(world: World, width: np.ndarray) -> Float32[np.ndarray, "n"]:
    """Mip level, not rounded, whose texels are as wide as the footprint."""
    layout = world.tiles.layout
    level = np.log2(np.maximum(width * np.float32(layout.side), np.float32(1)))
    return np.minimum(level, np.float32(layout.levels - 1.001))


def _to_lamp(world: World, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit direction to the lamp and the distance to it."""
    place = np.asarray(world.light.place, np.float32)[:, None]
    if world.light.far:
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
) -> Bool[np.ndarray, "n"]:
    """True where the surface turns to the lamp and nothing stands between."""
    lit = (cosine > 0) & (_dot(outward, to_lamp) > 0)
    chosen = np.flatnonzero(lit)
    size = np.sqrt(_dot(point[:, chosen], point[:, chosen])) + 1
    rays = np.empty((len(chosen), 6), np.float32)
    rays[:, :3] = (point[:, chosen] + _LIFT * size * outward[:, chosen]).T
    rays[:, 3:] = (to_lamp[:, chosen] * np.minimum(distance[chosen], 60.0)).T
    lit[chosen] = ~world.caster.blocked(rays, 0.0, 0.999)
    return lit


def _matt(world: World, normal: np.ndarray, lamp: np.ndarray) -> Float32[np.ndarray, "3 n"]:
    """Irradiance: the lamp, and sky and floor light weighted by how the surface lies."""
    up = 0.5 + 0.5 * normal[2]
    light = world.light
    rows = [np.float32(a) * lamp + np.float32(b) * up + np.float32(c) * (1 - up) for a, b, c in _rgb_of(light)]
    return np.stack(rows)


def _rgb_of(light: Light) -> list[tuple[float, float, float]]:
    """(lamp, sky, floor) of each channel."""
    return list(zip(light.lamp, light.sky, light.floor, strict=True))


def _gloss(
    world: World, normal: np.ndarray, view: np.ndarray, to_lamp: np.ndarray, strength: np.ndarray, material: np.ndarray
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
    for row, (a, b, c) in enumerate(_rgb_of(world.light)):
        total[row, chosen] = lobe * np.float32(a) + share * (np.float32(b) * horizon + np.float32(c) * (1 - horizon))
    return total
