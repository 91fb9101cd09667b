"""Rough dense depth of a capture's photos before the fit, so that Gaussians start on surfaces.

Every small photo is swept against its neighbours (`sweep`). A depth is sure only where a neighbour's own depth agrees
with it; the rest is a guess: what other photos are sure of is carried over, and from the sure pixels depth spreads to
the others by semi-global matching; it stays constant where the photo is smooth and may change at the photo's edges.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float

from gs_stereo.geometry.pixels import pixel_index
from gs_stereo.geometry.projection import depth_seen_at, inside, project_seen, reprojected, unproject_depth_map
from gs_stereo.geometry.view_selection import views_with_parallax
from gs_stereo.log import progress
from gs_stereo.mvs.config import SweepConfig
from gs_stereo.mvs.kernels import aggregate
from gs_stereo.mvs.sweep import sweep
from gs_stereo.mvs.views import PosedImage, shown_view
from gs_stereo.types import Camera, SparseScene
from gs_stereo.types.photo_source import PhotoSource, mask_of

_FEWEST_POINTS = 8
_FEWEST_PLANES = 32
_RANGE_PERCENTILES = (1.0, 99.0)
_RANGE_MARGIN = 1.25
_FAR_MARGIN = 4.0
_AGREEMENT_STEPS = 1.0
_NO_PLANE = -100
_SPECK_LEVELS = 16
_SPECK_SHARE = 2e-3
_SPREAD_PLANES = 48  # as good as all, on generated scenes
_SURE_COST = 2.0
_SPREADS = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstDepth:
    """What is known of one photo at the resolution of the sweep.

    inverse_depths: of the planes, evenly spaced. depth: z, NaN where no other photo confirms it. guess: z everywhere.
    """

    view: PosedImage
    inverse_depths: Float[np.ndarray, "d"]
    depth: Float[np.ndarray, "h w"]
    guess: Float[np.ndarray, "h w"]

    @property
    def step(self) -> float:
        return float(self.inverse_depths[1] - self.inverse_depths[0])

    def depth_at(self, camera: Camera, image_xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        """Depth of the nearest pixel at points of the image plane of `camera`, the same view at full resolution."""
        return self._at(self.depth, camera, image_xy)

    def guess_at(self, camera: Camera, image_xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        """The same for `guess`."""
        return self._at(self.guess, camera, image_xy)

    def _at(self, values: np.ndarray, camera: Camera, image_xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
        small = self.view.camera
        column, row = pixel_index(image_xy * [small.width / camera.width, small.height / camera.height]).T
        return np.array(values[row, column], dtype=np.float64)


def first_depths(scene: SparseScene, photos: PhotoSource, config: SweepConfig) -> dict[str, FirstDepth]:
    """Depth of the views by name; one that sees too few points, or has no usable neighbours, is left out."""
    views = {camera.name: shown_view(camera, photos).shrunk(config.edge_px) for camera in scene.cameras}
    known = {camera.name: project_seen(scene, row)[1] for row, camera in enumerate(scene.cameras)}
    near: dict[str, list[str]] = {}
    for camera in scene.cameras:
        if len(known[camera.name]) >= _FEWEST_POINTS:
            depth = float(np.median(known[camera.name]))
            chosen = views_with_parallax(camera, scene.cameras, depth, config.neighbours, config.parallax)
            near[camera.name] = [scene.cameras[index].name for index in chosen]
    names = [name for name, neighbours in near.items() if neighbours]

    def swept(name: str) -> FirstDepth:
        others = [views[other] for other in near[name]]
        inverse_depths = _planes(views[name].camera, others, known[name], config.planes)
        depth = 1 / sweep(views[name], others, inverse_depths, config)
        if (mask := mask_of(photos, name)) is not None:
            small = cv2.resize(mask.astype(np.uint8), depth.shape[::-1], interpolation=cv2.INTER_NEAREST)
            depth = np.where(small > 0, depth, np.nan)
        return FirstDepth(view=views[name], inverse_depths=inverse_depths, depth=depth, guess=depth)

    def others(found: Mapping[str, FirstDepth], name: str) -> list[FirstDepth]:
        return [found[other] for other in near[name] if other in found]

    first = _of_all("fit: sweep planes", swept, names)
    sure = _of_all("fit: check depths", lambda name: _confirmed(first[name], others(first, name)), names)
    return _of_all("fit: fill depths", lambda name: completed(sure[name], others(sure, name), config), names)


def _of_all(title: str, make: Callable[[str], FirstDepth], names: Sequence[str]) -> dict[str, FirstDepth]:
    """What `make` makes of each; several at once, for numpy and the kernels run beside each other."""
    made = {}
    with progress(title, len(names), "views") as bar, ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for name, depth in zip(names, pool.map(make, names), strict=True):
            made[name] = depth
            bar.advance()
    return made


def _planes(
    camera: Camera, others: Sequence[PosedImage], known: Float[np.ndarray, "n"], most: int
) -> Float[np.ndarray, "d"]:
    """Inverse depths around those known; one step moves a pixel by about one pixel in the widest baseline's view."""
    near, far = np.percentile(known, _RANGE_PERCENTILES) * [1 / _RANGE_MARGIN, _FAR_MARGIN]
    baseline = max(np.linalg.norm(other.camera.centre_in_world - camera.centre_in_world) for other in others)
    range_px = camera.focal_px * baseline * (1 / near - 1 / far)
    return np.linspace(1 / far, 1 / near, int(np.clip(math.ceil(range_px), _FEWEST_PLANES, most)))


