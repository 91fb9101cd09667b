"""Where the photos of a scene come from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

PhotoSource = Callable[[str], UInt8[np.ndarray, "h w 3"]]
"""Gives the photo of a camera by the camera's name, as sRGB uint8 (H, W, 3)."""
