"""A training scene as a stereo pair in linear light, with exact disparity and visibility of the left image.

One ray for each pixel, with filtered texture; pixels at an edge of a surface or of a shadow get four rays more.
Truth belongs to the ray through the pixel's centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64

from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.types import Camera, StereoRig
from gs_stereo.worlds.pairs.compose import Composition
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.shade import Footprint, shade
from gs_stereo.worlds.pairs.world import World
from gs_stereo.worlds.raycast import RayHits

_EDGE_STEP = 0.01
_EDGE_TURN = 0.9
# A rotated grid: four different rows and columns, so that edges near both axes get four steps.
_OFFSETS = np.array([(-0.375, -0.125), (0.125, -0.375), (0.375, 0.125), (-0.125, 0.375)])
_VISIBLE_SHARE = 1 - 4e-4
_NEAR_PERCENTILE = 2.0
_HIGHEST_RATIO = 1.35
_LEAST_SHARE = 0.02


_NEIGHBOURS = (
    ((slice(None), slice(1, None)), (slice(None), slice(-1))),
    ((slice(1, None), slice(None)), (slice(-1), slice(None))),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedPair:
    """Linear light of both eyes, and the truth of the left: disparity in px and where the right eye cannot see."""

    rig: StereoRig
    left: Float32[np.ndarray, "h w 3"]
    right: Float32[np.ndarray, "h w 3"]
    disparity: Float32[np.ndarray, "h w"]
    hidden: Bool[np.ndarray, "h w"]
    out_of_frame: Bool[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _View:
    light: Float32[np.ndarray, "h w 3"]
    depth: Float32[np.ndarray, "h w"]


def render_pair(scene: Composition, rng: np.random.Generator, config: TrainingPairConfig) -> RenderedPair:
    """Both images. The baseline is drawn so that near surfaces have a disparity of the wanted share of the width."""
    left = _render(scene.world, scene.camera)
    rig = StereoRig(left=scene.camera, baseline=_baseline(scene, left.depth, rng, config))
    right = _render(scene.world, rig.right)
    depth = left.depth.astype(np.float64)
    disparity = rig.focal_times_baseline / depth
    columns = pixel_centres(scene.camera.width, scene.camera.height)[..., 0]
    return RenderedPair(
        rig=rig,
        left=left.light,
        right=right.light,
        disparity=disparity.astype(np.float32),
        hidden=_hidden(scene.world, rig, depth),
        out_of_frame=columns - disparity < 0,
    )


def _baseline(scene: Composition, depth: np.ndarray, rng: np.random.Generator, config: TrainingPairConfig) -> float:
    """From the wanted disparity of near surfaces; shortened until the right eye is clear of everything."""
    share = config.disparity_share_median * np.exp(config.disparity_share_spread * rng.standard_normal())
    share = float(np.clip(share, _LEAST_SHARE, config.disparity_share_most))
    near = float(np.percentile(depth, _NEAR_PERCENTILE))
    pixels_to_metres = scene.camera.width / scene.camera.focal_px
    most = _HIGHEST_RATIO * config.disparity_share_most * pixels_to_metres * float(depth.min())
    baseline = min(share * pixels_to_metres * near, most)
    while baseline > 1e-3 and not _is_clear(scene, scene.camera.shifted(baseline).centre_in_world, near):
        baseline *= 0.7
    return baseline


def _is_clear(scene: Composition, eye: Float64[np.ndarray, "3"], near: float) -> bool:
    """True if nothing lies between the eyes and no surface is close to the right one."""
    way = eye - scene.camera.centre_in_world
    between = np.concatenate([scene.camera.centre_in_world, way]).astype(np.float32)[None]
    if scene.world.caster.blocked(between, 0.0, 1.5)[0]:
        return False
    return scene.world.caster.distance(eye.astype(np.float32)) > 0.4 * min(near, scene.near_m)


def _render(world: World, camera: Camera) -> _View:
    shape = (camera.height, camera.width)
    centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)
    rays, footprint = _rays(camera, centres)
    hits = world.caster.cast(rays)
    shaded = shade(world, rays, hits, footprint)
    light = shaded.light
    edge = np.flatnonzero(_edges(world, hits, shaded.lit.reshape(shape)))
    total = light[edge]
    for offset in _OFFSETS:
        fine, _ = _rays(camera, centres[edge] + offset)
        total += shade(world, fine, world.caster.cast(fine), footprint).light
    light[edge] = total / (1 + len(_OFFSETS))
    return _View(light=light.reshape(*shape, 3), depth=hits.t.reshape(shape))


def _rays(camera: Camera, image_xy: Float64[np.ndarray, "n 2"]) -> tuple[Float32[np.ndarray, "n 6"], Footprint]:
    """Rays through image points, with directions of depth one, so that t is depth; and how these change by pixel."""
    rotation, k = camera.cam_from_world[:3, :3], camera.intrinsics
    right, down = rotation[0] / k[0, 0], rotation[1] / k[1, 1]
    corner = rotation[2] - k[0, 2] * right - k[1, 2] * down
    rays = np.empty((len(image_xy), 6), np.float32)
    rays[:, :3] = camera.centre_in_world
    for axis in range(3):
        rays[:, 3 + axis] = corner[axis] + image_xy[:, 0] * right[axis] + image_xy[:, 1] * down[axis]
    return rays, Footprint(right=right.astype(np.float32), down=down.astype(np.float32))


def _edges(world: World, hits: RayHits, lit: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels beside another face, a step in depth, a fold, or the border of a shadow."""
    shape = lit.shape
    triangle, group = hits.triangle.reshape(shape), world.group[hits.triangle].reshape(shape)
    inverse = (1 / hits.t).reshape(shape)
    edge = np.zeros(shape, bool)
    for first, second in _NEIGHBOURS:
        differs = (group[first] != group[second]) | (lit[first] != lit[second])
        step = np.abs(inverse[first] - inverse[second]) > _EDGE_STEP * np.maximum(inverse[first], inverse[second])
        fold = np.nonzero(step & ~differs)
        normals = (world.normal[:, triangle[side][fold]] for side in (first, second))
        differs[fold] = np.abs(np.prod(list(normals), axis=0).sum(axis=0)) < _EDGE_TURN
        edge[first] |= differs
        edge[second] |= differs
    return edge


def _hidden(world: World, rig: StereoRig, depth: Float64[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """True where a surface stands between the right eye and what the left pixel shows."""
    centres = pixel_centres(rig.left.width, rig.left.height).reshape(-1, 2)
    rays, _ = _rays(rig.left, centres)
    rays[:, :3] = rig.right.centre_in_world
    from_right = rig.left.centre_in_world - rig.right.centre_in_world
    for axis in range(3):
        rays[:, 3 + axis] = from_right[axis] + depth.ravel() * rays[:, 3 + axis]
    return world.caster.blocked(rays, 0.0, _VISIBLE_SHARE).reshape(depth.shape)
