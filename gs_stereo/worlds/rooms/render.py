"""Photos and exact truth of a world.

A photo pixel is the mean of linear light over a regular grid of rays through its area (box filter); pixels that hold
an edge get one more ray along each side. Truth belongs to the ray through the pixel's centre.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.types import Camera
from gs_stereo.worlds.raycast import RayHits
from gs_stereo.worlds.rooms.atlas import LEVELS
from gs_stereo.worlds.rooms.world import World

_RAYS_AT_ONCE = 1 << 16
_EDGE_DEPTH_STEP = 0.03
_LIFT_M = 1e-3
_HIDDEN_MARGIN_M = 5e-4

HIDDEN = 1
OUT_OF_FRAME = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewTruth:
    """Exact maps of one view. occlusion: bits HIDDEN and OUT_OF_FRAME for each baseline in metres."""

    z: Float32[np.ndarray, "h w"]
    kind: UInt8[np.ndarray, "h w"]
    occlusion: dict[float, UInt8[np.ndarray, "h w"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shaded:
    """k samples in each of n pixels."""

    light: Float32[np.ndarray, "k n 3"]
    patch: Int64[np.ndarray, "k n"]
    z: Float32[np.ndarray, "k n"]


def render_photo(world: World, camera: Camera, supersampling: int) -> UInt8[np.ndarray, "h w 3"]:
    """The sRGB photo that `camera` takes."""
    centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)
    light = np.empty((len(centres), 3), np.float32)
    step = max(1, _RAYS_AT_ONCE // supersampling**2)
    for start in range(0, len(centres), step):
        part = centres[start : start + step]
        samples = _shade_area(world, camera, part, supersampling)
        mean = samples.light.mean(axis=0)
        edge = np.flatnonzero(_holds_edge(samples))
        for chosen in _chunks(edge, max(1, step // 3)):
            mean[chosen] = _shade_area(world, camera, part[chosen], supersampling + 1).light.mean(axis=0)
        light[start : start + step] = mean
    return _srgb(light * world.exposure).reshape(camera.height, camera.width, 3)


def render_truth(world: World, camera: Camera, baselines_m: tuple[float, ...]) -> ViewTruth:
    """Depth, surface class, and visibility from the right camera at each baseline."""
    shape = (camera.height, camera.width)
    rays = _rays(camera, pixel_centres(camera.width, camera.height).reshape(-1, 2), np.zeros((1, 2)))
    hits = world.caster.cast(rays)
    points = rays[:, :3].astype(np.float64) + hits.t.astype(np.float64)[:, None] * rays[:, 3:].astype(np.float64)
    columns = pixel_centres(camera.width, camera.height)[..., 0]
    occlusion = {}
    for baseline in baselines_m:
        hidden = hidden_from(world, camera.shifted(baseline).centre_in_world, points).reshape(shape)
        x_right = columns - camera.focal_px * baseline / hits.t.astype(np.float64).reshape(shape)
        outside = (x_right < 0) | (x_right > camera.width)
        occlusion[baseline] = (HIDDEN * hidden + OUT_OF_FRAME * outside).astype(np.uint8)
    kind = world.kind[world.mesh.patch[hits.triangle]].reshape(shape)
    return ViewTruth(z=hits.t.reshape(shape), kind=kind, occlusion=occlusion)


def hidden_from(world: World, eye: Float64[np.ndarray, "3"], points: np.ndarray) -> Bool[np.ndarray, "n"]:
    """True where another surface lies between `eye` and a surface point (half a millimetre short of it)."""
    rays = np.empty((len(points), 6), np.float32)
    rays[:, :3] = eye
    way = points - eye
    rays[:, 3:] = way * (1 - _HIDDEN_MARGIN_M / np.sqrt(np.einsum("ij,ij->i", way, way)))[:, None]
    return world.caster.blocked(rays, 0.0, 1.0)


def _chunks(index: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(index), size):
        yield index[start : start + size]


def _rays(
    camera: Camera, image_xy: Float64[np.ndarray, "n 2"], offsets: Float64[np.ndarray, "k 2"]
) -> Float32[np.ndarray, "kn 6"]:
    """Rays through image points, each moved by every offset; their direction has z = 1 in the camera, so t is depth."""
    rotation, intrinsics = camera.cam_from_world[:3, :3], camera.intrinsics
    per_x, per_y = rotation[0] / intrinsics[0, 0], rotation[1] / intrinsics[1, 1]
    corner = rotation[2] - intrinsics[0, 2] * per_x - intrinsics[1, 2] * per_y
    rays = np.empty((len(offsets), len(image_xy), 6), np.float32)
    rays[..., :3] = camera.centre_in_world
    for axis in range(3):
        middle = corner[axis] + image_xy[:, 0] * per_x[axis] + image_xy[:, 1] * per_y[axis]
        rays[..., 3 + axis] = middle + (offsets[:, :1] * per_x[axis] + offsets[:, 1:] * per_y[axis])
    return rays.reshape(-1, 6)


def _shade_area(world: World, camera: Camera, centres: np.ndarray, per_side: int) -> _Shaded:
    """Light along per_side^2 rays through each pixel."""
    offset = (np.arange(per_side) + 0.5) / per_side - 0.5
    rays = _rays(camera, centres, np.stack(np.meshgrid(offset, offset), axis=-1).reshape(-1, 2))
    hits = world.caster.cast(rays)
    spread = 1.0 / (camera.focal_px * per_side)
    light = _matt(world, rays, hits, spread)
    patch = world.mesh.patch[hits.triangle]
    _add_gloss(world, rays, hits, light, spread)
    samples = (per_side**2, len(centres))
    return _Shaded(light=light.reshape(*samples, 3), patch=patch.reshape(samples), z=hits.t.reshape(samples))


def _holds_edge(samples: _Shaded) -> Bool[np.ndarray, "n"]:
    """Pixels whose samples fall on different patches or on clearly different depths."""
    uneven = samples.z.max(axis=0) > (1 + _EDGE_DEPTH_STEP) * samples.z.min(axis=0)
    return np.asarray(uneven | (samples.patch != samples.patch[0]).any(axis=0))


def _matt(world: World, rays: np.ndarray, hits: RayHits, spread: float) -> Float32[np.ndarray, "n 3"]:
    """Baked light at the hits. The mip level follows the size of a ray's footprint on the surface."""
    frame = world.place[hits.triangle]
    place = frame[:, 0] + hits.uv[:, :1] * frame[:, 1] + hits.uv[:, 1:] * frame[:, 2]
    slant = np.abs(np.einsum("ij,ij->i", world.face_normal[hits.triangle], rays[:, 3:]))
    texels = np.square(hits.t * np.float32(spread) / world.texel_m[hits.triangle]) / np.maximum(slant, 0.05)
    # The level is the rounded base-2 logarithm of the footprint's side: 1 from sqrt(2) texels on, 2 from sqrt(8).
    level = sum((texels > 2 * 4**step).astype(np.int64) for step in range(LEVELS - 1))
    light = world.atlas.sample(place, np.asarray(level))
    light[hits.triangle < 0] = 0.0
    return light


