"""What a disparity map's own shape says about its errors: steps, scatter and bends.

Surfaces are smooth nearly everywhere, and errors are largest beside steps. Unknown pixels count as infinitely far, so
that the border of a hole is a step.
"""

import cv2
import numpy as np
from jaxtyping import Float

_STEP_PX = 1.0
_FARTHEST_PX = 40.0
_WINDOW_PX = 7
_MEDIAN_PX = 5
Map = Float[np.ndarray, "h w"]


def near_step(disparity: Map) -> Map:
    """1 / (1 + distance to a step of more than 1 px between neighbours, at most 40 px); about 1/2 beside a step."""
    filled, window = _filled(disparity), np.ones((3, 3), np.uint8)
    step = cv2.dilate(filled, window) - cv2.erode(filled, window) > _STEP_PX
    if not step.any():
        return np.full(disparity.shape, 1 / (1 + _FARTHEST_PX))
    distance = cv2.distanceTransform((~step).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(1 / (1 + np.minimum(distance, _FARTHEST_PX)), np.float64)


def scatter_px(disparity: Map) -> Map:
    """Standard deviation within 7 x 7 pixels, less what the mean slope explains."""
    filled, window = _filled(disparity).astype(np.float64), (_WINDOW_PX, _WINDOW_PX)
    mean = cv2.blur(filled, window)
    variance = cv2.blur(filled**2, window) - mean**2
    slopes = [cv2.blur(cv2.Sobel(filled, cv2.CV_64F, *axis) / 8, window) for axis in ((1, 0), (0, 1))]
    # Along one axis of a window of n pixels, a plane of slope 1 has the variance (n^2 - 1) / 12.
    explained = (_WINDOW_PX**2 - 1) / 12 * (slopes[0] ** 2 + slopes[1] ** 2)
    return np.asarray(np.sqrt(np.maximum(variance - explained, 0)))


def bend_px(disparity: Map) -> Map:
    """|2 (sum of the four diagonal neighbours) - 8 times the pixel|: 0 on a plane, 8 times the height of a spike."""
    return np.asarray(np.abs(cv2.Laplacian(_filled(disparity), cv2.CV_32F, ksize=3)), np.float64)


def off_median_px(disparity: Map) -> Map:
    """Distance to the median of 5 x 5 pixels."""
    filled = _filled(disparity)
    return np.asarray(np.abs(filled - cv2.medianBlur(filled, _MEDIAN_PX)), np.float64)


def _filled(disparity: Map) -> Float[np.ndarray, "h w"]:
    return np.nan_to_num(disparity, nan=0.0).astype(np.float32)
