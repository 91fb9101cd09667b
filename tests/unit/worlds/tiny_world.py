"""Worlds of one or two plain squares, whose light and truth can be worked out by hand."""

from __future__ import annotations

import numpy as np

from gs_stereo.types import Camera
from gs_stereo.worlds.light.lamp import Light, Tiled, lamp_world
from gs_stereo.worlds.mesh import Piece
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.shapes import quads
from gs_stereo.worlds.textures.tiles import BoxLayout, Tiles
from gs_stereo.worlds.world import World

TINY = TrainingPairConfig(width=96, height=72, textures=6, texture_px=64, objects=(4, 8))
DARK = Light(place=(0, 0, 1), far=True, lamp=(0, 0, 0), sky=(0, 0, 0), floor=(0, 0, 0))


def plain_tiles(grey: int = 128, side: int = 32) -> Tiles:
    layout = BoxLayout(side)
    texels = np.full((layout.height, layout.width, 3), grey, np.uint8)
    return Tiles(texels=texels, origins=np.zeros((1, 2), np.float32), layout=layout)


def facing_square(depth: float, half: float = 50.0, centre: tuple[float, float] = (0.0, 0.0)) -> Piece:
    """A square across the view of `camera`, at a distance along +y."""
    x, z = centre
    corners = [(x - half, depth, z - half), (x + half, depth, z - half), (x + half, depth, z + half)]
    return quads(np.array([[*corners, (x - half, depth, z + half)]], float))


def camera(width: int = 96, height: int = 72, focal: float = 80.0) -> Camera:
    """At the origin, looking along +y with z up."""
    pose = np.eye(4)
    pose[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    k = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(name="left", width=width, height=height, intrinsics=k, cam_from_world=pose)


def make_world(pieces: list[Piece], light: Light = DARK, tiles: Tiles | None = None, **finish: object) -> World:
    return lamp_world(pieces, [Tiled(tile=0, repeat_m=1.0, **finish)] * len(pieces), tiles or plain_tiles(), light)
