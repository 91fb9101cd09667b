"""How sharp and how varied an image is.

Three questions, three measures: `frame_sharpness` ranks frames of one video, `fine_detail` compares a render with the
photo of the same place, and `edge_width_px2` tells how many pixels any image is blurred.

The width of an edge is measured without a reference (after Zhuo and Sim 2011): blur the image twice with known sigmas
a < b. At a step edge of width s the gradients have the ratio R = sqrt((s^2 + b^2) / (s^2 + a^2)), so
s^2 = (b^2 - R^2 a^2) / (R^2 - 1). It does not depend on the contrast, and hardly on the content: a photo always has
some sharp edges, and a blurred image has none, so the sharpest quarter of the strong edges tells. Upright and level
edges are measured apart and the wider ones count, because a moving camera blurs only one kind.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gs_stereo.imaging.images import nearest_size, resize_to

Gradient = tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]
"""Derivatives along x and y."""

_SIGMA_A, _SIGMA_B = 1.0, 2.0
_SHARPEST_PERCENTILE = 25.0
_STRONG_PERCENTILE = 80.0
_LEAST_GRADIENT = 0.5
_LEAST_EDGE_PIXELS = 50
_LARGEST_PX2 = 100.0
_FRAME_EDGE_PX = 640
_DETAIL_SIGMA_PX = 1.5


def edge_width_px2(image: UInt8[np.ndarray, "h w 3"]) -> float:
    """Squared sigma, in px^2, of the blur of the sharpest quarter of the strong edges; NaN without edges.

    Blurring by a sigma adds its square. Lines and texture finer than a pixel are sharper than a step: below 0.
    """
    import cv2

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = (_gradient(cv2.GaussianBlur(gray, (0, 0), sigma)) for sigma in (_SIGMA_A, _SIGMA_B))
    widths = [_sharpest_width(fine, coarse, ridge) for ridge in _ridges(*fine)]
    return float(np.nanmax(widths)) if np.isfinite(widths).any() else float("nan")


def _sharpest_width(fine: Gradient, coarse: Gradient, ridge: Bool[np.ndarray, "h w"]) -> float:
    size = np.hypot(*fine)
    strong = ridge & (size > _LEAST_GRADIENT)
    if strong.sum() < _LEAST_EDGE_PIXELS:
        return float("nan")
    strong &= size >= np.percentile(size[strong], _STRONG_PERCENTILE)
    ratio = size[strong] / np.maximum(np.hypot(*coarse)[strong], 1e-6)
    squared = np.square(ratio.astype(np.float64))
    widths = (_SIGMA_B**2 - squared * _SIGMA_A**2) / np.maximum(squared - 1, 1e-6)
    return float(np.percentile(np.minimum(widths, _LARGEST_PX2), _SHARPEST_PERCENTILE))


def extra_blur_px(width_px2: float, reference_px2: float) -> float:
    """Sigma of the blur that turns edges like the reference into these; 0 if they are sharper, NaN if unknown."""
    extra = width_px2 - reference_px2
    return float(np.sqrt(max(extra, 0.0))) if np.isfinite(extra) else float("nan")


def frame_sharpness(image: UInt8[np.ndarray, "h w 3"]) -> float:
    """Variance of the Laplacian of the gray image, at a fixed size so that sensor noise counts less.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    import cv2

    small = resize_to(image, *nearest_size(image.shape[1], image.shape[0], _FRAME_EDGE_PX))
    return float(cv2.Laplacian(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())


def fine_detail(image: UInt8[np.ndarray, "h w 3"]) -> float:
    """Mean absolute difference of the brightness (in [0, 1]) to its own Gaussian blur of 1.5 px."""
    import cv2

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    return float(np.abs(gray - cv2.GaussianBlur(gray, (0, 0), _DETAIL_SIGMA_PX)).mean())


def contrast(image: UInt8[np.ndarray, "h w 3"]) -> float:
    """Standard deviation of the brightness in 8-bit levels."""
    import cv2

    return float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32).std())


def _gradient(gray: Float[np.ndarray, "h w"]) -> Gradient:
    dy, dx = np.gradient(gray)
    return dx, dy


def _ridges(dx: Float[np.ndarray, "h w"], dy: Float[np.ndarray, "h w"]) -> Iterator[Bool[np.ndarray, "h w"]]:
    """Upright edges, then level ones: pixels whose gradient is larger than that of both neighbours across the edge."""
    size = np.hypot(dx, dy)
    padded = np.pad(size, 1)
    centre = padded[1:-1, 1:-1]
    upright = np.abs(dx) >= np.abs(dy)
    yield upright & (centre >= padded[1:-1, :-2]) & (centre > padded[1:-1, 2:])
    yield ~upright & (centre >= padded[:-2, 1:-1]) & (centre > padded[2:, 1:-1])
