"""Whether the photos see one colour at a depth: what changes with the eye is a reflection, or the depth is wrong.

Correlation of windows cannot tell: it forgives another brightness, and where there is no texture it has nothing to say.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float

from gs_stereo.geometry.projection import project, unproject_depth_map
from gs_stereo.mvs.views import PosedImage

_EVERY_PX = 2
_FEWEST = 2


def colour_difference(
    left: PosedImage, photos: Sequence[PosedImage], inverse_depth: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """Mean difference of a pixel's colour to that in the better half of the photos, in 8-bit levels of its channels.

    The other half may be blocked. NaN where fewer than two photos show the place, or its depth is unknown.
    """
    camera = left.camera.resized(max(1, left.camera.width // _EVERY_PX), max(1, left.camera.height // _EVERY_PX))
    size = (camera.width, camera.height)
    own = cv2.resize(left.image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    depth = 1 / cv2.resize(inverse_depth.astype(np.float64), size, interpolation=cv2.INTER_NEAREST)
    points = unproject_depth_map(camera, depth)
    differences = []
    for photo in photos:
        x, y = np.moveaxis(project(photo.camera, points)[0].astype(np.float32) - np.float32(0.5), -1, 0)
        there = (x >= 0) & (y >= 0) & (x <= photo.camera.width - 1) & (y <= photo.camera.height - 1)
        seen = cv2.remap(photo.image, np.where(there, x, 0), np.where(there, y, 0), cv2.INTER_LINEAR)
        differences.append(np.where(there, np.abs(own - seen).mean(axis=2), np.inf))
    ordered = np.sort(np.stack(differences), axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    half = np.arange(len(photos))[:, None, None] < (count + 1) // 2
    mean = np.where(half, np.where(np.isfinite(ordered), ordered, 0), 0).sum(axis=0) / np.maximum((count + 1) // 2, 1)
    found = np.where(count >= _FEWEST, mean, np.nan)
    whole = (left.camera.width, left.camera.height)
    return np.asarray(cv2.resize(found, whole, interpolation=cv2.INTER_NEAREST))
