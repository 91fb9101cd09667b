"""How cameras of a capture relate: spacing, order along a path, nearest photo, and one image size for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from gs_stereo.types import Camera

_ANGLE_LIKE_ONE_SPACING_RAD = 0.5
"""Turning by this much parts two photos about as much as one typical step between cameras."""

_LEAST_SPACING_SHARE = 0.05
"""A spacing under this share of the median pairwise distance is noise of turning on the spot, not a step."""

_MAX_CHAIN_STARTS = 16


def camera_centres(cameras: Sequence[Camera]) -> Float[np.ndarray, "n 3"]:
    """Projection centres in the world."""
    return np.array([camera.centre_in_world for camera in cameras]).reshape(-1, 3)


def optical_axes(cameras: Sequence[Camera]) -> Float[np.ndarray, "n 3"]:
    """Viewing directions in the world, unit length."""
    return np.array([camera.cam_from_world[2, :3] for camera in cameras]).reshape(-1, 3)


def centre_distances(cameras: Sequence[Camera]) -> Float[np.ndarray, "n n"]:
    """Distance between every two camera centres."""
    centres = camera_centres(cameras)
    return np.array(np.linalg.norm(centres[:, None] - centres[None], axis=-1))


def axis_angles(cameras: Sequence[Camera]) -> Float[np.ndarray, "n n"]:
    """Angle in radians between every two optical axes."""
    axes = optical_axes(cameras)
    return np.array(np.arccos(np.clip(axes @ axes.T, -1.0, 1.0)))


def capture_spacing(cameras: Sequence[Camera]) -> float:
    """The median distance from a camera to its nearest other camera, in scene units; NaN for fewer than two."""
    if len(cameras) < 2:
        return float("nan")
    distances = centre_distances(cameras)
    np.fill_diagonal(distances, np.inf)
    return float(np.median(distances.min(axis=1)))


def step_costs(cameras: Sequence[Camera]) -> Float[np.ndarray, "n n"]:
    """How far apart two views are: distance in typical spacings plus the angle between their axes."""
    distances = centre_distances(cameras)
    pairwise = distances[np.triu_indices(len(cameras), 1)]
    floor = _LEAST_SPACING_SHARE * float(np.median(pairwise)) if len(pairwise) else 0.0
    spacing = max(capture_spacing(cameras), floor) if len(cameras) > 1 else 0.0
    in_spacings = distances / spacing if spacing > 0 else np.zeros_like(distances)
    return in_spacings + axis_angles(cameras) / _ANGLE_LIKE_ONE_SPACING_RAD


def short_path(cameras: Sequence[Camera]) -> Int[np.ndarray, "n"]:
    """An order of the cameras whose neighbours lie close together.

    The shortest of the given order (captures are often walks) and of nearest-neighbour chains from up to 16 starts.
    """
    costs = step_costs(cameras)
    count = len(cameras)
    if count < 3:
        return np.arange(count)
    starts = sorted({number * count // _MAX_CHAIN_STARTS for number in range(_MAX_CHAIN_STARTS)})
    chains = [_nearest_neighbour_chain(costs, start) for start in starts]
    given, *lengths = (float(costs[order[:-1], order[1:]].sum()) for order in [np.arange(count), *chains])
    best = int(np.argmin(lengths))
    # A chain must be really shorter: rounding must not turn a walk round.
    return chains[best] if lengths[best] < 0.999 * given else np.arange(count)


def _nearest_neighbour_chain(costs: Float[np.ndarray, "n n"], start: int) -> Int[np.ndarray, "n"]:
    left = np.ones(len(costs), dtype=bool)
    order = [start]
    left[start] = False
    while left.any():
        order.append(int(np.argmin(np.where(left, costs[order[-1]], np.inf))))
        left[order[-1]] = False
    return np.array(order, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class NearestPhoto:
    """The photo closest to a view: its index, the distance of the centres and the angle between the axes."""

    index: int
    distance: float
    angle_rad: float


def nearest_photo(camera: Camera, photos: Sequence[Camera], depth: float) -> NearestPhoto | None:
    """The photo that differs least from `camera`; None without photos.

    Moving by `distance` shifts the view of content at `depth` by about distance / depth radians, so the measure is
    distance / depth + angle. An unknown depth (NaN) leaves the distance alone to decide.
    """
    if not photos:
        return None
    distances = np.linalg.norm(camera_centres(photos) - camera.centre_in_world, axis=1)
    cosines = optical_axes(photos) @ camera.cam_from_world[2, :3]
    angles = np.arccos(np.clip(cosines, -1.0, 1.0))
    index = int(np.argmin(distances / depth + angles if depth > 0 else distances))
    return NearestPhoto(index=index, distance=float(distances[index]), angle_rad=float(angles[index]))


def common_size(cameras: Sequence[Camera], width: int | None = None, height: int | None = None) -> tuple[int, int]:
    """One (width, height) in pixels for all images of a data set.

    Both given: those. One given: the other follows the aspect of the most common size. None given: the most common
    size (the smallest of several equally common ones).
    """
    if width is not None and height is not None:
        return width, height
    sizes = Counter((camera.width, camera.height) for camera in cameras)
    usual = min(sizes, key=lambda size: (-sizes[size], size))
    if width is not None:
        return width, max(1, round(width * usual[1] / usual[0]))
    if height is not None:
        return max(1, round(height * usual[0] / usual[1])), height
    return usual


def fitted_to_size(camera: Camera, width: int, height: int) -> Camera:
    """The view cropped about the image centre to the aspect of width x height, then resized; same pose.

    The crop may start between two pixels: a rendered view has no grid to respect, and the pixels stay as square as
    they were. Equal sizes give the camera unchanged.
    """
    if (camera.width, camera.height) == (width, height):
        return camera
    scale = max(width / camera.width, height / camera.height)
    intrinsics = camera.intrinsics.astype(np.float64)
    intrinsics[:2] *= scale
    intrinsics[0, 2] -= 0.5 * (camera.width * scale - width)
    intrinsics[1, 2] -= 0.5 * (camera.height * scale - height)
    return replace(camera, width=width, height=height, intrinsics=intrinsics)
