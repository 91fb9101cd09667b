"""The one place that knows where a pixel's centre is.

Here the centre of pixel (row i, column j) is (j + 0.5, i + 0.5), as in COLMAP and gsplat. OpenCV, KITTI and
Middlebury put it at (j, i); their intrinsics pass through this module and nowhere else.
"""

import numpy as np
from jaxtyping import Float

PIXEL_CENTRE = 0.5


def pixel_centres(width: int, height: int) -> Float[np.ndarray, "h w 2"]:
    """Image-plane coordinates (x, y) of every pixel centre."""
    x = np.arange(width, dtype=np.float64) + PIXEL_CENTRE
    y = np.arange(height, dtype=np.float64) + PIXEL_CENTRE
    return np.stack(np.meshgrid(x, y), axis=-1)


def intrinsics_from_opencv(intrinsics: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """K with integer pixel centres (OpenCV, KITTI, Middlebury) as K with centres at + 0.5."""
    moved = np.array(intrinsics, dtype=np.float64)
    moved[:2, 2] += PIXEL_CENTRE
    return moved


def intrinsics_to_opencv(intrinsics: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """The inverse of `intrinsics_from_opencv`."""
    moved = np.array(intrinsics, dtype=np.float64)
    moved[:2, 2] -= PIXEL_CENTRE
    return moved


def pixel_index(image_xy: Float[np.ndarray, "... 2"]) -> np.ndarray:
    """Column and row (int64) of the pixel that holds an image-plane point. May lie outside the image."""
    return np.floor(image_xy).astype(np.int64)