def _confirmed(view: FirstDepth, others: Sequence[FirstDepth]) -> FirstDepth:
    """Only the depths that at least one other view's depth map confirms, without specks."""
    confirmed = np.zeros(view.depth.shape, dtype=bool)
    xyz = unproject_depth_map(view.view.camera, view.depth)
    for other in others:
        seen = depth_seen_at(other.view.camera, other.depth, xyz)
        confirmed |= np.abs(1 / seen.own - 1 / seen.there) < _AGREEMENT_STEPS * max(view.step, other.step)
    return replace(view, depth=_without_specks(np.where(confirmed, view.depth, np.nan), view.inverse_depths))


def _without_specks(depth: Float[np.ndarray, "h w"], planes: Float[np.ndarray, "d"]) -> Float[np.ndarray, "h w"]:
    """The depth without small islands: false matches come in specks, surfaces do not."""
    known = np.isfinite(depth)
    index = np.where(known, (1 / np.where(known, depth, 1.0) - planes[0]) / (planes[1] - planes[0]), _NO_PLANE)
    labels = np.rint(index * _SPECK_LEVELS).astype(np.int16)
    cv2.filterSpeckles(labels, _NO_PLANE * _SPECK_LEVELS, int(_SPECK_SHARE * depth.size), 2 * _SPECK_LEVELS)
    return np.where(labels == _NO_PLANE * _SPECK_LEVELS, np.nan, depth)


def completed(view: FirstDepth, others: Sequence[FirstDepth], config: SweepConfig) -> FirstDepth:
    """The view with a guess where its depth is unknown."""
    depth = np.where(np.isfinite(view.depth), view.depth, _carried_over(view, others))
    known = np.isfinite(depth)
    planes = np.linspace(view.inverse_depths[0], view.inverse_depths[-1], _SPREAD_PLANES)
    plane = np.rint((1 / np.where(known, depth, 1.0) - planes[0]) / (planes[1] - planes[0])).astype(np.float32)
    distance = np.abs(np.arange(_SPREAD_PLANES, dtype=np.float32) - plane[..., None])
    pinned = np.where(known[..., None], np.minimum(distance, np.float32(_SURE_COST)), np.float32(0.0))
    costs = pinned
    for _ in range(_SPREADS):
        total = aggregate(costs, view.view.gray, config, 1)
        spread = np.minimum(total - total.min(axis=2, keepdims=True), np.float32(_SURE_COST))
        costs = np.where(known[..., None], pinned, spread)
    return replace(view, guess=np.where(known, depth, 1 / planes[total.argmin(axis=2)]))


def _carried_over(view: FirstDepth, others: Sequence[FirstDepth]) -> Float[np.ndarray, "h w"]:
    """The nearest depth that falls on each pixel from the sure pixels of other views; NaN where none does."""
    nearest = np.full(view.depth.size, np.inf)
    for other in others:
        image_xy, depth = reprojected(view.view.camera, other.view.camera, other.depth)
        hit = (depth > 0) & inside(view.view.camera, image_xy)
        column, row = pixel_index(image_xy[hit]).T
        np.minimum.at(nearest, row * view.depth.shape[1] + column, depth[hit])
    return np.where(np.isfinite(nearest), nearest, np.nan).reshape(view.depth.shape)
