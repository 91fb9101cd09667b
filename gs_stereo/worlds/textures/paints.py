"""All paints: first those of things of a known size (bricks, planks, posters, leaves), then patterns without one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gs_stereo.worlds.textures.canvas import Canvas, Colour, mix, paint, rgb, step, tint


@paint
def flat(canvas: Canvas, colour: Colour) -> np.ndarray:
    """One colour: a surface without texture."""
    return np.broadcast_to(rgb(colour), (*canvas.shape, 3)).copy()


@paint
def plaster(canvas: Canvas, colour: Colour, contrast: float = 0.10, grain_m: float = 0.05) -> np.ndarray:
    """Blotchy wall or stone with fine speckles."""
    broad = canvas.noise((grain_m * 6, grain_m * 6), 3)
    fine = canvas.noise((grain_m, grain_m), 6)
    speckle = step(canvas.noise((0.012, 0.012), 2), 1.0, 0.3)
    return tint(colour, 1 + contrast * (0.5 * broad + fine) - 0.35 * speckle * min(1.0, contrast * 6))


@paint
def bricks(canvas: Canvas, colour: Colour, mortar: Colour, brick_m: tuple[float, float] = (0.075, 0.23)) -> np.ndarray:
    """Running bond: rows shifted by half a brick, each brick with its own tone, rough and chipped at the edges."""
    rows, columns = canvas.metres
    wobble = 0.004 * canvas.noise((0.05, 0.05), 4)
    row = np.floor((rows + wobble) / brick_m[0]).astype(np.int64)
    across = (columns + wobble) / brick_m[1] + 0.5 * (row % 2)
    column = np.floor(across).astype(np.int64)
    in_row, in_column = (rows + wobble) / brick_m[0] - row, across - column
    edge = np.minimum(np.minimum(in_row, 1 - in_row) * brick_m[0], np.minimum(in_column, 1 - in_column) * brick_m[1])
    index = (row - row.min()) * (column.max() + 2) + (column - column.min())
    rough = canvas.noise((0.03, 0.03), 5)
    body = tint(colour, canvas.each(index, 0.72, 1.12) + 0.11 * rough)
    body *= 1 + canvas.each(index, -0.06, 0.06)[..., None] * rgb((1.0, 0.0, -0.8))
    joint = tint(mortar, 1 + 0.10 * canvas.noise((0.02, 0.02), 4))
    return mix(joint, body, step(edge + 0.002 * rough, 0.006, 0.004))


@paint
def wood(canvas: Canvas, colour: Colour, along_columns: bool = True, contrast: float = 0.16) -> np.ndarray:
    """Grain that runs along the columns (or the rows), with darker year rings and pores."""
    long, short = 0.5, 0.03
    cell = (short, long) if along_columns else (long, short)
    warp = canvas.noise((cell[0] * 5, cell[1] * 1.5), 3)
    rows, columns = canvas.metres
    across = rows if along_columns else columns
    rings = np.sin((across / 0.018 + 2.6 * warp) * np.float32(2 * np.pi) * 0.5)
    grain = canvas.noise(cell, 6)
    pores = canvas.noise((cell[0] / 5, cell[1] / 5), 3)
    return tint(colour, 1 + contrast * (0.45 * rings + 0.7 * grain + 0.35 * pores))


@paint
def planks(canvas: Canvas, colour: Colour, plank_m: tuple[float, float] = (0.14, 1.1)) -> np.ndarray:
    """Floor boards along the columns, staggered, each with its own tone and grain offset."""
    rows, columns = canvas.metres
    row = np.floor(rows / plank_m[0]).astype(np.int64)
    across = columns / plank_m[1] + canvas.each(row, 0.0, 1.0)
    column = np.floor(across).astype(np.int64)
    gap = np.minimum(
        np.minimum(rows / plank_m[0] - row, row + 1 - rows / plank_m[0]) * plank_m[0],
        np.minimum(across - column, column + 1 - across) * plank_m[1],
    )
    index = row * (int(column.max()) + 1) + column
    tone = canvas.each(index, 0.72, 1.15)
    grain = wood(colour, contrast=0.2)(canvas)
    knots = step(canvas.noise((0.09, 0.2), 2), 1.35, 0.3)
    return grain * (tone * (1 - 0.45 * knots) * (0.35 + 0.65 * step(gap, 0.002, 0.003)))[..., None]


@paint
def tiles(canvas: Canvas, first: Colour, second: Colour, tile_m: float = 0.2) -> np.ndarray:
    """A checker of worn tiles, every one a little different in tone."""
    rows, columns = canvas.metres
    row, column = np.floor(rows / tile_m).astype(np.int64), np.floor(columns / tile_m).astype(np.int64)
    odd = ((row + column) % 2).astype(np.float32)
    index = row * (int(column.max()) + 1) + column
    wear = 0.10 * canvas.noise((0.06, 0.06), 6)
    tone = canvas.each(index, 0.8, 1.15) + wear
    plain = mix(tint(first, tone), tint(second, tone), odd)
    edge = np.minimum(np.abs(rows / tile_m - np.round(rows / tile_m)), 1.0) * tile_m
    edge = np.minimum(edge, np.abs(columns / tile_m - np.round(columns / tile_m)) * tile_m)
    return plain * (0.55 + 0.45 * step(edge, 0.003, 0.004))[..., None]


@paint
def rug(canvas: Canvas, ground: Colour, figure: Colour, accent: Colour) -> np.ndarray:
    """A woven carpet: border stripes, diamonds, and the irregular tone of hand-dyed yarn."""
    (rows, columns), (high, wide) = canvas.metres, canvas.size_m
    wobble = 0.012 * canvas.noise((0.15, 0.15), 3)
    border = np.minimum(np.minimum(rows, high - rows), np.minimum(columns, wide - columns)) + wobble
    down, across = (rows + wobble) / 0.28, (columns - wobble) / 0.36
    diamond = np.abs(down % 1 - 0.5) + np.abs(across % 1 - 0.5)
    cell = np.floor(down - down.min()).astype(np.int64) * 64 + np.floor(across - across.min()).astype(np.int64)
    tone = canvas.each(cell, 0.55, 1.1)
    figured = step(diamond, 0.5, 0.03) * step(0.86 - diamond, 0.0, 0.03)
    colour = mix(tint(ground, tone), tint(figure, np.ones(canvas.shape, np.float32)), figured)
    centre = mix(accent, figure, step(canvas.each(cell, 0.0, 1.0), 0.6, 0.01))
    colour = mix(colour, centre, step(canvas.each(cell, 0.08, 0.26) - diamond, 0.0, 0.03))
    stripe = ((border > 0.05) & (border < 0.08)) | ((border > 0.13) & (border < 0.15))
    colour = mix(colour, accent, stripe)
    colour = mix(colour, figure, (border > 0.08) & (border < 0.13))
    yarn = 0.16 * canvas.noise((0.006, 0.02), 3)
    dye = 0.12 * canvas.noise((0.12, 0.5), 5)
    return colour * (1 + yarn + dye)[..., None]


@paint
def fabric(canvas: Canvas, colour: Colour, second: Colour, stripe_m: float = 0.05) -> np.ndarray:
    """Striped cloth with a visible weave and creases."""
    rows, columns = canvas.metres
    pick = canvas.each(np.floor(columns / stripe_m + rows * 0).astype(np.int64), 0.0, 1.0)
    creases = 0.12 * canvas.noise((0.12, 0.04), 5)
    weave = 0.10 * canvas.noise((0.008, 0.008), 2)
    return mix(colour, second, step(pick, 0.5, 0.2)) * (1 + creases + weave)[..., None]


@paint
def speckled(canvas: Canvas, colour: Colour, spots: Colour, spot_m: float = 0.02) -> np.ndarray:
    """Skin of a fruit, terrazzo or glazed clay: blotches of a second colour on the first."""
    field = canvas.noise((spot_m, spot_m), 4)
    tone = 1 + 0.08 * canvas.noise((spot_m * 3, spot_m * 3), 5)
    return mix(colour, spots, step(field, 0.45, 0.25)) * tone[..., None]


@paint
def landscape(canvas: Canvas, sky: Colour, sun: Colour, ground: Colour) -> np.ndarray:
    """A painted poster: a sky with clouds and a sun over ranges of hills, in a white mat with a dark frame."""
    (v, u), rng, (rows, columns) = canvas.unit, canvas.rng, canvas.shape
    clouds = canvas.fractal((rows / 5, columns / 2), 6)
    picture = mix(sky, (0.97, 0.93, 0.86), np.clip(0.9 * v + 0.3 * clouds, 0, 1))
    centre = rng.uniform(0.25, 0.75), rng.uniform(0.22, 0.4)
    aspect = canvas.size_m[1] / canvas.size_m[0]
    picture = mix(picture, sun, step(0.11 - np.hypot((u - centre[0]) * aspect, v - centre[1]), 0.0, 0.01))
    for layer in range(5):
        ridge = replace(canvas, shape=(1, columns)).fractal((1.5, columns / (2 + layer)), 6)
        height = 0.42 + 0.12 * layer + 0.06 * ridge
        tone = rgb(ground) * (1.15 - 0.2 * layer) + rgb(sky) * (0.35 - 0.085 * layer)
        body = tone * (1 + 0.16 * canvas.fractal((24.0, 24.0)))[..., None]
        picture = mix(picture, body, step(v - height, 0.0, 0.008))
    return _framed(canvas, picture)


@paint
def shapes(canvas: Canvas, background: Colour, palette: tuple[Colour, ...], count: int = 26) -> np.ndarray:
    """A poster of overlapping discs, bars and rings, in a white mat with a dark frame."""
    (v, u), rng = canvas.unit, canvas.rng
    aspect = canvas.size_m[1] / canvas.size_m[0]
    picture = rgb(background) * (1 + 0.08 * canvas.fractal((30.0, 30.0)))[..., None]
    for number in range(count):
        x, y, radius, angle = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.04, 0.2), rng.uniform(0, np.pi)
        dx, dy = (u - x) * aspect, v - y
        along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
        distance = (
            np.hypot(dx, dy),
            np.maximum(np.abs(along), 5 * np.abs(across)),
            np.abs(np.hypot(dx, dy) - radius * 0.8) * 4,
        )[number % 3]
        colour = palette[int(rng.integers(len(palette)))]
        picture = mix(picture, colour, 0.9 * step(radius - distance, 0.0, 0.008))
    picture = picture * (1 + 0.05 * canvas.lattice((2.0, 2.0)))[..., None]
    return _framed(canvas, picture)


def _framed(canvas: Canvas, picture: np.ndarray) -> np.ndarray:
    v, u = canvas.unit
    edge = np.minimum(np.minimum(u, 1 - u) * (canvas.size_m[1] / canvas.size_m[0]), np.minimum(v, 1 - v))
    picture = mix(picture, (0.93, 0.92, 0.88), step(0.09 - edge, 0.0, 0.006))
    return mix(picture, (0.13, 0.09, 0.07), step(0.045 - edge, 0.0, 0.006))


@paint
def printed(canvas: Canvas, colour: Colour, ink: Colour) -> np.ndarray:
    """Cardboard with a printed band, a barcode and lines that look like text."""
    (v, u), (high, wide) = canvas.unit, canvas.size_m
    ribs = 0.05 * canvas.noise((0.3, 0.006), 3)
    blotches = 0.07 * canvas.noise((0.05, 0.05), 6)
    paper = rgb(colour) * (1 + ribs + blotches)[..., None]
    line = np.floor(v * 22 + 0 * u).astype(np.int64)
    word = np.floor(u * 46 + canvas.each(line, 0, 9)).astype(np.int64)
    text = (canvas.each(line * 64 + word, 0, 1) > 0.35) & (v * 22 % 1 > 0.35) & (v > 0.5) & (v < 0.9)
    text &= (u > 0.08) & (u < 0.92 - 0.4 * canvas.each(line, 0, 1))
    bars = (canvas.each(np.floor(u * 70 + 0 * v).astype(np.int64), 0, 1) > 0.5) & (u > 0.55) & (u < 0.9)
    bars &= (v > 0.1) & (v < 0.34)
    logo = np.hypot((u - 0.27) * wide, (v - 0.25) * high) < 0.17 * min(high, wide)
    return mix(paper, ink, 0.85 * (text | bars | logo).astype(np.float32))


@paint
def leaf(canvas: Canvas, colour: Colour) -> np.ndarray:
    """A leaf along the rows: midrib, side veins and blotches."""
    (v, u), rng = canvas.unit, canvas.rng
    side = np.abs(u - 0.5)
    veins = 0.5 + 0.5 * np.cos((v + 0.5 * side) * np.float32(2 * np.pi * 7))
    tone = rng.uniform(0.65, 1.25) * (0.85 + 0.25 * veins + 0.12 * canvas.fractal((6.0, 6.0), 3))
    body = tint(colour, tone) + np.float32(rng.uniform(-0.04, 0.08, 3)) * rgb((1, 0.5, 0.2))
    return mix(body, (0.72, 0.78, 0.45), step(0.05 - side, 0.0, 0.05) * 0.8)


@paint
def outdoors(canvas: Canvas, sky: Colour, ground: Colour, horizon: float) -> np.ndarray:
    """A sky with clouds over a line of trees; `horizon` is its place from 0, the top edge, to 1."""
    (v, _), (rows, columns) = canvas.unit, canvas.shape
    clouds = canvas.fractal((max(rows / 6, 2.0), max(columns / 5, 2.0)), 6)
    haze = np.clip(1.2 * v / max(horizon, 1e-3), 0, 1) ** 2 + 0 * clouds
    air = mix(mix(sky, (0.93, 0.95, 0.96), haze), (0.97, 0.97, 0.96), step(clouds, 0.35, 0.9) * 0.8)
    ridge = replace(canvas, shape=(1, columns)).fractal((1.5, max(columns / 24, 2.0)), 6)
    green = tint(ground, 1 + 0.35 * canvas.fractal((12.0, 12.0)))
    return mix(air, green, step(v - horizon + 0.06 * ridge, 0.0, 0.006))


@paint
def spines(canvas: Canvas, colours: Sequence[Colour], book_m: float = 0.032) -> np.ndarray:
    """Backs of books, side by side, of different widths and heights, with titles."""
    (rows, columns), high = canvas.metres, canvas.size_m[0]
    along = columns / book_m
    along = along + 0.35 * np.sin(1.7 * along + canvas.rng.uniform(0, 6)) + 0 * rows
    book = np.maximum(np.floor(along), 0).astype(np.int64)
    of_book = np.asarray(colours, np.float32)[canvas.rng.integers(0, len(colours), int(book.max()) + 1)][book]
    colour = of_book * (canvas.each(book, 0.7, 1.2) + 0.05 * canvas.noise((0.02, 0.02), 3))[..., None]
    share = (high - rows) / high + 0 * along
    title = (np.abs(share - canvas.each(book, 0.45, 0.75)) < canvas.each(book, 0.02, 0.16)) & (
        np.abs(along % 1 - 0.5) < 0.2
    )
    colour = mix(colour, (0.9, 0.85, 0.7), 0.7 * title.astype(np.float32))
    gap = np.minimum(along % 1, 1 - along % 1)
    dark = np.minimum(step(gap, 0.04, 0.06), step(canvas.each(book, 0.72, 1.0) - share, 0.0, 0.01))
    return colour * (0.1 + 0.9 * dark)[..., None]


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
