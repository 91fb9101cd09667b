"""Procedural surfaces: bricks, planks, wood, plaster, rugs, posters, leaves.

A paint is a function of (generator, (rows, columns), (metres high, metres wide)) that returns sRGB colours in [0, 1].
Features have metric sizes, so a surface looks the same at every texture resolution.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from gs_stereo.worlds.noise import cell_values, fractal_noise, value_noise

Colour = tuple[float, float, float]
Paint = Callable[[np.random.Generator, tuple[int, int], tuple[float, float]], np.ndarray]


def _metric_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    size_m: tuple[float, float],
    cell_m: tuple[float, float],
    octaves: int = 5,
) -> Float32[np.ndarray, "h w"]:
    cell_px = (cell_m[0] / size_m[0] * shape[0], cell_m[1] / size_m[1] * shape[1])
    return fractal_noise(rng, shape, (max(cell_px[0], 1.5), max(cell_px[1], 1.5)), octaves)


def _metres(shape: tuple[int, int], size_m: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Row and column position of every texel, in metres, as broadcastable vectors."""
    rows = (np.arange(shape[0], dtype=np.float32)[:, None] + np.float32(0.5)) * np.float32(size_m[0] / shape[0])
    columns = (np.arange(shape[1], dtype=np.float32)[None, :] + np.float32(0.5)) * np.float32(size_m[1] / shape[1])
    return rows, columns


def _rgb(colour: Colour) -> Float32[np.ndarray, "3"]:
    return np.asarray(colour, np.float32)


