"""Where the photos of a scene come from, and which part of them shows it."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, UInt8

PhotoSource = Callable[[str], UInt8[np.ndarray, "h w 3"]]
"""Gives the photo of a camera by the camera's name, as sRGB uint8 (H, W, 3).

It may have methods `mask` and `hidden` that say by the same name what `mask_of` and `hidden_of` do.
"""


def mask_of(photos: PhotoSource, name: str) -> Bool[np.ndarray, "h w"] | None:
    """True where a photo shows the scene; None if it does so everywhere.

    Elsewhere something stands before the scene (`hidden_of`), or nothing is there (`cut_out_of_photo`).
    """
    mask = getattr(photos, "mask", None)
    return None if mask is None else mask(name)


def hidden_of(photos: PhotoSource, name: str) -> Bool[np.ndarray, "h w"] | None:
    """True where something that is not of the scene stands before it in this photo; None if nothing does."""
    hidden = getattr(photos, "hidden", None)
    return None if hidden is None else hidden(name)


def cut_out_of_photo(photos: PhotoSource, name: str) -> Bool[np.ndarray, "h w"] | None:
    """True where a photo says that nothing is there; None if it says so nowhere."""
    mask, hidden = mask_of(photos, name), hidden_of(photos, name)
    if mask is None:
        return None
    cut_out = ~mask if hidden is None else ~mask & ~hidden
    return cut_out if cut_out.any() else None
