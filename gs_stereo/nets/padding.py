"""Replicate padding to the sizes a net accepts. Both images get the same padding, so disparities stay as they are."""

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

Maps = TypeVar("Maps", bound=Any)
PadSide = Literal["split", "right_bottom"]


@dataclass(frozen=True, kw_only=True)
class Padding:
    """Rows and columns to add around an image, in pixels."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def empty(self) -> bool:
        """True if there is nothing to add."""
        return not (self.top or self.bottom or self.left or self.right)

    def pad(self, image: np.ndarray) -> np.ndarray:
        """(H, W, ...) -> (H + top + bottom, W + left + right, ...), border pixels repeated."""
        rest = [(0, 0)] * (image.ndim - 2)
        return np.pad(image, [(self.top, self.bottom), (self.left, self.right), *rest], mode="edge")

    def crop(self, maps: Maps) -> Maps:
        """(..., H + top + bottom, W + left + right) -> (..., H, W), arrays or tensors."""
        height, width = maps.shape[-2:]
        inside: Maps = maps[..., self.top : height - self.bottom, self.left : width - self.right]
        return inside


def padding_to(size: tuple[int, int], target: tuple[int, int], side: PadSide = "split") -> Padding:
    """Padding from (height, width) to a target at least as large. An odd split puts the extra pixel right and below."""
    rows, columns = target[0] - size[0], target[1] - size[1]
    if side == "right_bottom":
        return Padding(top=0, bottom=rows, left=0, right=columns)
    return Padding(top=rows // 2, bottom=rows - rows // 2, left=columns // 2, right=columns - columns // 2)


def next_multiple(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """The smallest (height, width) not below `size` whose sides are multiples of `multiple`."""
    height, width = size
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple
