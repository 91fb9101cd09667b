"""Checks that need no truth: do left and right disparity agree, and does the warped right image look like the left?"""

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.geometry.disparity import warp_right_to_left


def left_right_difference(
    left_disparity: Float[np.ndarray, "h w"], right_disparity: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """|d_left - d_right| in px at every left pixel, d_right taken at the nearest right pixel that it points to.

    Both disparities are >= 0: a right pixel at x matches the left pixel at x + d_right. NaN where either is unknown
    or the match lies outside the right image.
    """
    height, width = left_disparity.shape
    columns = np.arange(width) - left_disparity
    inside = np.isfinite(columns) & (columns >= -0.5) & (columns <= width - 0.5)
    nearest = np.clip(np.rint(np.where(inside, columns, 0.0)), 0, width - 1).astype(np.int64)
    there = right_disparity[np.arange(height)[:, None], nearest]
    return np.where(inside, np.abs(left_disparity - there), np.nan)


def warp_residual(
    left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"], disparity: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """|left - warped right|, mean over channels, in 8-bit levels; NaN without disparity or match in frame."""
    warped = warp_right_to_left(right.astype(np.float32), disparity)
    return np.abs(left.astype(np.float32) - warped).mean(axis=-1)
