"""From a photo of any size to the size that a model works at, and back to the whole photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from gs_stereo.errors import InputError
from gs_stereo.imaging.resampling import resize_surface

_SMALLEST_SIDE_PX = 16
_LONGEST_SHAPE = 4.0


@dataclass(frozen=True, kw_only=True)
class Framing:
    """photo_wh -> resized by `scale` to resized_wh -> cropped at `left_top` (negative: padded) to model_wh.

    All sizes in pixels. `scale` is exact; resized_wh is rounded.
    """

    photo_wh: tuple[int, int]
    resized_wh: tuple[int, int]
    left_top: tuple[int, int]
    model_wh: tuple[int, int]
    scale: float

    def picture(self, photo: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "hm wm 3"]:
        """The photo as the model gets it; what lies outside repeats its border."""
        return self._cropped(np.asarray(Image.fromarray(photo).resize(self.resized_wh, Image.Resampling.LANCZOS)))

    def surface(self, values: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "hm wm"]:
        """Depth or disparity of the photo, framed like its picture; values as they are, NaN stays NaN."""
        width, height = self.resized_wh
        return self._cropped(resize_surface(values, (height, width)).astype(np.float64))

    def _cropped(self, resized: np.ndarray) -> np.ndarray:
        (width, height), (left, top), (wide, high) = self.resized_wh, self.left_top, self.model_wh
        columns = np.clip(np.arange(left, left + wide), 0, width - 1)
        rows = np.clip(np.arange(top, top + high), 0, height - 1)
        return np.ascontiguousarray(resized[rows][:, columns])

    def intrinsics(self, photo_intrinsics: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
        """K of the framed picture from that of the photo."""
        framed = np.array(photo_intrinsics, np.float64)
        framed[:2] *= self.scale
        framed[:2, 2] -= self.left_top
        return framed

    @property
    def shown_wh(self) -> tuple[int, int]:
        """Size of the part of the model's picture that shows the photo."""
        (width, height), (wide, high) = self.resized_wh, self.model_wh
        return min(width, wide), min(height, high)

    def unpadded(self, picture: UInt8[np.ndarray, "hm wm 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """That part."""
        (left, top), (width, height) = (max(0, -edge) for edge in self.left_top), self.shown_wh
        return np.ascontiguousarray(picture[top : top + height, left : left + width])

    def unpadded_intrinsics(self, photo_intrinsics: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
        """K of that part from that of the photo."""
        framed = self.intrinsics(photo_intrinsics)
        framed[:2, 2] -= np.maximum(0, -np.array(self.left_top))
        return framed

    def back(self, picture: UInt8[np.ndarray, "hm wm 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """A picture of the model's size at the size of the photo. InputError if the framing cut some of it off."""
        if max(self.left_top) > 0:
            raise InputError("A square crop has lost the sides of the photo; frame the whole photo instead.")
        return np.asarray(Image.fromarray(self.unpadded(picture)).resize(self.photo_wh, Image.Resampling.LANCZOS))


def square_framing(photo_wh: tuple[int, int], side: int) -> Framing:
    """The shorter side to `side` pixels and the middle square of it, as the published weights were trained."""
    _check(photo_wh)
    scale = side / min(photo_wh)
    resized = round(photo_wh[0] * scale), round(photo_wh[1] * scale)  # half to even
    left_top = (resized[0] - side) // 2, (resized[1] - side) // 2
    return Framing(photo_wh=photo_wh, resized_wh=resized, left_top=left_top, model_wh=(side, side), scale=scale)


def whole_framing(photo_wh: tuple[int, int], side: float, multiple: int = 64, rows: int | None = None) -> Framing:
    """The whole photo at about side^2 pixels, padded in the middle to multiples of `multiple` pixels.

    rows: the most that it may have.
    """
    _check(photo_wh)
    scale = side / (photo_wh[0] * photo_wh[1]) ** 0.5
    if rows is not None:
        scale = min(scale, rows / photo_wh[1])
    resized = max(1, round(photo_wh[0] * scale)), max(1, round(photo_wh[1] * scale))
    width, height = (max(1, -(-length // multiple)) * multiple for length in resized)
    left_top = -((width - resized[0]) // 2), -((height - resized[1]) // 2)
    return Framing(photo_wh=photo_wh, resized_wh=resized, left_top=left_top, model_wh=(width, height), scale=scale)


def _check(photo_wh: tuple[int, int]) -> None:
    width, height = photo_wh
    if min(photo_wh) < _SMALLEST_SIDE_PX or max(photo_wh) > _LONGEST_SHAPE * min(photo_wh):
        raise InputError(
            f"A photo of {width}x{height} is too small or too long for a second eye; give one of at least "
            f"{_SMALLEST_SIDE_PX} px whose sides differ by at most {_LONGEST_SHAPE:g} times."
        )
