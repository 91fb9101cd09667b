"""How cameras of a capture relate: spacing, order along a path, which views go with which, and one image size for all.

One rule for each need: `nearest_photos` show most nearly what a camera sees, `nearest_by_step` are close whatever they
see, `views_with_parallax` can judge a view's depth, `views_looking_alike` should agree with a view about it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from gs_stereo.errors import InputError
from gs_stereo.geometry.projection import inside, project, unproject
from gs_stereo.types import Camera

_ANGLE_LIKE_ONE_SPACING_RAD = 0.5
"""Turning by this much parts two photos about as much as one typical step between cameras."""

_LEAST_SPACING_SHARE = 0.05
"""A spacing under this share of the median pairwise distance is noise of turning on the spot, not a step."""

_MAX_CHAIN_STARTS = 16

_OVERLAP_GRID = 8
_LEAST_OVERLAP = 0.3
_LEAST_PARALLAX = 0.01
_LEAST_AXIS_COSINE = 0.5

_ALIKE_ANGLE_RAD = 0.6
_ALIKE_DISTANCE = 0.5
SAME_DISTANCE = 1e-4
"""Centres closer than this share of the depth are one place."""


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


def nearest_photos(camera: Camera, photos: Sequence[Camera], depth: float, count: int) -> list[NearestPhoto]:
    """Up to `count` photos that differ least from `camera`, nearest first.

    Moving by `distance` shifts the view of content at `depth` by about distance / depth radians, so the measure is
    distance / depth + angle. An unknown depth (NaN) leaves the distance alone to decide.
    """
    distances = np.linalg.norm(camera_centres(photos) - camera.centre_in_world, axis=1)
    angles = np.arccos(np.clip(optical_axes(photos) @ camera.cam_from_world[2, :3], -1.0, 1.0))
    order = np.argsort(distances / depth + angles if depth > 0 else distances, kind="stable")[:count]
    return [NearestPhoto(index=int(k), distance=float(distances[k]), angle_rad=float(angles[k])) for k in order]


def nearest_by_step(cameras: Sequence[Camera], count: int) -> Int[np.ndarray, "n k"]:
    """For each camera the indices of up to `count` others with the smallest `step_costs`, nearest first."""
    costs = step_costs(cameras)
    np.fill_diagonal(costs, np.inf)
    return np.argsort(costs, axis=1, kind="stable")[:, : min(count, len(cameras) - 1)]


def views_with_parallax(
    view: Camera, cameras: Sequence[Camera], depth: float, count: int, parallax: float | None = None
) -> list[int]:
    """Indices of up to `count` cameras that can judge a view's depth: alike, but with parallax.

    The nearest first; or those whose distance, as a share of the depth, is most nearly `parallax` (by its logarithm).

    A camera is usable if it sees at least 30 % of the view's content at `depth` (scene units), looks within 60 degrees
    of the same way, and has moved by at least 1 % of the depth. Raises InputError unless depth is positive.
    """
    if not 0 < depth < float("inf"):
        raise InputError(f"Choosing neighbours needs a positive depth of the content, not {depth}.")
    steps = (np.arange(_OVERLAP_GRID) + 0.5) / _OVERLAP_GRID
    image_xy = np.stack(np.meshgrid(steps * view.width, steps * view.height), axis=-1).reshape(-1, 2)
    points = unproject(view, image_xy, np.full(len(image_xy), depth))
    ranked = []
    for index, camera in enumerate(cameras):
        distance = float(np.linalg.norm(camera.centre_in_world - view.centre_in_world))
        place, _ = project(camera, points)
        overlap = float(np.mean(inside(camera, place)))
        same_way = float(camera.cam_from_world[2, :3] @ view.cam_from_world[2, :3])
        if distance >= _LEAST_PARALLAX * depth and overlap >= _LEAST_OVERLAP and same_way >= _LEAST_AXIS_COSINE:
            rank = distance if parallax is None else abs(np.log(distance / depth / parallax))
            ranked.append((rank, index))
    return [index for _, index in sorted(ranked)[:count]]


def views_looking_alike(cameras: Sequence[Camera], depths: Sequence[float], count: int) -> list[list[int]]:
    """For each view the indices of up to `count` others that look the same way from nearby, nearest first.

    depths: of what each view sees; distances are shares of it. A view at the same place is no other. An unknown depth
    (NaN or 0) has no neighbours.
    """
    distances, angles = centre_distances(cameras), axis_angles(cameras)
    chosen = []
    for own, angle, depth in zip(distances, angles, depths, strict=True):
        near = own / depth if depth > 0 else np.full(len(cameras), np.nan)
        others = np.flatnonzero((near > SAME_DISTANCE) & (near < _ALIKE_DISTANCE) & (angle < _ALIKE_ANGLE_RAD))
        chosen.append(others[np.argsort((near + angle)[others], kind="stable")][:count].tolist())
    return chosen


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
