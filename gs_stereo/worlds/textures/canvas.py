"""What a texture is painted on, with its random fields, and what makes a paint of a drawing function.

A paint is a function of a canvas that returns sRGB colours, about in [0, 1]. Features have metric sizes where paints
are for things of a known size, so a surface looks the same at every texture resolution.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec

import numpy as np
from jaxtyping import Float32

Colour = Sequence[float] | np.ndarray
_FINEST_CELL_PX = 1.5
_GAIN = 0.6


@dataclass(frozen=True)
class Canvas:
    """`shape` = (rows, columns) of texels on a surface of `size_m` = (high, wide), and where chance comes from."""

    rng: np.random.Generator
    shape: tuple[int, int]
    size_m: tuple[float, float]

    @property
    def metres(self) -> tuple[Float32[np.ndarray, "h 1"], Float32[np.ndarray, "1 w"]]:
        """Position of the texels down and across in metres."""
        down, across = (
            (np.arange(texels, dtype=np.float32) + np.float32(0.5)) * np.float32(size / texels)
            for size, texels in zip(self.size_m, self.shape, strict=True)
        )
        return down[:, None], across[None, :]

    @property
    def unit(self) -> tuple[Float32[np.ndarray, "h 1"], Float32[np.ndarray, "1 w"]]:
        """Position of the texels down and across, from 0 to 1."""
        v, u = ((np.arange(texels, dtype=np.float32) + 0.5) / texels for texels in self.shape)
        return v[:, None], u[None, :]

    def lattice(self, cell_px: Sequence[float]) -> Float32[np.ndarray, "h w"]:
        """Random values in [-1, 1], `cell_px` (down, across) apart, joined by cubic interpolation."""
        import cv2

        rows, columns = (max(2, int(np.ceil(size / cell)) + 1) for size, cell in zip(self.shape, cell_px, strict=True))
        values = self.rng.uniform(-1.0, 1.0, (rows, columns)).astype(np.float32)
        if (rows, columns) == self.shape:
            return values
        return np.asarray(cv2.resize(values, self.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)

    def fractal(self, cell_px: Sequence[float], octaves: int = 5) -> Float32[np.ndarray, "h w"]:
        """Octaves of lattice values, each half the cell and 0.6 of the height of the one before; about unit range.

        Octaves finer than a texel are left out: they would alias.
        """
        total, weight, height = np.zeros(self.shape, np.float32), 0.0, 1.0
        for octave in range(octaves):
            cell = [size / 2**octave for size in cell_px]
            if octave and min(cell) < _FINEST_CELL_PX:
                break
            total += height * self.lattice(cell)
            weight += height**2
            height *= _GAIN
        return total / np.float32(np.sqrt(weight))

    def noise(self, cell_m: tuple[float, float], octaves: int = 5) -> Float32[np.ndarray, "h w"]:
        """Fractal noise whose coarsest cells measure `cell_m` (down, across)."""
        cells = zip(cell_m, self.size_m, self.shape, strict=True)
        return self.fractal([max(cell / size * texels, _FINEST_CELL_PX) for cell, size, texels in cells], octaves)

    def coloured(self, exponent: float, stretch: tuple[float, float] = (1.0, 1.0)) -> Float32[np.ndarray, "h w"]:
        """Gaussian noise with the amplitude spectrum 1 / f^exponent, zero mean and unit variance.

        Photographs have exponents about 1 (Field, J. Opt. Soc. Am. A 4, 1987). stretch: down and across.
        """
        rows = np.fft.fftfreq(self.shape[0])[:, None] * stretch[0]
        columns = np.fft.rfftfreq(self.shape[1])[None, :] * stretch[1]
        frequency = np.hypot(rows, columns)
        frequency[0, 0] = np.inf
        values = np.fft.irfft2(np.fft.rfft2(self.rng.standard_normal(self.shape)) * frequency**-exponent, self.shape)
        return ((values - values.mean()) / max(float(values.std()), 1e-12)).astype(np.float32)

    def each(self, index: np.ndarray, low: float, high: float) -> Float32[np.ndarray, "..."]:
        """One uniform random number for each distinct cell index (non-negative integers), spread over the array."""
        table = self.rng.uniform(low, high, int(index.max()) + 1).astype(np.float32)
        return np.asarray(table[index])

    def two_colours(self, weight: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
        """From one random colour (weight 0) to another (weight 1)."""
        first, second = self.rng.uniform(0.05, 0.95, (2, 3)).astype(np.float32)
        return mix(first, second, np.clip(weight, 0, 1))


Paint = Callable[[Canvas], np.ndarray]
_Parameters = ParamSpec("_Parameters")


def paint(draw: Callable[Concatenate[Canvas, _Parameters], np.ndarray]) -> Callable[_Parameters, Paint]:
    """Decorates a function of a canvas and parameters: it becomes a function of the parameters that gives a paint."""

    @wraps(draw)
    def with_parameters(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Paint:
        return lambda canvas: draw(canvas, *args, **kwargs)

    return with_parameters


def rgb(colour: Colour) -> Float32[np.ndarray, "3"]:
    """A colour as an array."""
    return np.asarray(colour, np.float32)


def tint(colour: Colour, brightness: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """A colour times a brightness for every texel."""
    return np.asarray(brightness[..., None] * rgb(colour), np.float32)


def mix(a: Colour, b: Colour, weight: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """From a (weight 0) to b (weight 1), each a colour or a picture."""
    first, second = rgb(a), rgb(b)
    return first + (second - first) * weight[..., None].astype(np.float32)


def step(value: np.ndarray, edge: float, softness: float) -> np.ndarray:
    """0 below the edge, 1 above, with a linear ramp of the given width."""
    return np.clip((value - edge) / softness + 0.5, 0.0, 1.0)
