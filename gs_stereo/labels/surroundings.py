"""What the rest of the scene says about a view's depth: neighbouring views' depth, and the sparse points."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gs_stereo.geometry.pixels import pixel_index
from gs_stereo.geometry.projection import depth_seen_at, inside, project, unproject_depth_map
from gs_stereo.types import Camera, SparsePoints

_IN_FRONT = 1.05
_POINT_RADIUS_PX = 2
_SAME_SURFACE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthView:
    """A camera and the z depth it sees."""

    camera: Camera
    depth: Float[np.ndarray, "h w"]


def inverse_depth_from_neighbours(view: DepthView, neighbours: Sequence[DepthView]) -> Float[np.ndarray, "h w"]:
    """Inverse depth of each pixel of `view` according to its neighbours: the median of their answers, NaN without any.

    A pixel's point is projected into a neighbour and compared with the depth there, to first order. A neighbour that
    sees a surface more than 5 % nearer is blocked and says nothing.
    """
    points = unproject_depth_map(view.camera, view.depth.astype(np.float64))
    own = 1 / np.where(view.depth > 0, view.depth.astype(np.float64), np.nan)
    if not neighbours:
        return np.full(own.shape, np.nan, np.float32)
    answers = []
    for neighbour in neighbours:
        seen = depth_seen_at(neighbour.camera, neighbour.depth, points)
        unblocked = (seen.there > 0) & (seen.there * _IN_FRONT > seen.own)
        answers.append(own + (1 / np.where(unblocked, seen.there, np.nan) - 1 / seen.own))
    return median_known(answers).astype(np.float32)


def inverse_depth_from_points(view: DepthView, points: SparsePoints) -> Float[np.ndarray, "h w"]:
    """Inverse depth of the sparse points, within two pixels of where they project; NaN elsewhere.

    A point counts if it is within a tenth of the view's own depth: others are hidden behind a surface, or wrong. The
    pixels around a point follow the slope of the view's depth.
    """
    answer = np.full(view.depth.shape, np.nan, np.float32)
    image_xy, z = project(view.camera, points.xyz_in_world)
    seen = (z > 0) & inside(view.camera, np.nan_to_num(image_xy, nan=-1.0))
    index = pixel_index(image_xy[seen])
    column, row = index[:, 0], index[:, 1]
    inverse = 1 / view.depth.astype(np.float64)
    own, point = inverse[row, column], 1 / z[seen]
    with np.errstate(invalid="ignore"):
        good = np.abs(point / own - 1) < _SAME_SURFACE
    row, column, change = row[good], column[good], (point - own)[good]
    steps = range(-_POINT_RADIUS_PX, _POINT_RADIUS_PX + 1)
    height, width = view.camera.height, view.camera.width
    for dy, dx in sorted(((y, x) for y in steps for x in steps), key=lambda step: -(step[0] ** 2 + step[1] ** 2)):
        i, j = np.clip(row + dy, 0, height - 1), np.clip(column + dx, 0, width - 1)
        answer[i, j] = inverse[i, j] + change
    return answer


def median_known(maps: Sequence[Float[np.ndarray, "*shape"]]) -> Float[np.ndarray, "*shape"]:
    """Median over the maps that know a pixel, NaN where none does. At least one map."""
    ordered = np.sort(np.stack(maps), axis=0)  # NaN sorts last
    known = np.isfinite(ordered).sum(axis=0)[None]
    low, high = (np.take_along_axis(ordered, np.maximum(k, 0), 0)[0] for k in ((known - 1) // 2, known // 2))
    return np.where(known[0] % 2 == 1, low, 0.5 * (low + high))
