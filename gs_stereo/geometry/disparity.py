"""Disparity and depth of a rectified pair: d = f b / z - doffs, and warping by disparity.

Disparity belongs to the left image: x_right = x_left - d. NaN means unknown and stays NaN.
"""

import numpy as np
from jaxtyping import Float


def disparity_from_depth(
    depth: Float[np.ndarray, "..."], focal_times_baseline: float, doffs: float = 0.0
) -> Float[np.ndarray, "..."]:
    """Disparity in pixels of depth z in scene units; depth that is not positive and finite gives NaN."""
    valid = np.isfinite(depth) & (depth > 0)
    return np.where(valid, focal_times_baseline / np.where(valid, depth, 1.0) - doffs, np.nan).astype(depth.dtype)


def depth_from_disparity(
    disparity: Float[np.ndarray, "..."], focal_times_baseline: float, doffs: float = 0.0
) -> Float[np.ndarray, "..."]:
    """Depth in scene units of a disparity in pixels; NaN where the shifted disparity is not positive."""
    shifted = disparity + doffs
    valid = np.isfinite(shifted) & (shifted > 0)
    return np.where(valid, focal_times_baseline / np.where(valid, shifted, 1.0), np.nan).astype(disparity.dtype)


def warp_right_to_left(
    right: Float[np.ndarray, "h w c"], disparity: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w c"]:
    """The right image (or map) seen from the left pixels: out[i, j] = right[i, j - d], linear between columns.

    NaN where d is unknown or j - d lies outside the columns.
    """
    height, width = disparity.shape
    column = np.arange(width, dtype=np.float64) - disparity
    valid = np.isfinite(column) & (column >= 0) & (column <= width - 1)
    safe = np.where(valid, column, 0.0)
    low = np.clip(np.floor(safe).astype(np.int64), 0, max(width - 2, 0))
    high = np.minimum(low + 1, width - 1)
    weight = (safe - low)[..., None]
    rows = np.arange(height)[:, None]
    sampled = right[rows, low] * (1 - weight) + right[rows, high] * weight
    return np.where(valid[..., None], sampled, np.nan)
