"""Image quality: PSNR and SSIM of rendered images against photos.

Images are (H, W, 3) in [0, 1]. SSIM (Wang et al. 2004) is defined exactly as in the fit's D-SSIM loss: Gaussian
window of 11 taps with sigma 1.5, zero padding, C1 = 0.01^2, C2 = 0.03^2, the mean over all pixels and channels.
"""

import math

import numpy as np
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.imaging.ssim import gaussian_window, ssim_from_moments


def psnr(image: Float[np.ndarray, "h w 3"], reference: Float[np.ndarray, "_ _ 3"]) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 1; infinite for equal images."""
    _require_same_shape(image, reference)
    error = float(np.mean(np.square(image.astype(np.float64) - reference)))
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(image: Float[np.ndarray, "h w 3"], reference: Float[np.ndarray, "_ _ 3"]) -> float:
    """Mean structural similarity, at most 1."""
    _require_same_shape(image, reference)
    x, y = image.astype(np.float64), reference.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    variance_sum = (_blur(x * x) - mean_x**2) + (_blur(y * y) - mean_y**2)
    return float(np.mean(ssim_from_moments(mean_x, mean_y, variance_sum, _blur(x * y) - mean_x * mean_y)))


def _blur(image: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """The image under the window, with zeros outside."""
    import cv2

    window = gaussian_window()
    return np.asarray(cv2.sepFilter2D(image, cv2.CV_64F, window, window, borderType=cv2.BORDER_CONSTANT))


def _require_same_shape(image: np.ndarray, reference: np.ndarray) -> None:
    if image.shape != reference.shape or image.size == 0:
        raise InputError(
            f"Images of shapes {image.shape} and {reference.shape} cannot be compared; render at the photo's size."
        )
