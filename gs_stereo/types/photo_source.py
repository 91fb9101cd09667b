"""Where the photos of a scene come from, and which part of them shows it."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, UInt8

PhotoSource = Callable[[str], UInt8[np.ndarray, "h w 3"]]
"""Gives the photo of a camera by the camera's name, as sRGB uint8 (H, W, 3).

It may have a method `mask` that gives the photo's mask by the same name, or None (see `mask_of`).
"""


def mask_of(photos: PhotoSource, name: str) -> Bool[np.ndarray, "h w"] | None:
    """True where a photo shows the scene, False where it was cut out; None if nothing was."""
    mask = getattr(photos, "mask", None)
    return None if mask is None else mask(name)
