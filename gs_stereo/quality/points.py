"""The label's depth against the triangulated points of structure from motion."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.geometry.pixels import pixel_index
from gs_stereo.geometry.projection import inside, project
from gs_stereo.geometry.view_selection import nearest_photos
from gs_stereo.quality.check import median_of
from gs_stereo.types import Camera, SparseScene

_MAD_TO_SIGMA = 1.4826
_MAX_ERROR_PX = 1.5
_LEAST_TRACK = 3


@dataclass(frozen=True, kw_only=True)
class PointAgreement:
    """Median and spread (1.4826 MAD over the median) of label depth / point depth; NaN with too few points."""

    count: int
    factor: float = float("nan")
    spread: float = float("nan")


def compare_with_points(sample: ShardSample, scene: SparseScene, min_points: int) -> PointAgreement:
    """Compare a label with the points that its photo (or the photo nearest to a virtual view) has observed."""
    camera, depth = sample.rig.left, sample.scene_depth
    points = _observed_points(camera, depth, scene)
    image_xy, point_depth = project(camera, points)
    seen = inside(camera, image_xy)
    columns, rows = pixel_index(image_xy[seen]).T
    ratio = depth[rows, columns] / point_depth[seen]
    ratio = ratio[np.isfinite(ratio)]
    if len(ratio) < min_points:
        return PointAgreement(count=len(ratio))
    median = float(np.median(ratio))
    spread = _MAD_TO_SIGMA * float(np.median(np.abs(ratio - median))) / median
    return PointAgreement(count=len(ratio), factor=median, spread=spread)


def _observed_points(camera: Camera, depth: Float[np.ndarray, "h w"], scene: SparseScene) -> Float[np.ndarray, "n 3"]:
    """Well-triangulated points that the photo of the view, or the one nearest to it, has observed."""
    good = (scene.points.error_px <= _MAX_ERROR_PX) & (scene.points.track_length >= _LEAST_TRACK)
    names = [photo.name for photo in scene.cameras]
    nearest = [photo.index for photo in nearest_photos(camera, scene.cameras, median_of(depth), 1)]
    own = [names.index(camera.name)] if camera.name in names else nearest
    if not own or not scene.visible_points:
        return scene.points.xyz_in_world[good]
    visible = scene.visible_points[own[0]]
    return scene.points.xyz_in_world[visible[good[visible]]]
