"""Texture patterns beyond those of the rooms: noise of many spectra, stripes, cells, windows, collages, writing.

Each function draws the parameters of a paint (`gs_stereo.worlds.textures.Paint`) at random.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from gs_stereo.worlds.noise import cell_values
from gs_stereo.worlds.textures import Paint

RandomPaint = Callable[[np.random.Generator], Paint]


def coloured_noise(
    rng: np.random.Generator, shape: tuple[int, int], exponent: float, stretch: tuple[float, float] = (1.0, 1.0)
) -> Float32[np.ndarray, "h w"]:
    """Gaussian noise with the amplitude spectrum 1 / f^exponent, zero mean and unit variance.

    Photographs have exponents about 1 (Field, J. Opt. Soc. Am. A 4, 1987). stretch: of rows and columns.
    """
    rows = np.fft.fftfreq(shape[0])[:, None] * stretch[0]
    columns = np.fft.rfftfreq(shape[1])[None, :] * stretch[1]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * frequency**-exponent
    values = np.fft.irfft2(spectrum, shape)
    return ((values - values.mean()) / max(float(values.std()), 1e-12)).astype(np.float32)


def _painted(draw: Callable[[np.random.Generator, tuple[int, int]], np.ndarray]) -> Paint:
    return lambda rng, shape, size_m: draw(rng, shape)


def _two_colours(rng: np.random.Generator, weight: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    first, second = rng.uniform(0.05, 0.95, (2, 3)).astype(np.float32)
    return first + (second - first) * np.clip(weight, 0, 1)[..., None].astype(np.float32)


def _grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Position of each texel from 0 to 1, down and across."""
    v, u = ((np.arange(size, dtype=np.float32) + 0.5) / size for size in shape)
    return np.broadcast_to(v[:, None], shape), np.broadcast_to(u[None, :], shape)


def photo_like(rng: np.random.Generator) -> Paint:
    """Coloured noise with the spectrum of photographs, the channels partly alike, now and then with hard edges."""
    exponent, edges = rng.uniform(0.8, 1.4), rng.random() < 0.5

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        common = coloured_noise(rng, shape, exponent)
        planes = [0.8 * common + 0.5 * coloured_noise(rng, shape, exponent + 0.2) for _ in range(3)]
        picture = 0.5 + 0.2 * np.stack(planes, axis=-1)
        if edges:
            picture += 0.25 * (coloured_noise(rng, shape, 1.6) > 0.4)[..., None] * rng.uniform(-1, 1, 3)
        return picture

    return _painted(draw)


def fine_grain(rng: np.random.Generator) -> Paint:
    """Asphalt, gravel, carpet: energy at high frequencies."""
    exponent, contrast = rng.uniform(0.1, 0.7), rng.uniform(0.08, 0.25)
    return _painted(lambda rng, shape: _two_colours(rng, 0.5 + contrast * coloured_noise(rng, shape, exponent)))


def smooth(rng: np.random.Generator) -> Paint:
    """Soft gradients without detail."""
    exponent = rng.uniform(2.2, 3.2)
    return _painted(lambda rng, shape: _two_colours(rng, 0.5 + 0.2 * coloured_noise(rng, shape, exponent)))


def grass(rng: np.random.Generator) -> Paint:
    """Streaks along the rows: grass, fur, brushed metal."""
    long, exponent = rng.uniform(4, 12), rng.uniform(0.6, 1.1)
    return _painted(
        lambda rng, shape: _two_colours(rng, 0.5 + 0.22 * coloured_noise(rng, shape, exponent, (long, 1.0)))
    )


def camouflage(rng: np.random.Generator) -> Paint:
    """Patches of four colours with ragged borders."""
    exponent = rng.uniform(1.2, 2.0)

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        levels = np.digitize(coloured_noise(rng, shape, exponent), (-0.6, 0.1, 0.8))
        tone = 1 + 0.06 * coloured_noise(rng, shape, 0.6)
        return rng.uniform(0.05, 0.95, (4, 3)).astype(np.float32)[levels] * tone[..., None]

    return _painted(draw)


