"""Disparity and confidence maps at another size. Disparities are rescaled by the exact ratio of the widths."""

import numpy as np
from jaxtyping import Float

# Between two samples of one surface, linear and nearest differ by at most half the disparity slope. Above this many
# pixels of the source the samples lie on two surfaces, and a mixture would be a point in mid-air.
_EDGE_STEP_PX = 0.5


def resize_disparity(disparity: Float[np.ndarray, "h w"], size: tuple[int, int]) -> Float[np.ndarray, "h2 w2"]:
    """Disparity at (height, width) `size`, in pixels of that size: values times the ratio of the widths."""
    return resize_surface(disparity, size) * np.float32(size[1] / disparity.shape[1])


def resize_surface(values: Float[np.ndarray, "h w"], size: tuple[int, int]) -> Float[np.ndarray, "h2 w2"]:
    """A map of disparities at (height, width) `size`, values as they are.

    Bilinear on a surface; the nearest sample at depth edges and beside NaN, so that nothing is mixed.
    """
    import cv2

    source = values.astype(np.float32)
    if source.shape == tuple(size):
        return source
    height, width = size
    nearest = cv2.resize(source, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    linear = cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR)
    smooth = np.abs(linear - nearest) <= _EDGE_STEP_PX  # False where either is NaN
    return np.where(smooth, linear, nearest)


def resize_confidence(confidence: Float[np.ndarray, "h w"], size: tuple[int, int]) -> Float[np.ndarray, "h2 w2"]:
    """Confidence at (height, width) `size`, bilinear."""
    import cv2

    if confidence.shape == tuple(size):
        return confidence.copy()
    return cv2.resize(confidence.astype(np.float32, copy=False), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
