"""Paints without a size of their own: noise of many spectra, stripes, cells, windows, collages, writing."""

from __future__ import annotations

import numpy as np

from gs_stereo.worlds.textures.canvas import Canvas, paint


@paint
def photo_like(canvas: Canvas, exponent: float, edges: bool) -> np.ndarray:
    """Coloured noise with the spectrum of photographs, the channels partly alike, if wanted with hard edges."""
    common = canvas.coloured(exponent)
    planes = [0.8 * common + 0.5 * canvas.coloured(exponent + 0.2) for _ in range(3)]
    picture = 0.5 + 0.2 * np.stack(planes, axis=-1)
    if edges:
        picture += 0.25 * (canvas.coloured(1.6) > 0.4)[..., None] * canvas.rng.uniform(-1, 1, 3)
    return picture


@paint
def grain(canvas: Canvas, exponent: float, contrast: float, stretch: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Two colours mixed by noise: asphalt, carpet (exponent under 1), soft gradients (over 2), or, stretched, fur."""
    return canvas.two_colours(0.5 + contrast * canvas.coloured(exponent, stretch))


@paint
def camouflage(canvas: Canvas, exponent: float) -> np.ndarray:
    """Patches of four colours with ragged borders."""
    levels = np.digitize(canvas.coloured(exponent), (-0.6, 0.1, 0.8))
    tone = 1 + 0.06 * canvas.coloured(0.6)
    return canvas.rng.uniform(0.05, 0.95, (4, 3)).astype(np.float32)[levels] * tone[..., None]


@paint
def stripes(canvas: Canvas, angle: float, count: int, plaid: bool) -> np.ndarray:
    """Stripes of random widths at an angle, or crossed as in a plaid."""
    v, u = canvas.unit
    along = (u * np.cos(angle) + v * np.sin(angle) + 1.5) * count
    bands = canvas.each(np.floor(along).astype(np.int64), 0, 1)
    if plaid:
        across = (v * np.cos(angle) - u * np.sin(angle) + 1.5) * count
        bands = 0.5 * bands + 0.5 * canvas.each(np.floor(across).astype(np.int64), 0, 1)
    return canvas.two_colours(bands) * (1 + 0.05 * canvas.coloured(0.7))[..., None]


@paint
def cells(canvas: Canvas, count: int, joint: float) -> np.ndarray:
    """Voronoi cells with dark joints: cobbles, scales, mosaic."""
    (v, u), shape = canvas.unit, canvas.shape
    nearest, second = np.full(shape, 9.0, np.float32), np.full(shape, 9.0, np.float32)
    owner = np.zeros(shape, np.int64)
    for index, (y, x) in enumerate(canvas.rng.uniform(0, 1, (count, 2)).astype(np.float32)):
        distance = np.hypot(v - y, u - x)
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        owner[closer] = index
        nearest = np.minimum(nearest, distance)
    tone = canvas.each(owner, 0, 1) + 0.08 * canvas.coloured(0.9)
    return canvas.two_colours(tone) * np.clip((second - nearest) / joint, 0.3, 1)[..., None]


@paint
def marble(canvas: Canvas, angle: float, count: float, bend: float) -> np.ndarray:
    """Veins: a wave bent by noise."""
    v, u = canvas.unit
    phase = 2 * np.pi * count * (u * np.cos(angle) + v * np.sin(angle)) + bend * canvas.coloured(1.5)
    return canvas.two_colours(np.abs(np.sin(phase)) ** 0.6 + 0.05 * canvas.coloured(0.8))


@paint
def windows(canvas: Canvas, rows: int, columns: int, frame: float) -> np.ndarray:
    """A facade: a regular grid of panes in frames, some lit."""
    v, u = canvas.unit
    down, across = v * rows, u * columns
    index = np.floor(down).astype(np.int64) * columns + np.floor(across).astype(np.int64)
    edge = np.minimum(np.minimum(down % 1, 1 - down % 1), np.minimum(across % 1, 1 - across % 1))
    wall = canvas.two_colours(0.5 + 0.2 * canvas.coloured(0.9))
    pane = canvas.two_colours(canvas.each(index, 0, 1) * (0.6 + 0.4 * (down % 1)))
    return np.where((edge > frame)[..., None], pane, wall)


@paint
def collage(canvas: Canvas, count: int) -> np.ndarray:
    """Overlapping filled shapes, each with a shade and a grain of its own."""
    import cv2

    rng, shape = canvas.rng, canvas.shape
    picture = np.full((*shape, 3), rng.uniform(0.1, 0.9, 3), np.float32)
    for _ in range(count):
        centre, radius = rng.uniform(0, 1, 2) * (shape[1], shape[0]), min(shape) * rng.uniform(0.03, 0.22)
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], -1)
        colour = tuple(float(value) for value in rng.uniform(0.02, 0.98, 3))
        cv2.fillPoly(picture, [np.rint(corners * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)
    return picture * (1 + 0.07 * canvas.coloured(0.6))[..., None]


@paint
def writing(canvas: Canvas, lines: int, marks: int) -> np.ndarray:
    """Lines of dark marks on paper, like print seen from afar."""
    v, u = canvas.unit
    line, mark = np.floor(v * lines).astype(np.int64), np.floor(u * marks).astype(np.int64)
    inked = canvas.each(line * marks + mark, 0, 1) > 0.3
    height = canvas.each(line * marks + mark, 0.3, 0.75)
    ink = inked & (v * lines % 1 < height) & (u < canvas.each(line, 0.5, 1.0))
    return canvas.two_colours(0.9 * ink + 0.05 * canvas.coloured(0.8))
