"""Rough dense depth of the photos before the fit, so that Gaussians start on surfaces.

Plane sweep (Collins 1996): for planes of constant depth in a reference view, evenly spaced in inverse depth, the
photos of a few neighbours are warped by the plane's homography and compared by normalised cross-correlation; each
plane is worth what the two best neighbours that see the pixel say (the others may be occluded). Semi-global matching
picks the planes, so that a small window is enough. A depth is sure only where a neighbour's own depth map agrees with
it; the rest is a guess. It works on small gray images and takes about half a second a view.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8

from gs_stereo.geometry.pixels import intrinsics_to_opencv, pixel_index
from gs_stereo.geometry.projection import inside, project, unproject_depth_map
from gs_stereo.imaging.images import nearest_size
from gs_stereo.log import progress
from gs_stereo.mvs.depth_completion import completed
from gs_stereo.mvs.semi_global import aggregate, cheapest
from gs_stereo.mvs.swept_view import SweptView
from gs_stereo.types import Camera, SparseScene
from gs_stereo.types.photo_source import PhotoSource

_EDGE_PX = 256
_WINDOW_PX = 3
_NEIGHBOURS = 4
_FEWEST_PLANES, _MOST_PLANES = 32, 96
_FEWEST_SHARED_POINTS = 8
_NOISE_VARIANCE = (2 / 255) ** 2
_LEAST_CORRELATION = 0.0
_AGREEMENT_STEPS = 1.0
_RANGE_PERCENTILES = (1.0, 99.0)
_RANGE_MARGIN = 1.25
_FAR_MARGIN = 4.0
_INSIDE = 0.99
_NO_PLANE = -100
_SPECK_LEVELS = 16
_SPECK_SHARE = 2e-3
_IDEAL_ANGLE_RAD = math.radians(8.0)


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
    neighbours = {camera.name: choose_neighbours(scene, seen, camera) for camera in scene.cameras}
    cameras = [camera for camera in scene.cameras if neighbours[camera.name]]

    def found(camera: Camera) -> SweptView:
        depths = project(camera, scene.points.xyz_in_world[seen[camera.name]])[1]
        return _sweep(small[camera.name], [small[name] for name in neighbours[camera.name]], depths)

    def others(views: Mapping[str, SweptView], camera: Camera) -> list[SweptView]:
        return [views[name] for name in neighbours[camera.name] if name in views]

    swept = _of_all("fit: sweep planes", found, cameras)
    sure = _of_all(
        "fit: check depths", lambda camera: _keep_consistent(swept[camera.name], others(swept, camera)), cameras
    )
    return _of_all("fit: fill depths", lambda camera: completed(sure[camera.name], others(sure, camera)), cameras)


def _of_all(title: str, make: Callable[[Camera], SweptView], cameras: Sequence[Camera]) -> dict[str, SweptView]:
    """What `make` makes of each camera, by name; several at once, for numpy and OpenCV run beside each other."""
    views = {}
    with progress(title, len(cameras), "views") as bar, ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for camera, view in zip(cameras, pool.map(make, cameras), strict=True):
            views[camera.name] = view
            bar.advance()
    return views


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

    size = nearest_size(camera.width, camera.height, _EDGE_PX)
    gray = cv2.cvtColor(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    gray = gray.astype(np.float32) / 255
    mean, variance = _window_statistics(gray)
    return _Small(camera=camera.resized(*size), gray=gray, mean=mean, variance=variance)


def _sweep(reference: _Small, neighbours: Sequence[_Small], sparse_depth: Float[np.ndarray, "n"]) -> SweptView:
    """The best plane of every pixel, refined between planes by a parabola."""
    near, far = np.percentile(sparse_depth, _RANGE_PERCENTILES) * [1 / _RANGE_MARGIN, _FAR_MARGIN]
    planes = np.linspace(1 / far, 1 / near, _plane_count(reference.camera, neighbours, near, far))
    score = np.stack([_plane_score(reference, neighbours, 1 / inverse) for inverse in planes])
    cost = aggregate(1 - score, reference.gray)
    best = cheapest(cost)
    middle = np.clip(best, 1, len(planes) - 2)
    before, here, after = (np.take_along_axis(cost, (middle + k)[None], 0)[0] for k in (-1, 0, 1))
    curvature = before - 2 * here + after
    offset = np.where(curvature > 0, 0.5 * (before - after) / np.where(curvature > 0, curvature, 1.0), 0.0)
    inverse_depth = planes[middle] + np.clip(offset, -0.5, 0.5) * (planes[1] - planes[0])
    good = (np.take_along_axis(score, middle[None], 0)[0] >= _LEAST_CORRELATION) & (best == middle)
    return SweptView(
        camera=reference.camera,
        gray=reference.gray,
        inverse_depths=planes,
        depth=np.where(good, 1 / inverse_depth, np.nan),
        guess=1 / inverse_depth,
    )


def _plane_count(camera: Camera, neighbours: Sequence[_Small], near: float, far: float) -> int:
    """So many that one step moves a pixel by about one pixel in the neighbour with the widest baseline."""
    baselines = [np.linalg.norm(other.camera.centre_in_world - camera.centre_in_world) for other in neighbours]
    disparity_range_px = camera.focal_px * max(baselines) * (1 / near - 1 / far)
    return int(np.clip(math.ceil(disparity_range_px), _FEWEST_PLANES, _MOST_PLANES))


def _plane_score(reference: _Small, neighbours: Sequence[_Small], depth: float) -> Float[np.ndarray, "h w"]:
    """Mean correlation of the best two neighbours that see the pixel, if the scene were a plane at this depth."""
    best = second = np.full(reference.gray.shape, -1.0, dtype=np.float32)
    seen = np.zeros(reference.gray.shape, dtype=np.int32)
    for other in neighbours:
        warped, inside = _warp(reference.camera, other, depth)
        score = np.where(inside, _correlation(reference, warped), np.float32(-1.0))
        second = np.maximum(second, np.minimum(best, score))
        best = np.maximum(best, score)
        seen += inside
    return np.where(seen > 1, (best + second) / 2, best)


def _warp(camera: Camera, other: _Small, depth: float) -> tuple[np.ndarray, np.ndarray]:
    """The other photo as `camera` would see it if everything lay at z = depth, and where it does."""
    import cv2

    other_from_camera = other.camera.cam_from_world @ camera.world_from_cam
    plane = other_from_camera[:3, :3] + other_from_camera[:3, 3:] @ np.array([[0.0, 0.0, 1.0 / depth]])
    homography = (
        intrinsics_to_opencv(other.camera.intrinsics) @ plane @ np.linalg.inv(intrinsics_to_opencv(camera.intrinsics))
    )
    size = (camera.width, camera.height)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(other.gray, homography, size, flags=flags)
    everywhere = np.ones_like(other.gray)
    return warped, cv2.warpPerspective(everywhere, homography, size, flags=flags) > _INSIDE


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
    return replace(view, depth=_without_specks(np.where(confirmed, view.depth, np.nan), view.inverse_depths))


def _without_specks(depth: Float[np.ndarray, "h w"], planes: Float[np.ndarray, "d"]) -> Float[np.ndarray, "h w"]:
    """The depth without small islands: false matches come in specks, surfaces do not."""
    import cv2

    known = np.isfinite(depth)
    index = np.where(known, (1 / np.where(known, depth, 1.0) - planes[0]) / (planes[1] - planes[0]), _NO_PLANE)
    labels = np.rint(index * _SPECK_LEVELS).astype(np.int16)
    cv2.filterSpeckles(labels, _NO_PLANE * _SPECK_LEVELS, int(_SPECK_SHARE * depth.size), 2 * _SPECK_LEVELS)
    return np.where(labels == _NO_PLANE * _SPECK_LEVELS, np.nan, depth)