def _tint(colour: Colour, brightness: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    return np.asarray(brightness[..., None] * np.asarray(colour, np.float32), np.float32)


def _mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    return a + (b - a) * weight[..., None].astype(np.float32)


def _step(value: np.ndarray, edge: float, softness: float) -> np.ndarray:
    """0 below the edge, 1 above, with a linear ramp of the given width."""
    return np.clip((value - edge) / softness + 0.5, 0.0, 1.0)


def flat(colour: Colour) -> Paint:
    """One colour: a surface without texture."""
    return lambda rng, shape, size_m: np.broadcast_to(np.asarray(colour, np.float32), (*shape, 3)).copy()


def plaster(colour: Colour, contrast: float = 0.10, grain_m: float = 0.05) -> Paint:
    """Blotchy wall or stone with fine speckles."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        broad = _metric_noise(rng, shape, size_m, (grain_m * 6, grain_m * 6), 3)
        fine = _metric_noise(rng, shape, size_m, (grain_m, grain_m), 6)
        speckle = _step(_metric_noise(rng, shape, size_m, (0.012, 0.012), 2), 1.0, 0.3)
        return _tint(colour, 1 + contrast * (0.5 * broad + fine) - 0.35 * speckle * min(1.0, contrast * 6))

    return paint


def bricks(colour: Colour, mortar: Colour, brick_m: tuple[float, float] = (0.075, 0.23)) -> Paint:
    """Running bond: rows shifted by half a brick, each brick with its own tone, rough and chipped at the edges."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        rows, columns = _metres(shape, size_m)
        wobble = 0.004 * _metric_noise(rng, shape, size_m, (0.05, 0.05), 4)
        row = np.floor((rows + wobble) / brick_m[0]).astype(np.int64)
        across = (columns + wobble) / brick_m[1] + 0.5 * (row % 2)
        column = np.floor(across).astype(np.int64)
        in_row, in_column = (rows + wobble) / brick_m[0] - row, across - column
        edge = np.minimum(
            np.minimum(in_row, 1 - in_row) * brick_m[0], np.minimum(in_column, 1 - in_column) * brick_m[1]
        )
        index = (row - row.min()) * (column.max() + 2) + (column - column.min())
        rough = _metric_noise(rng, shape, size_m, (0.03, 0.03), 5)
        body = _tint(colour, cell_values(index, rng, 0.72, 1.12) + 0.11 * rough)
        body *= 1 + cell_values(index, rng, -0.06, 0.06)[..., None] * _rgb((1.0, 0.0, -0.8))
        joint = _tint(mortar, 1 + 0.10 * _metric_noise(rng, shape, size_m, (0.02, 0.02), 4))
        return _mix(joint, body, _step(edge + 0.002 * rough, 0.006, 0.004))

    return paint


def wood(colour: Colour, along_columns: bool = True, contrast: float = 0.16) -> Paint:
    """Grain that runs along the columns (or the rows), with darker year rings and pores."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        long, short = 0.5, 0.03
        cell = (short, long) if along_columns else (long, short)
        warp = _metric_noise(rng, shape, size_m, (cell[0] * 5, cell[1] * 1.5), 3)
        rows, columns = _metres(shape, size_m)
        across = rows if along_columns else columns
        rings = np.sin((across / 0.018 + 2.6 * warp) * np.float32(2 * np.pi) * 0.5)
        grain = _metric_noise(rng, shape, size_m, cell, 6)
        pores = _metric_noise(rng, shape, size_m, (cell[0] / 5, cell[1] / 5), 3)
        return _tint(colour, 1 + contrast * (0.45 * rings + 0.7 * grain + 0.35 * pores))

    return paint


def planks(colour: Colour, plank_m: tuple[float, float] = (0.14, 1.1)) -> Paint:
    """Floor boards along the columns, staggered, each with its own tone and grain offset."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        rows, columns = _metres(shape, size_m)
        row = np.floor(rows / plank_m[0]).astype(np.int64)
        across = columns / plank_m[1] + cell_values(row, rng, 0.0, 1.0)
        column = np.floor(across).astype(np.int64)
        gap = np.minimum(
            np.minimum(rows / plank_m[0] - row, row + 1 - rows / plank_m[0]) * plank_m[0],
            np.minimum(across - column, column + 1 - across) * plank_m[1],
        )
        index = row * (int(column.max()) + 1) + column
        tone = cell_values(index, rng, 0.72, 1.15)
        grain = wood(colour, contrast=0.2)(rng, shape, size_m)
        knots = _step(_metric_noise(rng, shape, size_m, (0.09, 0.2), 2), 1.35, 0.3)
        return grain * (tone * (1 - 0.45 * knots) * (0.35 + 0.65 * _step(gap, 0.002, 0.003)))[..., None]

    return paint


def tiles(first: Colour, second: Colour, tile_m: float = 0.2) -> Paint:
    """A checker of worn tiles, every one a little different in tone."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        rows, columns = _metres(shape, size_m)
        row, column = np.floor(rows / tile_m).astype(np.int64), np.floor(columns / tile_m).astype(np.int64)
        odd = ((row + column) % 2).astype(np.float32)
        index = row * (int(column.max()) + 1) + column
        wear = 0.10 * _metric_noise(rng, shape, size_m, (0.06, 0.06), 6)
        tone = cell_values(index, rng, 0.8, 1.15) + wear
        plain = _mix(_tint(first, tone), _tint(second, tone), odd)
        edge = np.minimum(np.abs(rows / tile_m - np.round(rows / tile_m)), 1.0) * tile_m
        edge = np.minimum(edge, np.abs(columns / tile_m - np.round(columns / tile_m)) * tile_m)
        return plain * (0.55 + 0.45 * _step(edge, 0.003, 0.004))[..., None]

    return paint


def rug(ground: Colour, figure: Colour, accent: Colour) -> Paint:
    """A woven carpet: border stripes, diamonds, and the irregular tone of hand-dyed yarn."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        rows, columns = _metres(shape, size_m)
        wobble = 0.012 * _metric_noise(rng, shape, size_m, (0.15, 0.15), 3)
        border = np.minimum(np.minimum(rows, size_m[0] - rows), np.minimum(columns, size_m[1] - columns)) + wobble
        down, across = (rows + wobble) / 0.28, (columns - wobble) / 0.36
        diamond = np.abs(down % 1 - 0.5) + np.abs(across % 1 - 0.5)
        cell = np.floor(down - down.min()).astype(np.int64) * 64 + np.floor(across - across.min()).astype(np.int64)
        tone = cell_values(cell, rng, 0.55, 1.1)
        figured = _step(diamond, 0.5, 0.03) * _step(0.86 - diamond, 0.0, 0.03)
        colour = _mix(_tint(ground, tone), _tint(figure, np.ones(shape, np.float32)), figured)
        centre = _mix(_rgb(accent), _rgb(figure), _step(cell_values(cell, rng, 0.0, 1.0), 0.6, 0.01))
        colour = _mix(colour, centre, _step(cell_values(cell, rng, 0.08, 0.26) - diamond, 0.0, 0.03))
        stripe = ((border > 0.05) & (border < 0.08)) | ((border > 0.13) & (border < 0.15))
        colour = _mix(colour, _rgb(accent), stripe.astype(np.float32))
        colour = _mix(colour, _rgb(figure), ((border > 0.08) & (border < 0.13)).astype(np.float32))
        yarn = 0.16 * _metric_noise(rng, shape, size_m, (0.006, 0.02), 3)
        dye = 0.12 * _metric_noise(rng, shape, size_m, (0.12, 0.5), 5)
        return colour * (1 + yarn + dye)[..., None]

    return paint


def fabric(colour: Colour, second: Colour, stripe_m: float = 0.05) -> Paint:
    """Striped cloth with a visible weave and creases."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        rows, columns = _metres(shape, size_m)
        index = np.floor(columns / stripe_m + rows * 0).astype(np.int64)
        pick = cell_values(index, rng, 0.0, 1.0)
        creases = 0.12 * _metric_noise(rng, shape, size_m, (0.12, 0.04), 5)
        weave = 0.10 * _metric_noise(rng, shape, size_m, (0.008, 0.008), 2)
        return _mix(_rgb(colour), _rgb(second), _step(pick, 0.5, 0.2)) * (1 + creases + weave)[..., None]

    return paint


def speckled(colour: Colour, spots: Colour, spot_m: float = 0.02) -> Paint:
    """Skin of a fruit, terrazzo or glazed clay: blotches of a second colour on the first."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        field = _metric_noise(rng, shape, size_m, (spot_m, spot_m), 4)
        tone = 1 + 0.08 * _metric_noise(rng, shape, size_m, (spot_m * 3, spot_m * 3), 5)
        return _mix(_rgb(colour), _rgb(spots), _step(field, 0.45, 0.25)) * tone[..., None]

    return paint


def landscape(sky: Colour, sun: Colour, ground: Colour) -> Paint:
    """A painted poster: a sky with clouds and a sun over ranges of hills, in a white mat with a dark frame."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        v = ((np.arange(shape[0], dtype=np.float32) + 0.5) / shape[0])[:, None]
        u = ((np.arange(shape[1], dtype=np.float32) + 0.5) / shape[1])[None, :]
        clouds = fractal_noise(rng, shape, (shape[0] / 5, shape[1] / 2), 6)
        picture = _mix(_rgb(sky), _rgb((0.97, 0.93, 0.86)), np.clip(0.9 * v + 0.3 * clouds, 0, 1))
        centre = rng.uniform(0.25, 0.75), rng.uniform(0.22, 0.4)
        aspect = size_m[1] / size_m[0]
        distance = np.hypot((u - centre[0]) * aspect, v - centre[1])
        picture = _mix(picture, _rgb(sun), _step(0.11 - distance, 0.0, 0.01))
        for layer in range(5):
            ridge = fractal_noise(rng, (1, shape[1]), (1.5, shape[1] / (2 + layer)), 6)
            height = 0.42 + 0.12 * layer + 0.06 * ridge
            tone = _rgb(ground) * (1.15 - 0.2 * layer) + _rgb(sky) * (0.35 - 0.085 * layer)
            body = tone * (1 + 0.16 * fractal_noise(rng, shape, (24.0, 24.0), 5))[..., None]
            picture = _mix(picture, body, _step(v - height, 0.0, 0.008))
        return _framed(picture, u, v, aspect)

    return paint


def shapes(background: Colour, palette: tuple[Colour, ...], count: int = 26) -> Paint:
    """A poster of overlapping discs, bars and rings, in a white mat with a dark frame."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        v = ((np.arange(shape[0], dtype=np.float32) + 0.5) / shape[0])[:, None]
        u = ((np.arange(shape[1], dtype=np.float32) + 0.5) / shape[1])[None, :]
        aspect = size_m[1] / size_m[0]
        picture = _rgb(background) * (1 + 0.08 * fractal_noise(rng, shape, (30.0, 30.0), 5))[..., None]
        for number in range(count):
            x, y, radius, angle = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.04, 0.2), rng.uniform(0, np.pi)
            dx, dy = (u - x) * aspect, v - y
            along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
            distance = (
                np.hypot(dx, dy),
                np.maximum(np.abs(along), 5 * np.abs(across)),
                np.abs(np.hypot(dx, dy) - radius * 0.8) * 4,
            )[number % 3]
            colour = _rgb(palette[int(rng.integers(len(palette)))])
            picture = _mix(picture, colour, 0.9 * _step(radius - distance, 0.0, 0.008))
        picture = picture * (1 + 0.05 * value_noise(rng, shape, (2.0, 2.0)))[..., None]
        return _framed(picture, u, v, aspect)

    return paint


