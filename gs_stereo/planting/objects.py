"""The kinds of objects that are planted, and the world that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from gs_stereo.core.hashing import unit_seed
from gs_stereo.core.records import Record
from gs_stereo.imaging.light import light_from_srgb, srgb_from_light
from gs_stereo.worlds import shapes
from gs_stereo.worlds.light.lamp import Light, Tiled, lamp_world
from gs_stereo.worlds.mesh import Piece, moved
from gs_stereo.worlds.textures.tiles import BoxLayout, boxed, packed, texture_bank
from gs_stereo.worlds.world import SurfaceClass, World

ObjectKind = Literal["plain", "blank", "glossy", "thin"]
KINDS: tuple[ObjectKind, ...] = ("plain", "thin", "plain", "blank", "plain", "thin", "plain", "glossy")
"""The kinds in turn: half of the objects are plain, as most surfaces are; a splat shows a thin one or does not."""
_SURFACE = {
    "plain": SurfaceClass.PLAIN,
    "blank": SurfaceClass.TEXTURELESS,
    "glossy": SurfaceClass.GLOSSY,
    "thin": SurfaceClass.THIN,
}
_TILE_SIDE = 128
_FAR = 1e3
"""Radius of the dome behind all objects, in radii of the place where they are."""
_LEAF_LENGTH = 2.5
"""Half a leaf's length in line widths: it is a quarter to half as wide as long."""
_SUN = np.array([0.4, -0.3, 0.85])
"""Where the lamp is, in a frame whose z is up: from above, a little from the side, so that bodies have shading."""

Three = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class PlantedObject(Record):
    """One object. centre: in the frame of the cameras. radius: of a ball about all of it, in scene units.

    line_width: thickness of the rods of a thin object, in scene units. turn: rows of its rotation. seed: of its shape
    and texture. brightness: of its texture, for what stands in the dark is dark.
    """

    kind: ObjectKind
    centre: Three
    radius: Annotated[float, Field(gt=0)]
    line_width: Annotated[float, Field(gt=0)]
    turn: tuple[Three, Three, Three]
    seed: int
    brightness: Annotated[float, Field(gt=0)] = 1.0


def shape_of(item: PlantedObject) -> Piece:
    """The object's surface in the frame of the cameras."""
    rng = np.random.default_rng(item.seed)
    piece = _unit_shape(item, rng)
    return moved(piece, np.array(item.turn), item.centre, item.radius / piece.radius)


def _unit_shape(item: PlantedObject, rng: np.random.Generator) -> Piece:
    if item.kind == "blank":
        return shapes.box((1.0, 0.7, 0.06))
    if item.kind == "thin":
        if rng.random() < 0.4:
            leaf = float(np.clip(_LEAF_LENGTH * item.line_width / item.radius, 0.12, 0.5))
            return shapes.leaves(rng, int(rng.uniform(1.0, 2.5) / leaf**2) + 3, leaf)
        ends = rng.normal(size=(int(rng.integers(3, 7)), 3))
        ends /= np.linalg.norm(ends, axis=-1, keepdims=True)
        across = rng.normal(0, 0.35, ends.shape)
        return shapes.rods(across - ends, across + ends, 0.7 * item.line_width / item.radius)
    pick = int(rng.integers(4))
    if pick < 3:
        return (shapes.blob, shapes.cylinder, shapes.vase)[pick](rng)
    return shapes.box(rng.uniform(0.5, 1.0, 3))


def planted_world(
    items: Sequence[PlantedObject], photos: Sequence[UInt8[np.ndarray, "h w 3"]], up: np.ndarray, seed: int
) -> World:
    """All objects under one sky; piece k of the mesh is object k, the last piece is the dome behind them.

    photos: of the capture; textures are cut out of them, or painted in their colours. None: for shapes alone. up: unit
    vector.
    """
    layout = BoxLayout(_TILE_SIDE)
    pictures = [np.zeros((_TILE_SIDE, _TILE_SIDE, 3), np.uint8)] * (len(items) + 1)
    if photos:
        pictures = [*(_texture(item, photos, seed) for item in items), _sky(photos)]
    tiles = packed([boxed(picture, layout) for picture in pictures], layout)
    centres = np.array([item.centre for item in items])
    middle = centres.mean(axis=0)
    reach = float(np.linalg.norm(centres - middle, axis=1).max() + max(item.radius for item in items))
    dome = moved(shapes.dome(1.0), np.eye(3), middle, _FAR * reach)
    finishes = [_finish(item, number) for number, item in enumerate(items)]
    finishes.append(Tiled(tile=len(items), repeat_m=_FAR * reach, glows=True))
    light = Light(place=_sun(up), far=True, lamp=(0.7, 0.68, 0.62), sky=(0.65, 0.65, 0.68), floor=(0.4, 0.38, 0.36))
    return lamp_world([*(shape_of(item) for item in items), dome], finishes, tiles, light)


