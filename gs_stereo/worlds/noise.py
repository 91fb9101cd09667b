"""Smooth random fields: the raw material of the procedural textures."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

_FINEST_CELL_PX = 1.5


def value_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell_px: tuple[float, float]
) -> Float32[np.ndarray, "h w"]:
    """Random lattice values in [-1, 1], `cell_px` (rows, columns) apart, joined by cubic interpolation."""
    import cv2

    rows, columns = (max(2, int(np.ceil(size / cell)) + 1) for size, cell in zip(shape, cell_px, strict=True))
    lattice = rng.uniform(-1.0, 1.0, (rows, columns)).astype(np.float32)
    if (rows, columns) == shape:
        return lattice
    return np.asarray(cv2.resize(lattice, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cell_px: tuple[float, float],
    octaves: int = 5,
    gain: float = 0.6,
) -> Float32[np.ndarray, "h w"]:
    """Octaves of value noise, each half the cell and `gain` the height of the one before; about unit range.

    Octaves finer than a texel are left out: they would alias.
    """
    total, weight, height = np.zeros(shape, np.float32), 0.0, 1.0
    for octave in range(octaves):
        cell = (cell_px[0] / 2**octave, cell_px[1] / 2**octave)
        if octave and min(cell) < _FINEST_CELL_PX:
            break
        total += height * value_noise(rng, shape, cell)
        weight += height**2
        height *= gain
    return total / np.float32(np.sqrt(weight))


def cell_values(index: np.ndarray, rng: np.random.Generator, low: float, high: float) -> Float32[np.ndarray, "..."]:
    """One uniform random number for each distinct cell index (non-negative integers), spread over the array."""
    table = rng.uniform(low, high, int(index.max()) + 1).astype(np.float32)
    return np.asarray(table[index])
