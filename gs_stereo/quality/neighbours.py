"""Do the labels of neighbouring views describe the same surfaces? And do samples repeat each other?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.geometry.pixels import pixel_centres, pixel_index
from gs_stereo.geometry.projection import inside, project, unproject
from gs_stereo.geometry.view_selection import SAME_DISTANCE, axis_angles, centre_distances, views_looking_alike
from gs_stereo.quality.check import median_of
from gs_stereo.types import Camera

MAP_EDGE_PX = 256
"""Depth maps are kept at about this width for the comparison."""

THUMBNAIL = (32, 24)
_NEIGHBOURS = 2
_POINT_STRIDE = 3
_AGREES = 0.03
_LEAST_POINTS = 100
_SAME_ANGLE_RAD = 1e-3
_SAME_BASELINE = 0.01
_SAME_LEVELS = 0.8
_BLANK_LEVELS = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class SmallView:
    """What is kept of a sample to compare it with others.

    camera: of the left eye. depth: of every stride-th pixel of it, float32. thumbnail: gray, 8-bit levels.
    """

    view_id: str
    camera: Camera
    baseline: float
    depth: Float[np.ndarray, "h w"]
    stride: int
    thumbnail: Float[np.ndarray, "24 32"]

    @property
    def image_xy(self) -> Float[np.ndarray, "h w 2"]:
        """Image-plane points of `depth`."""
        height, width = self.depth.shape
        return pixel_centres(width, height) * self.stride + (self.stride // 2 - 0.5 * (self.stride - 1))

    @property
    def typical_depth(self) -> float:
        return median_of(self.depth)


def conflict_shares(views: Sequence[SmallView]) -> Float[np.ndarray, "n"]:
    """For each view, the share of its label points that the labels of its two nearest neighbours contradict.

    A point that lies in a neighbour's image must not float before what the neighbour sees (by more than 3 %); one
    that lies behind may be hidden and is not judged. NaN without a neighbour that looks the same way.
    """
    near = views_looking_alike([view.camera for view in views], [view.typical_depth for view in views], _NEIGHBOURS)
    return np.array([_conflict(view, [views[k] for k in others]) for view, others in zip(views, near, strict=True)])


def _conflict(view: SmallView, others: Sequence[SmallView]) -> float:
    part = (slice(None, None, _POINT_STRIDE), slice(None, None, _POINT_STRIDE))
    known = np.isfinite(view.depth[part])
    points = unproject(view.camera, view.image_xy[part][known], view.depth[part][known].astype(np.float64))
    before, judged = 0, 0
    for other in others:
        image_xy, depth = project(other.camera, points)
        seen = inside(other.camera, image_xy)
        cells = pixel_index(image_xy[seen] / other.stride)
        height, width = other.depth.shape
        there = other.depth[np.minimum(cells[:, 1], height - 1), np.minimum(cells[:, 0], width - 1)]
        ratio = depth[seen] / there
        before += int((ratio < 1 - _AGREES).sum())
        judged += int((ratio < 1 + _AGREES).sum())
    return before / judged if judged >= _LEAST_POINTS else float("nan")


def repeats(views: Sequence[SmallView]) -> Bool[np.ndarray, "n"]:
    """True for a sample that repeats an earlier one: same rig at the same place, or the same picture.

    Samples of one view with several baselines are meant, and are none.
    """
    count = len(views)
    repeated = np.zeros(count, dtype=bool)
    if count < 2:
        return repeated
    cameras = [view.camera for view in views]
    depths = np.array([view.typical_depth for view in views])
    baselines = np.array([view.baseline for view in views])
    names = np.array([view.view_id for view in views])
    thumbnails = np.stack([view.thumbnail.ravel() for view in views])
    distances, angles = centre_distances(cameras), axis_angles(cameras)
    for index in range(1, count):
        earlier = slice(0, index)
        near = distances[index, earlier] <= SAME_DISTANCE * np.nan_to_num(depths[index], nan=1.0)
        same_pose = near & (angles[index, earlier] <= _SAME_ANGLE_RAD)
        same_rig = np.abs(baselines[earlier] / baselines[index] - 1) <= _SAME_BASELINE
        alike = np.abs(thumbnails[earlier] - thumbnails[index]).mean(axis=1) <= _SAME_LEVELS
        same_picture = alike & (names[earlier] != names[index]) & (thumbnails[index].std() > _BLANK_LEVELS)
        repeated[index] = bool(((same_pose & same_rig) | same_picture).any())
    return repeated