def stripes(rng: np.random.Generator) -> Paint:
    """Stripes of random widths at a random angle, or crossed as in a plaid."""
    angle, count, plaid = rng.uniform(0, np.pi), int(rng.integers(6, 40)), rng.random() < 0.5

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        v, u = _grid(shape)
        along = (u * np.cos(angle) + v * np.sin(angle) + 1.5) * count
        bands = cell_values(np.floor(along).astype(np.int64), rng, 0, 1)
        if plaid:
            across = (v * np.cos(angle) - u * np.sin(angle) + 1.5) * count
            bands = 0.5 * bands + 0.5 * cell_values(np.floor(across).astype(np.int64), rng, 0, 1)
        return _two_colours(rng, bands) * (1 + 0.05 * coloured_noise(rng, shape, 0.7))[..., None]

    return _painted(draw)


def cells(rng: np.random.Generator) -> Paint:
    """Voronoi cells with dark joints: cobbles, scales, mosaic."""
    count, joint = int(rng.integers(20, 90)), rng.uniform(0.004, 0.02)

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        v, u = _grid(shape)
        nearest, second = np.full(shape, 9.0, np.float32), np.full(shape, 9.0, np.float32)
        owner = np.zeros(shape, np.int64)
        for index, (y, x) in enumerate(rng.uniform(0, 1, (count, 2)).astype(np.float32)):
            distance = np.hypot(v - y, u - x)
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            owner[closer] = index
            nearest = np.minimum(nearest, distance)
        tone = cell_values(owner, rng, 0, 1) + 0.08 * coloured_noise(rng, shape, 0.9)
        return _two_colours(rng, tone) * np.clip((second - nearest) / joint, 0.3, 1)[..., None]

    return _painted(draw)


def marble(rng: np.random.Generator) -> Paint:
    """Veins: a wave bent by noise."""
    angle, count, bend = rng.uniform(0, np.pi), rng.uniform(3, 10), rng.uniform(1.0, 4.0)

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        v, u = _grid(shape)
        phase = 2 * np.pi * count * (u * np.cos(angle) + v * np.sin(angle)) + bend * coloured_noise(rng, shape, 1.5)
        return _two_colours(rng, np.abs(np.sin(phase)) ** 0.6 + 0.05 * coloured_noise(rng, shape, 0.8))

    return _painted(draw)


def windows(rng: np.random.Generator) -> Paint:
    """A facade: a regular grid of panes in frames, some lit."""
    rows, columns, frame = int(rng.integers(3, 9)), int(rng.integers(3, 12)), rng.uniform(0.1, 0.3)

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        v, u = _grid(shape)
        down, across = v * rows, u * columns
        index = np.floor(down).astype(np.int64) * columns + np.floor(across).astype(np.int64)
        edge = np.minimum(np.minimum(down % 1, 1 - down % 1), np.minimum(across % 1, 1 - across % 1))
        wall = _two_colours(rng, 0.5 + 0.2 * coloured_noise(rng, shape, 0.9))
        pane = _two_colours(rng, cell_values(index, rng, 0, 1) * (0.6 + 0.4 * (v * rows % 1)))
        return np.where((edge > frame)[..., None], pane, wall)

    return _painted(draw)


def collage(rng: np.random.Generator) -> Paint:
    """Overlapping filled shapes, each with a shade and a grain of its own."""
    count = int(rng.integers(25, 90))

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        import cv2

        picture = np.full((*shape, 3), rng.uniform(0.1, 0.9, 3), np.float32)
        size = min(shape)
        for _ in range(count):
            centre, radius = rng.uniform(0, 1, 2) * (shape[1], shape[0]), size * rng.uniform(0.03, 0.22)
            angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
            corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], -1)
            colour = tuple(float(value) for value in rng.uniform(0.02, 0.98, 3))
            cv2.fillPoly(picture, [np.rint(corners * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)
        return picture * (1 + 0.07 * coloured_noise(rng, shape, 0.6))[..., None]

    return _painted(draw)


def writing(rng: np.random.Generator) -> Paint:
    """Lines of dark marks on paper, like print seen from afar."""
    lines, marks = int(rng.integers(10, 40)), int(rng.integers(30, 90))

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        v, u = _grid(shape)
        line, mark = np.floor(v * lines).astype(np.int64), np.floor(u * marks).astype(np.int64)
        inked = cell_values(line * marks + mark, rng, 0, 1) > 0.3
        height = cell_values(line * marks + mark, rng, 0.3, 0.75)
        ink = inked & (v * lines % 1 < height) & (u < cell_values(line, rng, 0.5, 1.0))
        return _two_colours(rng, 0.9 * ink + 0.05 * coloured_noise(rng, shape, 0.8))

    return _painted(draw)
