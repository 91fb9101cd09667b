"""Benchmark folders of a few pixels, in every layout that the readers know."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from gs_stereo.io.disparity_files import write_pfm

HEIGHT, WIDTH = 12, 20


def image(seed: int, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def truth(seed: int = 0) -> np.ndarray:
    """Disparities of 1 to 9 px in steps of 1/16, about a fifth unknown."""
    rng = np.random.default_rng(seed)
    values = rng.integers(16, 9 * 16, (HEIGHT, WIDTH)).astype(np.float32) / 16
    values[rng.random(values.shape) < 0.2] = np.nan
    return values


def seen_by_both(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed + 100).random((HEIGHT, WIDTH)) < 0.7


def write_image(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), values[..., ::-1] if values.ndim == 3 else values)


def write_mask(path: Path, mask: np.ndarray) -> None:
    """255 = both eyes see it, 128 = occluded, as Middlebury stores it."""
    write_image(path, np.where(mask, 255, 128).astype(np.uint8))


def write_truth(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pfm(path, values)


def write_generic_pair(folder: Path, seed: int = 0, *, mask: bool = True) -> None:
    write_image(folder / "left.png", image(seed))
    write_image(folder / "right.png", image(seed + 1))
    write_truth(folder / "disp_left.pfm", truth(seed))
    if mask:
        write_mask(folder / "nonocc_left.png", seen_by_both(seed))
