"""All textures in one image with three mip levels, so that one lookup shades any ray.

Level 0 fills the left part; levels 1 and 2 stand to its right. Every chart has a border of copied edge texels, wide
enough for the coarsest level.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

LEVELS = 3
_BORDER = 1 << LEVELS
_WIDTH = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class Atlas:
    """Linear light, (rows, columns, 3). `origins` and `sizes` are (column, row) of each chart at level 0."""

    texels: Float32[np.ndarray, "h w 3"]
    origins: Int64[np.ndarray, "p 2"]
    sizes: Int64[np.ndarray, "p 2"]

    def sample(self, place: Float64[np.ndarray, "n 2"], level: Int64[np.ndarray, "n"]) -> Float32[np.ndarray, "n 3"]:
        """Bilinear lookup at level-0 image-plane positions (column, row; the first texel's centre is 0.5)."""
        import cv2

        scale = np.float32(0.5) ** level
        x = place[:, 0] * scale + np.where(level > 0, _WIDTH, 0) - 0.5
        y = place[:, 1] * scale + np.where(level > 1, self.texels.shape[0] // 2, 0) - 0.5
        count = len(place)
        if count == 0:
            return np.zeros((0, 3), np.float32)
        x, y = (np.pad(axis.astype(np.float32), (0, -count % _WIDTH)).reshape(-1, _WIDTH) for axis in (x, y))
        return np.asarray(cv2.remap(self.texels, x, y, cv2.INTER_LINEAR)).reshape(-1, 3)[:count]


def pack(charts: list[Float32[np.ndarray, "h w 3"]]) -> Atlas:
    """Lay charts on shelves, tallest first, and add the mip levels."""
    sizes = np.array([(chart.shape[1], chart.shape[0]) for chart in charts])
    outer = -(-(sizes + 2 * _BORDER) // _BORDER) * _BORDER
    origins = np.zeros_like(sizes)
    x = y = shelf = 0
    for index in np.argsort(-outer[:, 1], kind="stable"):
        if x + outer[index, 0] > _WIDTH:
            x, y, shelf = 0, y + shelf, 0
        origins[index] = (x + _BORDER, y + _BORDER)
        x, shelf = x + int(outer[index, 0]), max(shelf, int(outer[index, 1]))
    high = y + shelf
    texels = np.zeros((high, _WIDTH * 3 // 2, 3), np.float32)
    for chart, (left, top), (wide, tall), size in zip(charts, origins - _BORDER, outer, sizes, strict=True):
        after = (tall - _BORDER - size[1], wide - _BORDER - size[0])
        padded = np.pad(chart, ((_BORDER, after[0]), (_BORDER, after[1]), (0, 0)), mode="edge")
        texels[top : top + tall, left : left + wide] = padded
    level1 = _halved(texels[:, :_WIDTH])
    texels[: high // 2, _WIDTH:] = level1
    texels[high // 2 : high // 2 + high // 4, _WIDTH : _WIDTH + _WIDTH // 4] = _halved(level1)
    return Atlas(texels=texels, origins=origins, sizes=sizes)


def _halved(image: np.ndarray) -> np.ndarray:
    import cv2

    half = (image.shape[1] // 2, image.shape[0] // 2)
    return np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA))
