"""The textures of the training pairs: a bank painted once a run, and the recoloured choice of each scene.

A texture is square and is repeated by reflection, so it has no seams. It lies in a box of bytes with all its mip
levels: level 0 at the left, the others below each other at its right, each with a border of copied edge texels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float32, UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.worlds.pairs import patterns
from gs_stereo.worlds.textures import (
    Colour,
    bricks,
    fabric,
    landscape,
    planks,
    plaster,
    printed,
    rug,
    shapes,
    speckled,
    tiles,
    wood,
)

_BORDER = 2
_COLUMNS = 4
_LOOKUP_WIDTH = 4096


@dataclass(frozen=True)
class BoxLayout:
    """Where the mip levels of a texture of `side` texels lie in its box."""

    side: int

    @property
    def levels(self) -> int:
        return int(np.log2(self.side)) - 1

    @property
    def width(self) -> int:
        return self.side + self.side // 2 + 4 * _BORDER

    @property
    def height(self) -> int:
        return self.side + 2 * _BORDER * self.levels

    def corners(self) -> Float32[np.ndarray, "l 2"]:
        """(column, row) of the first texel of each level."""
        rows, row = [_BORDER], _BORDER
        for level in range(1, self.levels):
            rows.append(row)
            row += (self.side >> level) + 2 * _BORDER
        columns = [_BORDER] + [self.side + 3 * _BORDER] * (self.levels - 1)
        return np.stack([columns, rows], axis=-1).astype(np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tiles:
    """The textures of one scene in one image. `origins`: (column, row) of each texture's box."""

    texels: UInt8[np.ndarray, "h w 3"]
    origins: Float32[np.ndarray, "k 2"]
    layout: BoxLayout

    def lookup(self, tile: np.ndarray, u: np.ndarray, v: np.ndarray, level: np.ndarray) -> UInt8[np.ndarray, "n 3"]:
        """Bilinear lookup at (u, v) in repeats of the texture, on whole mip levels."""
        import cv2

        side = np.float32(self.layout.side) / (1 << level).astype(np.float32)
        start = self.starts[:, tile * self.layout.levels + level]
        x, y = _reflected(u) * side + start[0], _reflected(v) * side + start[1]
        count = len(x)
        if count == 0:
            return np.empty((0, 3), np.uint8)
        wide = min(_LOOKUP_WIDTH, count)
        if pad := -count % wide:
            x, y = (np.concatenate([axis, np.zeros(pad, np.float32)]) for axis in (x, y))
        x, y = x.reshape(-1, wide), y.reshape(-1, wide)
        return np.asarray(cv2.remap(self.texels, x, y, cv2.INTER_LINEAR)).reshape(-1, 3)[:count]

    @cached_property
    def starts(self) -> Float32[np.ndarray, "2 kl"]:
        """Array coordinates of the texture plane's corner, for each texture and level."""
        starts = self.origins[:, None] + self.layout.corners()[None] - np.float32(0.5)
        return np.ascontiguousarray(starts.reshape(-1, 2).T)


def _reflected(u: np.ndarray) -> np.ndarray:
    """Position in [0, 1] of a texture that is repeated by reflection."""
    return np.abs(u - np.float32(2) * np.rint(u * np.float32(0.5)))


@lru_cache(maxsize=1)
def texture_bank(seed: int, count: int, side: int) -> tuple[UInt8[np.ndarray, "h w 3"], ...]:
    """`count` boxes of textures, every kind about equally often. The same arguments give the same bytes."""
    layout = BoxLayout(side)
    boxes = []
    for index in range(count):
        rng = np.random.default_rng(unit_seed(seed, f"texture/{index}"))
        paint = _KINDS[index % len(_KINDS)](rng)
        size_m = float(rng.uniform(0.7, 1.6))
        picture = np.clip(paint(rng, (side, side), (size_m, size_m)), 0, 1)
        boxes.append(_boxed(np.rint(255 * picture).astype(np.uint8), layout))
    return tuple(boxes)


