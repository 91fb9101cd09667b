"""Rough dense depth of the photos before the fit, so that Gaussians start on surfaces.

Plane sweep (Collins 1996): for planes of constant depth in a reference view, evenly spaced in inverse depth, the
photos of a few neighbours are warped by the plane's homography and compared by normalised cross-correlation; each
pixel takes the plane that its two best neighbours like most (the others may be occluded). A depth is kept only where
a neighbour's own depth map agrees with it. It works on small gray images and takes a fraction of a second a view.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from gs_stereo.geometry.pixels import intrinsics_to_opencv, pixel_index
from gs_stereo.geometry.projection import inside, project, unproject_depth_map
from gs_stereo.splat.photo_source import PhotoSource
from gs_stereo.types import Camera, SparseScene

_EDGE_PX = 256
_WINDOW_PX = 7
_NEIGHBOURS = 4
_FEWEST_PLANES, _MOST_PLANES = 32, 96
_FEWEST_SHARED_POINTS = 8
_NOISE_VARIANCE = (2 / 255) ** 2
_LEAST_CORRELATION = 0.6
_AGREEMENT_STEPS = 1.5
_RANGE_PERCENTILES = (1.0, 99.0)
_RANGE_MARGIN = 1.25
_IDEAL_ANGLE_RAD = math.radians(8.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class SweptView:
    """A view at sweep resolution. depth: z, NaN where unknown. step: spacing of the planes in inverse depth."""

    camera: Camera
    depth: Float[np.ndarray, "h w"]
    step: float

    def depth_at(self, camera: Camera, image_xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        """Depth of the nearest pixel at points of the image plane of `camera`, the same view at full resolution."""
        shrink = [self.camera.width / camera.width, self.camera.height / camera.height]
        column, row = pixel_index(image_xy * shrink).T
        return np.array(self.depth[row, column], dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Small:
    """A small gray photo in [0, 1] with the mean and variance of the window around every pixel."""

    camera: Camera
    gray: Float[np.ndarray, "h w"]
    mean: Float[np.ndarray, "h w"]
    variance: Float[np.ndarray, "h w"]


def swept_depths(scene: SparseScene, photos: PhotoSource) -> dict[str, SweptView]:
    """Consistent depth maps of the views by name; a view without usable neighbours is left out."""
    small = {camera.name: _shrink(camera, photos(camera.name)) for camera in scene.cameras}
    seen = visible_indices(scene)
    swept = {}
    neighbours = {}
    for camera in scene.cameras:
        names = choose_neighbours(scene, seen, camera)
        if names:
            neighbours[camera.name] = names
            depths = project(camera, scene.points.xyz_in_world[seen[camera.name]])[1]
            swept[camera.name] = _sweep(small[camera.name], [small[name] for name in names], depths)
    return {
        name: _keep_consistent(view, [swept[other] for other in neighbours[name] if other in swept])
        for name, view in swept.items()
    }


def visible_indices(scene: SparseScene) -> Mapping[str, np.ndarray]:
    """The points that each camera sees; all that fall into its image where the scene does not know."""
    known = dict(zip((camera.name for camera in scene.cameras), scene.visible_points, strict=False))
    seen = {}
    for camera in scene.cameras:
        index = known.get(camera.name, np.arange(len(scene.points)))
        image_xy, depth = project(camera, scene.points.xyz_in_world[index])
        seen[camera.name] = index[(depth > 0) & inside(camera, image_xy)]
    return seen


def choose_neighbours(scene: SparseScene, seen: Mapping[str, np.ndarray], camera: Camera) -> list[str]:
    """Up to four views that share many points with `camera` at a useful angle, best first."""
    scores = []
    for other in scene.cameras:
        shared = np.intersect1d(seen[camera.name], seen[other.name])
        if other.name == camera.name or len(shared) < _FEWEST_SHARED_POINTS:
            continue
        xyz = scene.points.xyz_in_world[shared]
        angle = _median_angle(xyz - camera.centre_in_world, xyz - other.centre_in_world)
        usefulness = math.exp(-abs(math.log(max(angle, 1e-6) / _IDEAL_ANGLE_RAD)))
        scores.append((-len(shared) * usefulness, other.name))
    return [name for _, name in sorted(scores)[:_NEIGHBOURS]]


def _median_angle(first: Float[np.ndarray, "n 3"], second: Float[np.ndarray, "n 3"]) -> float:
    cosine = (first * second).sum(-1) / (np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1))
    return float(np.median(np.arccos(np.clip(cosine, -1, 1))))


def _shrink(camera: Camera, photo: UInt8[np.ndarray, "h w 3"]) -> _Small:
    import cv2

    scale = min(1.0, _EDGE_PX / max(camera.width, camera.height))
    size = (max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))
    gray = cv2.cvtColor(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    gray = gray.astype(np.float32) / 255
    mean, variance = _window_statistics(gray)
    return _Small(camera=camera.resized(*size), gray=gray, mean=mean, variance=variance)


def _sweep(reference: _Small, neighbours: Sequence[_Small], sparse_depth: Float[np.ndarray, "n"]) -> SweptView:
    """The best plane of every pixel, refined between planes by a parabola."""
    near, far = np.percentile(sparse_depth, _RANGE_PERCENTILES) * [1 / _RANGE_MARGIN, _RANGE_MARGIN]
    planes = np.linspace(1 / far, 1 / near, _plane_count(reference.camera, neighbours, near, far))
    step = float(planes[1] - planes[0])
    score = np.stack([_plane_score(reference, neighbours, 1 / inverse) for inverse in planes])
    best = _first_maximum(score)
    middle = np.clip(best, 1, len(planes) - 2)
    before, here, after = (np.take_along_axis(score, (middle + k)[None], 0)[0] for k in (-1, 0, 1))
    curvature = before - 2 * here + after
    offset = np.where(curvature < 0, 0.5 * (before - after) / np.where(curvature < 0, curvature, -1.0), 0.0)
    inverse_depth = planes[middle] + np.clip(offset, -0.5, 0.5) * step
    good = (here >= _LEAST_CORRELATION) & (best == middle)
    return SweptView(camera=reference.camera, depth=np.where(good, 1 / inverse_depth, np.nan), step=step)


def _plane_count(camera: Camera, neighbours: Sequence[_Small], near: float, far: float) -> int:
    """So many that one step moves a pixel by about one pixel in the neighbour with the widest baseline."""
    baselines = [np.linalg.norm(other.camera.centre_in_world - camera.centre_in_world) for other in neighbours]
    disparity_range_px = camera.focal_px * max(baselines) * (1 / near - 1 / far)
    return int(np.clip(math.ceil(disparity_range_px), _FEWEST_PLANES, _MOST_PLANES))


def _plane_score(reference: _Small, neighbours: Sequence[_Small], depth: float) -> Float[np.ndarray, "h w"]:
    """Mean correlation of the best neighbours, if the scene were a plane at this depth."""
    best = second = np.full(reference.gray.shape, -1.0, dtype=np.float32)
    for other in neighbours:
        score = _correlation(reference, _warp(reference.camera, other, depth))
        second = np.maximum(second, np.minimum(best, score))
        best = np.maximum(best, score)
    return best if len(neighbours) == 1 else (best + second) / 2


def _first_maximum(score: Float[np.ndarray, "d h w"]) -> Int[np.ndarray, "h w"]:
    """argmax over the first axis, plane by plane because numpy's own is slow along it."""
    best, index = score[0].copy(), np.zeros(score.shape[1:], dtype=np.int64)
    for number, plane in enumerate(score[1:], start=1):
        better = plane > best
        best[better] = plane[better]
        index[better] = number
    return index


