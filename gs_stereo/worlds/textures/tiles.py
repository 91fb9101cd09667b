"""The textures of the training pairs: a bank painted once a run, and the recoloured choice of each scene.

A texture is square and is repeated by reflection, so it has no seams. It lies in a box of bytes with all its mip
levels: level 0 at the left, the others below each other at its right, each with a border of copied edge texels.
native/worlds/shade.cpp looks texels up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float32, UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.worlds.textures import paints
from gs_stereo.worlds.textures.canvas import Canvas, Colour, Paint

_BORDER = 2
_COLUMNS = 4


@dataclass(frozen=True)
class BoxLayout:
    """Where the mip levels of a texture of `side` texels lie in its box."""

    side: int

    @property
    def levels(self) -> int:
        """Number of mip levels: the smallest has four texels a side."""
        return int(np.log2(self.side)) - 1

    @property
    def width(self) -> int:
        """Columns of the box."""
        return self.side + self.side // 2 + 4 * _BORDER

    @property
    def height(self) -> int:
        """Rows of the box."""
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

    @cached_property
    def starts(self) -> Float32[np.ndarray, "2 kl"]:
        """Array coordinates of the texture plane's corner, for each texture and level."""
        starts = self.origins[:, None] + self.layout.corners()[None] - np.float32(0.5)
        return np.ascontiguousarray(starts.reshape(-1, 2).T)


@lru_cache(maxsize=1)
def texture_bank(seed: int, count: int, side: int) -> tuple[UInt8[np.ndarray, "h w 3"], ...]:
    """`count` boxes of textures, every kind about equally often. The same arguments give the same bytes."""
    layout = BoxLayout(side)
    boxes = []
    for index in range(count):
        rng = np.random.default_rng(unit_seed(seed, f"texture/{index}"))
        paint = KINDS[index % len(KINDS)](rng)
        size_m = float(rng.uniform(0.7, 1.6))
        picture = np.clip(paint(Canvas(rng, (side, side), (size_m, size_m))), 0, 1)
        boxes.append(boxed(np.rint(255 * picture).astype(np.uint8), layout))
    return tuple(boxes)


def boxed(picture: UInt8[np.ndarray, "s s 3"], layout: BoxLayout) -> UInt8[np.ndarray, "h w 3"]:
    """A picture with its mip levels."""
    import cv2

    box = np.zeros((layout.height, layout.width, 3), np.uint8)
    for level, (column, row) in enumerate(layout.corners().astype(int)):
        side = layout.side >> level
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) if level else picture
        bordered = np.pad(small, ((_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)), mode="edge")
        top, left = row - _BORDER, column - _BORDER
        box[top : top + side + 2 * _BORDER, left : left + side + 2 * _BORDER] = bordered
    return box


def scene_tiles(rng: np.random.Generator, bank: tuple[np.ndarray, ...], side: int, count: int) -> Tiles:
    """`count` textures of a bank of `side` texels, with colours of their own; one in seven nearly without contrast."""
    import cv2

    chosen = [cv2.transform(bank[choice], _recolouring(rng)) for choice in rng.integers(0, len(bank), count)]
    return packed(chosen, BoxLayout(side))


def packed(boxes: Sequence[UInt8[np.ndarray, "h w 3"]], layout: BoxLayout) -> Tiles:
    """Textures with their mip levels, put into one image in order."""
    rows = -(-len(boxes) // _COLUMNS)
    texels = np.zeros((rows * layout.height, _COLUMNS * layout.width, 3), np.uint8)
    origins = []
    for index, box in enumerate(boxes):
        top, left = index // _COLUMNS * layout.height, index % _COLUMNS * layout.width
        texels[top : top + layout.height, left : left + layout.width] = box
        origins.append((left, top))
    return Tiles(texels=texels, origins=np.array(origins, np.float32), layout=layout)


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
    return rng.uniform(0.08, 0.92, 3)


KINDS: tuple[Callable[[np.random.Generator], Paint], ...] = (
    lambda rng: paints.photo_like(rng.uniform(0.8, 1.4), rng.random() < 0.5),
    lambda rng: paints.bricks(_colour(rng), _colour(rng), (rng.uniform(0.05, 0.2), rng.uniform(0.1, 0.4))),
    lambda rng: paints.grain(rng.uniform(0.1, 0.7), rng.uniform(0.08, 0.25)),
    lambda rng: paints.wood(_colour(rng), bool(rng.integers(2)), rng.uniform(0.1, 0.3)),
    lambda rng: paints.camouflage(rng.uniform(1.2, 2.0)),
    lambda rng: paints.shapes(_colour(rng), tuple(rng.uniform(0.08, 0.92, (5, 3))), int(rng.integers(20, 60))),
    lambda rng: paints.stripes(rng.uniform(0, np.pi), int(rng.integers(6, 40)), rng.random() < 0.5),
    lambda rng: paints.planks(_colour(rng), (rng.uniform(0.06, 0.2), rng.uniform(0.3, 1.2))),
    lambda rng: paints.cells(int(rng.integers(20, 90)), rng.uniform(0.004, 0.02)),
    lambda rng: paints.tiles(_colour(rng), _colour(rng), rng.uniform(0.05, 0.3)),
    lambda rng: paints.photo_like(rng.uniform(0.8, 1.4), rng.random() < 0.5),
    lambda rng: paints.printed(_colour(rng), _colour(rng)),
    lambda rng: paints.marble(rng.uniform(0, np.pi), rng.uniform(3, 10), rng.uniform(1.0, 4.0)),
    lambda rng: paints.plaster(_colour(rng), rng.uniform(0.05, 0.4), rng.uniform(0.02, 0.2)),
    lambda rng: paints.windows(int(rng.integers(3, 9)), int(rng.integers(3, 12)), rng.uniform(0.1, 0.3)),
    lambda rng: paints.rug(_colour(rng), _colour(rng), _colour(rng)),
    lambda rng: paints.grain(rng.uniform(2.2, 3.2), 0.2),  # soft gradients
    lambda rng: paints.speckled(_colour(rng), _colour(rng), rng.uniform(0.01, 0.1)),
    lambda rng: paints.grain(stretch=(rng.uniform(4, 12), 1.0), exponent=rng.uniform(0.6, 1.1), contrast=0.22),
    lambda rng: paints.fabric(_colour(rng), _colour(rng), rng.uniform(0.02, 0.15)),
    lambda rng: paints.collage(int(rng.integers(25, 90))),
    lambda rng: paints.landscape(_colour(rng), _colour(rng), _colour(rng)),
    lambda rng: paints.grain(rng.uniform(0.1, 0.7), rng.uniform(0.08, 0.25)),
    lambda rng: paints.writing(int(rng.integers(10, 40)), int(rng.integers(30, 90))),
)
"""The paints of a bank in turn; each draws its parameters."""
