"""Which left pixels are hidden in the right image, from the left disparity alone.

Every left pixel is drawn into its row of the right image at sub-pixel bins; the largest disparity stays (z-buffer).
A pixel's footprint reaches half way to its neighbours on the same surface, so that a stretched slope leaves no cracks.
With exact disparity the hidden pixels of a path-traced room are found with F1 0.95, 0.96 and 0.97 at 0.05, 0.10 and
0.20 m: the place of an edge inside its pixel is not known, and that is the limit.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

_BINS_PER_PX = 4
_SAME_SURFACE_PX = 1.0
_WIDEST_PX = 2.0


def hidden_by_warping(
    disparity: Float[np.ndarray, "h w"], tolerance_px: float | Float[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """True where a surface nearer by more than `tolerance_px` (and the local slope) covers the point at the right.

    False where the disparity is NaN or the point leaves the right image.
    """
    height, width = disparity.shape
    nearest = _right_buffer(disparity)
    x_right = np.arange(width) + 0.5 - disparity
    inside = np.isfinite(x_right) & (x_right >= 0) & (x_right < width)
    bins = np.floor(np.where(inside, x_right, 0.0) * _BINS_PER_PX).astype(np.int64)
    front = nearest[np.arange(height)[:, None], bins]
    return np.asarray(inside & (front > disparity + tolerance_px + _slope(disparity)))


def _right_buffer(disparity: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h b"]:
    """Largest disparity in each bin of the right image; -inf where nothing falls."""
    height, width = disparity.shape
    known = np.isfinite(disparity)
    values, row_start = disparity[known], np.nonzero(known)[0] * (width * _BINS_PER_PX)
    first, last = (side[known] for side in _footprints(disparity))
    buffer = np.full(height * width * _BINS_PER_PX, -np.inf)
    for step in range(int((last - first).max(initial=-1)) + 1):
        place = first + step
        drawn = (place <= last) & (place >= 0) & (place < width * _BINS_PER_PX)
        np.maximum.at(buffer, row_start[drawn] + place[drawn], values[drawn])
    return buffer.reshape(height, width * _BINS_PER_PX)


def _footprints(disparity: Float[np.ndarray, "h w"]) -> tuple[np.ndarray, np.ndarray]:
    """First and last bin whose centre the pixel covers in the right image."""
    x_right = np.arange(disparity.shape[1]) + 0.5 - np.nan_to_num(disparity)
    left, right = x_right - 0.5, x_right + 0.5
    with np.errstate(invalid="ignore"):
        joined = np.abs(np.diff(disparity, axis=1)) <= _SAME_SURFACE_PX
    middle = 0.5 * (x_right[:, 1:] + x_right[:, :-1])
    left[:, 1:] = np.where(joined, np.minimum(middle, x_right[:, 1:]), left[:, 1:])
    right[:, :-1] = np.where(joined, np.maximum(middle, x_right[:, :-1]), right[:, :-1])
    right = np.minimum(right, left + _WIDEST_PX)
    return tuple(np.ceil(side * _BINS_PER_PX - 0.5).astype(np.int64) - end for side, end in ((left, 0), (right, 1)))


def _slope(disparity: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """The smaller step to the row neighbours: the slope of a surface, not the height of an edge."""
    step = np.abs(np.diff(disparity, axis=1, prepend=np.nan, append=np.nan))
    return np.nan_to_num(np.fmin(step[:, :-1], step[:, 1:]), nan=0.0)
