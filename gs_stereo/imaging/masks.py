"""Which pixels of a photo show the scene: masks given beside photos, and transparent parts of photos.

A mask map knows three cases. SHOWN: the pixel shows the scene. HIDDEN: something else is before it, in this photo; what
lies behind is for other photos to say. EMPTY: nothing is there, as around an object that was cut out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import open_photo, orientation_of, photo_size

if TYPE_CHECKING:
    from PIL import Image

SHOWN, HIDDEN, EMPTY = 255, 128, 0
"""Gray levels of a mask map."""

_QUARTER_TURNS: Mapping[int, Callable[[np.ndarray], np.ndarray]] = {
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: np.rot90,
}
"""By EXIF orientation: from pixels as they are stored to the upright picture."""

_OPAQUE = 128
_TINT = (255, 40, 60)
_HALF = 128


@dataclass(frozen=True, kw_only=True)
class GivenMask:
    """A mask file of a photo: white (all that is not black) is used. inverted: black is. empty: the rest is EMPTY."""

    path: Path
    inverted: bool = False
    empty: bool = False

    def used(self, photo: Path, *, upright: bool) -> Bool[np.ndarray, "h w"]:
        """Where the photo is used, in its size; InputError if the mask is broken, of another shape, or black all over.

        Of photos that EXIF turns, the mask may be of the turned picture or of the pixels as they are stored.
        """
        with open_photo(self.path) as image:
            white = _not_black(image)
        size = photo_size(photo, upright=upright)
        if upright and not _same_shape(white, size):
            with open_photo(photo) as image:
                white = _QUARTER_TURNS.get(orientation_of(image), np.asarray)(white)
        if not _same_shape(white, size):
            height, width = white.shape
            raise InputError(
                f"The mask {self.path} has {width} x {height} pixels, its photo {size[0]} x {size[1]}; "
                "make masks of the size of the photos."
            )
        white = cv2.resize(white.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        used: Bool[np.ndarray, "h w"] = white != self.inverted
        if not used.any():
            raise InputError(
                f"The mask {self.path} leaves nothing of its photo: {'black' if self.inverted else 'white'} is used; "
                f"remove the photo, or set invert_masks={str(not self.inverted).lower()} if it is the other way round."
            )
        return used


def read_mask(photo: Path, given: GivenMask | None = None, *, upright: bool = True) -> UInt8[np.ndarray, "h w"] | None:
    """The mask map of a photo in the size that `read_photo` gives; None if all of it shows the scene.

    Where alpha is under one half it is EMPTY, whatever `given` says.
    """
    opaque = _opaque(photo, upright=upright)
    used = None if given is None else given.used(photo, upright=upright)
    if opaque is None and (used is None or used.all()):
        return None
    black = EMPTY if given is not None and given.empty else HIDDEN
    mask = np.where(True if used is None else used, np.uint8(SHOWN), np.uint8(black))
    return np.where(True if opaque is None else opaque, mask, np.uint8(EMPTY))


def white_where(mask: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """The mask as a gray image, white where it is True."""
    return np.where(mask, np.uint8(255), np.uint8(0))


def resampled(
    mask: UInt8[np.ndarray, "h w"], resample: Callable[[UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "i j 3"]]
) -> UInt8[np.ndarray, "i j"]:
    """The mask map after what was done to its photo: each pixel is what covers half of it."""
    shown, empty = (
        resample(np.repeat(white_where(mask == level)[..., None], 3, axis=2))[..., 0] >= _HALF
        for level in (SHOWN, EMPTY)
    )
    rest = np.where(empty, EMPTY, HIDDEN) if (mask == HIDDEN).any() else EMPTY
    return np.where(shown, SHOWN, rest).astype(np.uint8)


def tinted(image: UInt8[np.ndarray, "h w 3"], shown: Bool[np.ndarray, "h w"] | None) -> UInt8[np.ndarray, "h w 3"]:
    """The image, to look at, with red over what does not show the scene."""
    if shown is None:
        return image
    return np.where(shown[..., None], image, image // 2 + np.array(_TINT, np.uint8) // 2)


def filled_smoothly(
    image: UInt8[np.ndarray, "h w 3"], shown: Bool[np.ndarray, "h w"] | None
) -> UInt8[np.ndarray, "h w 3"]:
    """The image with a smooth continuation where it is not shown: without texture, so that nothing matches it there."""
    if shown is None or shown.all():
        return image
    weight = shown.astype(np.float32)[..., None]
    smooth = _pulled(image.astype(np.float32) * weight, weight)
    return np.where(shown[..., None], image, np.rint(smooth).clip(0, 255).astype(np.uint8))


def _pulled(sums: Float32[np.ndarray, "h w 3"], weight: Float32[np.ndarray, "h w 1"]) -> Float32[np.ndarray, "h w 3"]:
    """Weighted means, taken from the next coarser of a pyramid where nothing has weight (Gortler et al. 1996)."""
    known = weight > 0
    mean = sums / np.where(known, weight, 1)
    height, width = weight.shape[:2]
    if known.all() or max(height, width) == 1:
        return mean
    half = (width + 1) // 2, (height + 1) // 2
    small = _pulled(
        cv2.resize(sums, half, interpolation=cv2.INTER_AREA),
        cv2.resize(weight, half, interpolation=cv2.INTER_AREA).reshape(half[1], half[0], 1),
    )
    return np.where(known, mean, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def _opaque(photo: Path, *, upright: bool) -> Bool[np.ndarray, "h w"] | None:
    from PIL import ImageOps

    with open_photo(photo) as image:
        if not image.has_transparency_data:
            return None
        turned = ImageOps.exif_transpose(image) if upright and orientation_of(image) != 1 else image
        opaque: Bool[np.ndarray, "h w"] = np.asarray(turned.convert("RGBA").getchannel("A")) >= _OPAQUE
        return None if opaque.all() else opaque


def _not_black(image: Image.Image) -> Bool[np.ndarray, "h w"]:
    """Where any colour is not 0, as numbers however small, and the picture is not transparent."""
    if image.has_transparency_data or image.mode == "P":
        values = np.asarray(image.convert("RGBA"))
        return np.asarray((values[..., :3] != 0).any(axis=-1) & (values[..., 3] != 0))
    values = np.asarray(image)
    return np.asarray((values != 0).reshape(*values.shape[:2], -1).any(axis=-1))


def _same_shape(mask: Bool[np.ndarray, "h w"], size: tuple[int, int]) -> bool:
    """True for masks of the photo's size, or of a larger or smaller copy."""
    height, width = mask.shape
    return abs(width * size[1] / size[0] - height) <= 1
