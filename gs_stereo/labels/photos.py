"""The undistorted photos of a published reconstruction, by camera name."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gs_stereo.imaging.images import read_photo
from gs_stereo.io.reconstruction import IMAGE_FOLDER, load_summary

_KEPT_PHOTOS = 8


class PhotosOfReconstruction:
    """A photo source over `reconstruct/`; the last few photos stay in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / IMAGE_FOLDER
        self._files = load_summary(folder).image_files
        self._read = lru_cache(maxsize=_KEPT_PHOTOS)(self._load)

    @property
    def names(self) -> Collection[str]:
        """Names of the cameras that have a photo."""
        return self._files.keys()

    def __call__(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        """The photo of the camera called `name`; do not write to it."""
        return self._read(name)

    def _load(self, name: str) -> UInt8[np.ndarray, "h w 3"]:
        return read_photo(self._folder / self._files[name])
