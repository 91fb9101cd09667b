"""Which photos can judge the depth of a view: near enough to look alike, far enough for parallax."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gs_stereo.errors import InputError
from gs_stereo.geometry.projection import inside, project, unproject
from gs_stereo.types import Camera

_GRID = 8
_LEAST_OVERLAP = 0.3
_LEAST_PARALLAX = 0.01
_MOST_AXIS_ANGLE_COSINE = 0.5


def choose_views(left: Camera, cameras: Sequence[Camera], depth: float, count: int) -> list[int]:
    """Indices of up to `count` cameras, nearest first.

    A camera is usable if it sees at least 30 % of the view's content at `depth` (scene units), looks within 60 degrees
    of the same way, and has moved by at least 1 % of the depth. Raises InputError unless depth is positive.
    """
    if not 0 < depth < float("inf"):
        raise InputError(f"Choosing neighbours needs a positive depth of the content, not {depth}.")
    steps = (np.arange(_GRID) + 0.5) / _GRID
    image_xy = np.stack(np.meshgrid(steps * left.width, steps * left.height), axis=-1).reshape(-1, 2)
    points = unproject(left, image_xy, np.full(len(image_xy), depth))
    ranked = []
    for index, camera in enumerate(cameras):
        distance = float(np.linalg.norm(camera.centre_in_world - left.centre_in_world))
        place, z = project(camera, points)
        overlap = float(np.mean((z > 0) & inside(camera, np.nan_to_num(place, nan=-1.0))))
        same_way = float(camera.cam_from_world[2, :3] @ left.cam_from_world[2, :3])
        if distance >= _LEAST_PARALLAX * depth and overlap >= _LEAST_OVERLAP and same_way >= _MOST_AXIS_ANGLE_COSINE:
            ranked.append((distance, index))
    return [index for _, index in sorted(ranked)[:count]]