def _finish(item: PlantedObject, tile: int) -> Tiled:
    rng = np.random.default_rng(unit_seed(item.seed, "finish"))
    repeat = item.radius * rng.uniform(0.8, 2.0)
    if item.kind == "glossy":
        strength = rng.uniform(0.3, 0.8)
        return Tiled(
            kind=SurfaceClass.GLOSSY,
            tile=tile,
            repeat_m=repeat,
            highlight=strength,
            shininess=rng.uniform(40, 200),
            mirror=0.4 * strength,
        )
    return Tiled(kind=_SURFACE[item.kind], tile=tile, repeat_m=repeat)


def _texture(item: PlantedObject, photos: Sequence[np.ndarray], seed: int) -> UInt8[np.ndarray, "s s 3"]:
    """As bright as it is about the object."""
    light = light_from_srgb(_pattern(item, photos, seed) / 255) * item.brightness
    return np.rint(255 * srgb_from_light(np.clip(light, 0, 1))).astype(np.uint8)


def _pattern(item: PlantedObject, photos: Sequence[np.ndarray], seed: int) -> UInt8[np.ndarray, "s s 3"]:
    """A piece of a photo, or a painted pattern in the colours of one; for a blank object its mean colour alone."""
    rng = np.random.default_rng(unit_seed(item.seed, "texture"))
    photo = photos[int(rng.integers(len(photos)))]
    cut = _cut_out(photo, rng)
    if item.kind == "blank":
        return np.broadcast_to(np.rint(cut.reshape(-1, 3).mean(axis=0)), cut.shape).astype(np.uint8)
    if rng.random() < 0.5:
        return cut
    bank = texture_bank(seed, 24, _TILE_SIDE)
    layout = BoxLayout(_TILE_SIDE)
    column, row = layout.corners().astype(int)[0]
    painted = bank[int(rng.integers(len(bank)))][row : row + _TILE_SIDE, column : column + _TILE_SIDE]
    return _in_colours_of(painted, cut)


def _cut_out(photo: np.ndarray, rng: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    """The square with the most contrast of a few, so that what is called plain is not blank."""
    height, width = photo.shape[:2]
    side = min(_TILE_SIDE, height, width)
    corners = zip(rng.integers(0, height - side + 1, 8), rng.integers(0, width - side + 1, 8), strict=True)
    cuts = [photo[row : row + side, column : column + side] for row, column in corners]
    best = max(cuts, key=lambda cut: float(cut.std(axis=(0, 1)).mean()))
    repeats = -(-_TILE_SIDE // side)
    return np.tile(best, (repeats, repeats, 1))[:_TILE_SIDE, :_TILE_SIDE]


def _in_colours_of(painted: np.ndarray, photo: np.ndarray) -> UInt8[np.ndarray, "s s 3"]:
    """The pattern with the mean and spread of a photo's channels."""
    values, like = (picture.reshape(-1, 3).astype(np.float64) for picture in (painted, photo))
    spread = np.maximum(values.std(axis=0), 1.0)
    moved_values = (values - values.mean(axis=0)) / spread * np.maximum(like.std(axis=0), 12.0) + like.mean(axis=0)
    return np.clip(np.rint(moved_values), 0, 255).astype(np.uint8).reshape(painted.shape)


def _sky(photos: Sequence[np.ndarray]) -> UInt8[np.ndarray, "s s 3"]:
    colour = np.mean([photo.reshape(-1, 3).mean(axis=0) for photo in photos], axis=0)
    return np.broadcast_to(np.rint(colour), (_TILE_SIDE, _TILE_SIDE, 3)).astype(np.uint8)


def _sun(up: np.ndarray) -> np.ndarray:
    """The direction towards the lamp."""
    across = np.cross(up, np.eye(3)[int(np.abs(up).argmin())])
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(up, across), up], axis=1)
    direction = frame @ _SUN
    return np.asarray(direction / np.linalg.norm(direction))