def _boxed(picture: UInt8[np.ndarray, "s s 3"], layout: BoxLayout) -> UInt8[np.ndarray, "h w 3"]:
    import cv2

    box = np.zeros((layout.height, layout.width, 3), np.uint8)
    for level, (column, row) in enumerate(layout.corners().astype(int)):
        side = layout.side >> level
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) if level else picture
        bordered = np.pad(small, ((_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)), mode="edge")
        top, left = row - _BORDER, column - _BORDER
        box[top : top + side + 2 * _BORDER, left : left + side + 2 * _BORDER] = bordered
    return box


def scene_tiles(rng: np.random.Generator, bank: tuple[np.ndarray, ...], count: int) -> Tiles:
    """`count` textures of the bank, each with colours of its own; one in seven nearly without contrast."""
    import cv2

    side = _side_of(bank[0])
    layout = BoxLayout(side)
    rows = -(-count // _COLUMNS)
    texels = np.zeros((rows * layout.height, _COLUMNS * layout.width, 3), np.uint8)
    origins = []
    for index, choice in enumerate(rng.integers(0, len(bank), count)):
        top, left = index // _COLUMNS * layout.height, index % _COLUMNS * layout.width
        coloured = cv2.transform(bank[choice], _recolouring(rng))
        texels[top : top + layout.height, left : left + layout.width] = coloured
        origins.append((left, top))
    return Tiles(texels=texels, origins=np.array(origins, np.float32), layout=layout)


def _side_of(box: np.ndarray) -> int:
    return round((box.shape[1] - 4 * _BORDER) * 2 / 3)


def _recolouring(rng: np.random.Generator) -> Float32[np.ndarray, "3 4"]:
    """A random mixing of the channels with random contrast and brightness, of values from 0 to 255."""
    mixing = np.eye(3)[rng.permutation(3)] if rng.random() < 0.5 else np.eye(3)
    saturation = rng.uniform(0.05, 0.95)
    mixing = saturation * mixing + (1 - saturation) * np.full((3, 3), 1 / 3)
    tint = rng.uniform(0.75, 1.15, 3)
    contrast = rng.uniform(0.03, 0.2) if rng.random() < 1 / 7 else rng.uniform(0.5, 1.2)
    matrix = contrast * tint[:, None] * mixing
    offset = tint * (rng.uniform(60, 190) - contrast * 128)
    return np.concatenate([matrix, offset[:, None]], axis=1).astype(np.float32)


def _colour(rng: np.random.Generator) -> Colour:
    red, green, blue = rng.uniform(0.08, 0.92, 3)
    return float(red), float(green), float(blue)


def _palette(rng: np.random.Generator) -> tuple[Colour, ...]:
    return tuple(_colour(rng) for _ in range(5))


_KINDS: tuple[patterns.RandomPaint, ...] = (
    patterns.photo_like,
    lambda rng: bricks(_colour(rng), _colour(rng), (float(rng.uniform(0.05, 0.2)), float(rng.uniform(0.1, 0.4)))),
    patterns.fine_grain,
    lambda rng: wood(_colour(rng), bool(rng.integers(2)), float(rng.uniform(0.1, 0.3))),
    patterns.camouflage,
    lambda rng: shapes(_colour(rng), _palette(rng), int(rng.integers(20, 60))),
    patterns.stripes,
    lambda rng: planks(_colour(rng), (float(rng.uniform(0.06, 0.2)), float(rng.uniform(0.3, 1.2)))),
    patterns.cells,
    lambda rng: tiles(_colour(rng), _colour(rng), float(rng.uniform(0.05, 0.3))),
    patterns.photo_like,
    lambda rng: printed(_colour(rng), _colour(rng)),
    patterns.marble,
    lambda rng: plaster(_colour(rng), float(rng.uniform(0.05, 0.4)), float(rng.uniform(0.02, 0.2))),
    patterns.windows,
    lambda rng: rug(_colour(rng), _colour(rng), _colour(rng)),
    patterns.smooth,
    lambda rng: speckled(_colour(rng), _colour(rng), float(rng.uniform(0.01, 0.1))),
    patterns.grass,
    lambda rng: fabric(_colour(rng), _colour(rng), float(rng.uniform(0.02, 0.15))),
    patterns.collage,
    lambda rng: landscape(_colour(rng), _colour(rng), _colour(rng)),
    patterns.fine_grain,
    patterns.writing,
)
