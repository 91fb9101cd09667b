"""How noisy a camera's images are, from any of them: variance = read^2 + shot^2 * level in 8-bit levels.

A photo's flattest blocks show nothing but noise. What is left of them after a filter that takes out every plane and
bend along the axes (Immerkaer, 1996) is measured by its mean absolute value, by brightness.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
_BLOCK_PX = 16
_FLATTEST_PERCENTILE = 10.0
_BIAS_OF_FLATTEST = 0.892
"""What white noise alone gives for its own standard deviation: measured on 80 fields of 480 x 640 px."""
_BIN_LEVELS = 16
_LEAST_BLOCKS = 30
_DARKEST, _BRIGHTEST = 6.0, 246.0
_ROUNDING = 1 / 12


@dataclass(frozen=True)
class Noise:
    """read: standard deviation at black, 8-bit levels. shot: standard deviation over the root of the level."""

    read: float
    shot: float


def noise_of(images: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Noise:
    """The noise of images of one camera; NaN where they have too few flat parts that are neither black nor white."""
    blocks = np.concatenate([_blocks(image) for image in images])
    level, spread = blocks[(blocks[:, 0] > _DARKEST) & (blocks[:, 0] < _BRIGHTEST)].T
    levels, variances = [], []
    for start in np.arange(0, 256, _BIN_LEVELS):
        inside = (level >= start) & (level < start + _BIN_LEVELS)
        if inside.sum() >= _LEAST_BLOCKS:
            levels.append(level[inside].mean())
            flattest = np.percentile(spread[inside], _FLATTEST_PERCENTILE) / _BIAS_OF_FLATTEST
            variances.append(max(flattest**2 - _ROUNDING, 0.0))
    if not levels:
        return Noise(float("nan"), float("nan"))
    x, y = np.array(levels), np.array(variances)
    slope = np.polyfit(x, y, 1)[0] if len(x) > 1 else 0.0
    slope = min(max(float(slope), 0.0), float(y.mean() / x.mean()))  # neither part is negative
    return Noise(float(np.sqrt(max(y.mean() - slope * x.mean(), 0.0))), float(np.sqrt(slope)))


def without_planes(gray: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """What a filter leaves that takes out every plane; white noise keeps its standard deviation."""
    import cv2

    return cv2.filter2D(gray, -1, _KERNEL)


def _blocks(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "n 2"]:
    """(mean level, spread of what no plane explains) of every whole block, of the green channel."""
    green = image[..., 1].astype(np.float32)
    rest = np.abs(without_planes(green)) * np.float32(np.sqrt(np.pi / 2))
    rows, columns = (side // _BLOCK_PX * _BLOCK_PX for side in green.shape)
    shape = rows // _BLOCK_PX, _BLOCK_PX, columns // _BLOCK_PX, _BLOCK_PX
    means = [values[:rows, :columns].reshape(shape).mean(axis=(1, 3)).ravel() for values in (green, rest)]
    return np.stack(means, axis=1)
