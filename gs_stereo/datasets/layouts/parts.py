"""What several layouts have in common: file names, checked reading, visibility and camera numbers."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import read_photo
from gs_stereo.types import LabelFlag

_UNSEEN = int(LabelFlag.OCCLUDED | LabelFlag.OUT_OF_FRAME)
# Loaders find the other files of a sample by replacing these words anywhere in a path.
_REPLACED_WORDS = ("left", "right", "center", "disparity", "rgb", "frames", "im0", "im1", "image_", "png", "jpg")


def folder_name(scene: str) -> str:
    """A scene's name as a folder name that is safe on every file system and for loaders that replace words in paths."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", scene).strip("-")[:64]
    if not name or any(word in name.lower() for word in _REPLACED_WORDS):
        return f"scene-{hashlib.sha256(scene.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return name


def visible_pixels(sample: ShardSample) -> Bool[np.ndarray, "h w"]:
    """Labelled pixels that both eyes see: not flagged as hidden from the right eye or outside its image."""
    return np.isfinite(sample.disparity) & ((sample.flags & np.uint16(_UNSEEN)) == 0)


def to_steps(disparity: Float[np.ndarray, "h w"], steps_per_px: float) -> Int64[np.ndarray, "h w"]:
    """Disparity in whole steps, 0 = no label. A known disparity is at least one step, as 0 means none."""
    known = np.isfinite(disparity)
    steps = np.rint(np.where(known, disparity, 0).astype(np.float64) * steps_per_px)
    return np.where(known, np.maximum(steps, 1), 0).astype(np.int64)


def from_steps(steps: np.ndarray, steps_per_px: float) -> Float[np.ndarray, "h w"]:
    """The inverse of `to_steps`, to half a step."""
    return np.where(steps == 0, np.nan, steps / steps_per_px).astype(np.float32)


def find_files(folder: Path, pattern: str) -> list[Path]:
    """The files that match, sorted; InputError if there is none."""
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not found:
        raise InputError(f"There is no {pattern} in {folder}; give the folder that was exported.")
    return found


def read_image(path: Path, like: UInt8[np.ndarray, "h w 3"] | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """An image as stored; InputError if it is missing, broken, or differs in size from `like`."""
    if not path.is_file():
        raise InputError(f"The image {path} is missing; export again or copy it again.")
    image = read_photo(path, upright=False)
    if like is not None:
        same_size(path, image, like)
    return image


def same_size(path: Path, values: np.ndarray, image: np.ndarray) -> None:
    """InputError if a map or image of `path` does not fit the image of its sample."""
    if values.shape[:2] != image.shape[:2]:
        (height, width), (rows, columns) = image.shape[:2], values.shape[:2]
        raise InputError(f"{path} is {columns}x{rows} pixels, its left image {width}x{height}; export again.")


def read_text(path: Path, limit_bytes: int = 1 << 16) -> str:
    """A small text file; InputError if it is missing, too large or no UTF-8."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise ValueError("it is too large")
        return data.decode("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"Cannot read {path} ({reason}); export again or copy it again.") from error