def _add_gloss(world: World, rays: np.ndarray, hits: RayHits, light: np.ndarray, spread: float) -> None:
    """View-dependent light of glossy patches, in place: one mirror bounce (Schlick) and a Phong lobe for each lamp."""
    patch = world.mesh.patch[hits.triangle]
    chosen = np.flatnonzero((world.mirror[patch] + world.highlight[patch] > 0) & (hits.triangle >= 0))
    if len(chosen) == 0:
        return
    patch, view = patch[chosen], rays[chosen, 3:] / np.linalg.norm(rays[chosen, 3:], axis=-1, keepdims=True)
    normal = _shading_normals(world, hits, chosen)
    normal *= np.where((normal * view).sum(-1, keepdims=True) > 0, -1.0, 1.0)
    facing = -(normal * view).sum(-1, keepdims=True)
    mirrored = view + 2 * facing * normal
    origin = rays[chosen, :3] + hits.t[chosen, None] * rays[chosen, 3:] + _LIFT_M * normal
    bounce = np.concatenate([origin, mirrored], axis=-1).astype(np.float32)
    second = world.caster.cast(bounce)
    schlick = world.mirror[patch][:, None] * (1 + 4 * (1 - np.clip(facing, 0, 1)) ** 5)
    share = np.minimum(schlick, 0.95).astype(np.float32)
    light[chosen] = (1 - share) * light[chosen] + share * _matt(world, bounce, second, 4 * spread)
    light[chosen] += _highlights(world, origin, mirrored, patch)


def _shading_normals(world: World, hits: RayHits, chosen: np.ndarray) -> Float32[np.ndarray, "n 3"]:
    corners = world.mesh.normals[hits.triangle[chosen]]
    second, third = hits.uv[chosen, :1], hits.uv[chosen, 1:]
    normal = (1 - second - third) * corners[:, 0] + second * corners[:, 1] + third * corners[:, 2]
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12), np.float32)


def _highlights(world: World, origin: np.ndarray, mirrored: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """Phong lobes of the lamps' centres, where nothing stands in between."""
    total = np.zeros((len(origin), 3), np.float32)
    for lamp in world.lighting.lamps:
        way = lamp.centre - origin
        distance = np.linalg.norm(way, axis=-1)
        cosine = np.clip((mirrored * way).sum(-1) / distance, 0, 1)
        rays = np.concatenate([origin, way], axis=-1).astype(np.float32)
        lit = ~world.caster.blocked(rays, 1e-4, 0.999)
        lobe = world.highlight[patch] * cosine ** world.shininess[patch] / distance**2 * lit
        total += (lobe[:, None] * np.asarray(lamp.power)).astype(np.float32)
    return total


def _srgb(light: np.ndarray) -> UInt8[np.ndarray, "n 3"]:
    """Linear light to 8-bit sRGB (IEC 61966-2-1)."""
    clipped = np.clip(light, 0.0, 1.0)
    curve = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.rint(255 * curve).astype(np.uint8)