def _warp(camera: Camera, other: _Small, depth: float) -> Float[np.ndarray, "h w"]:
    """The other photo as `camera` would see it if everything lay at z = depth; 0 outside."""
    import cv2

    other_from_camera = other.camera.cam_from_world @ camera.world_from_cam
    plane = other_from_camera[:3, :3] + other_from_camera[:3, 3:] @ np.array([[0.0, 0.0, 1.0 / depth]])
    homography = (
        intrinsics_to_opencv(other.camera.intrinsics) @ plane @ np.linalg.inv(intrinsics_to_opencv(camera.intrinsics))
    )
    size = (camera.width, camera.height)
    return np.asarray(cv2.warpPerspective(other.gray, homography, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))


def _correlation(reference: _Small, warped: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Normalised cross-correlation in a window around every pixel; small where a window has no texture."""
    mean, variance = _window_statistics(warped)
    covariance = _window_mean(reference.gray * warped) - reference.mean * mean
    return np.asarray(covariance / np.sqrt(reference.variance * variance))


def _window_statistics(gray: Float[np.ndarray, "h w"]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the window around every pixel; the variance includes that of the sensor's noise."""
    mean = _window_mean(gray)
    return mean, np.maximum(_window_mean(gray * gray) - mean * mean, 0) + np.float32(_NOISE_VARIANCE)


def _window_mean(image: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    import cv2

    return np.asarray(cv2.boxFilter(image, cv2.CV_32F, (_WINDOW_PX, _WINDOW_PX)))


def _keep_consistent(view: SweptView, others: Sequence[SweptView]) -> SweptView:
    """Only the depths that at least one other view's depth map confirms."""
    confirmed = np.zeros(view.depth.shape, dtype=bool)
    xyz = unproject_depth_map(view.camera, view.depth)
    for other in others:
        image_xy, depth = project(other.camera, xyz)
        hit = np.isfinite(depth) & (depth > 0) & inside(other.camera, image_xy)
        pixel = pixel_index(np.where(hit[..., None], image_xy, 0.0))
        found = other.depth[pixel[..., 1], pixel[..., 0]]
        tolerance = _AGREEMENT_STEPS * max(view.step, other.step)
        with np.errstate(divide="ignore", invalid="ignore"):
            confirmed |= hit & (np.abs(1 / depth - 1 / found) < tolerance)
    return SweptView(camera=view.camera, depth=np.where(confirmed, view.depth, np.nan), step=view.step)