def _framed(picture: np.ndarray, u: np.ndarray, v: np.ndarray, aspect: float) -> np.ndarray:
    edge = np.minimum(np.minimum(u, 1 - u) * aspect, np.minimum(v, 1 - v))
    picture = _mix(picture, _rgb((0.93, 0.92, 0.88)), _step(0.09 - edge, 0.0, 0.006))
    return _mix(picture, _rgb((0.13, 0.09, 0.07)), _step(0.045 - edge, 0.0, 0.006))


def printed(colour: Colour, ink: Colour) -> Paint:
    """Cardboard with a printed band, a barcode and lines that look like text."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        v = ((np.arange(shape[0], dtype=np.float32) + 0.5) / shape[0])[:, None]
        u = ((np.arange(shape[1], dtype=np.float32) + 0.5) / shape[1])[None, :]
        ribs = 0.05 * _metric_noise(rng, shape, size_m, (0.3, 0.006), 3)
        blotches = 0.07 * _metric_noise(rng, shape, size_m, (0.05, 0.05), 6)
        paper = _rgb(colour) * (1 + ribs + blotches)[..., None]
        line = np.floor(v * 22 + 0 * u).astype(np.int64)
        word = np.floor(u * 46 + cell_values(line, rng, 0, 9)).astype(np.int64)
        text = (cell_values(line * 64 + word, rng, 0, 1) > 0.35) & (v * 22 % 1 > 0.35) & (v > 0.5) & (v < 0.9)
        text &= (u > 0.08) & (u < 0.92 - 0.4 * cell_values(line, rng, 0, 1))
        bars = (cell_values(np.floor(u * 70 + 0 * v).astype(np.int64), rng, 0, 1) > 0.5) & (u > 0.55) & (u < 0.9)
        bars &= (v > 0.1) & (v < 0.34)
        logo = np.hypot((u - 0.27) * size_m[1], (v - 0.25) * size_m[0]) < 0.17 * min(size_m)
        return _mix(paper, _rgb(ink), 0.85 * (text | bars | logo).astype(np.float32))

    return paint


def leaf(colour: Colour) -> Paint:
    """A leaf along the rows: midrib, side veins and blotches."""

    def paint(rng: np.random.Generator, shape: tuple[int, int], size_m: tuple[float, float]) -> np.ndarray:
        v = ((np.arange(shape[0], dtype=np.float32) + 0.5) / shape[0])[:, None]
        u = ((np.arange(shape[1], dtype=np.float32) + 0.5) / shape[1])[None, :]
        side = np.abs(u - 0.5)
        veins = 0.5 + 0.5 * np.cos((v + 0.5 * side) * np.float32(2 * np.pi * 7))
        tone = rng.uniform(0.65, 1.25) * (0.85 + 0.25 * veins + 0.12 * fractal_noise(rng, shape, (6.0, 6.0), 3))
        body = _tint(colour, tone) + np.float32(rng.uniform(-0.04, 0.08, 3)) * _rgb((1, 0.5, 0.2))
        return _mix(body, _rgb((0.72, 0.78, 0.45)), _step(0.05 - side, 0.0, 0.05) * 0.8)

    return paint
