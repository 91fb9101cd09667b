"""Structural similarity (Wang et al. 2004): the formula and the window that the metric, the fit and the training share.

For numpy arrays and torch tensors alike: who calls takes the means in its own windows.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

C1 = 0.01**2
C2 = 0.03**2
WINDOW_TAPS = 11
WINDOW_SIGMA = 1.5


def gaussian_window() -> Float[np.ndarray, "11"]:
    """The normalised one-dimensional window."""
    offset = np.arange(WINDOW_TAPS) - WINDOW_TAPS // 2
    window = np.exp(-(offset**2) / (2 * WINDOW_SIGMA**2))
    return window / window.sum()


def ssim_from_moments(mean_1: Any, mean_2: Any, variance_sum: Any, covariance: Any) -> Any:
    """SSIM at each pixel, of images in [0, 1], from the moments within its window. variance_sum: of both images."""
    luminance = (2 * mean_1 * mean_2 + C1) / (mean_1**2 + mean_2**2 + C1)
    return luminance * (2 * covariance + C2) / (variance_sum + C2)
