"""A training scene while it is put together: the view, the pieces so far, and where there is room for more.

World axes: x right, y away, z up, metres; the left eye stands above the origin and looks along +y, more or less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gs_stereo.types import Camera
from gs_stereo.worlds.cameras import looking
from gs_stereo.worlds.light.lamp import Tiled
from gs_stereo.worlds.mesh import Piece
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.world import SurfaceClass

TILES = 12
"""Textures of a scene."""


@dataclass(frozen=True)
class Setting:
    """One kind of scene: how it is furnished, and least and most of what is drawn for it.

    near_m: clearance of the eye. far_m: how far things stand. floating: share of the wanted objects that float about.
    """

    furnish: Callable[[Composer], None]
    eye_m: tuple[float, float]
    near_m: tuple[float, float]
    far_m: tuple[float, float]
    pitch_deg: tuple[float, float]
    floating: tuple[float, float]


class Composer:
    """Pieces and finishes as they are added, and the view they are added for."""

    def __init__(self, rng: np.random.Generator, config: TrainingPairConfig, setting: Setting) -> None:
        self.rng = rng
        self.near_m = float(rng.uniform(*setting.near_m))
        self.far_m = float(np.exp(rng.uniform(*np.log(setting.far_m))))
        self.eye_m = float(rng.uniform(*setting.eye_m))
        view = np.deg2rad(rng.uniform(*config.field_of_view_deg))
        focal = config.width / 2 / np.tan(view / 2)
        shift = rng.normal(0, 0.01, 2) * config.width
        k = [[focal, 0, config.width / 2 + shift[0]], [0, focal, config.height / 2 + shift[1]], [0, 0, 1]]
        pitch, yaw = np.deg2rad(rng.uniform(*setting.pitch_deg)), np.deg2rad(rng.uniform(-25, 25))
        eye = np.array([0.0, 0.0, self.eye_m])
        aim = eye + np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
        self.camera = Camera(
            name="left",
            width=config.width,
            height=config.height,
            intrinsics=np.array(k),
            cam_from_world=looking(eye, aim, float(np.deg2rad(rng.normal(0, 3)))),
        )
        self.pieces: list[Piece] = []
        self.finishes: list[Tiled] = []

    def add(
        self, piece: Piece, repeat_m: float, *, kind: SurfaceClass = SurfaceClass.PLAIN, glows: bool = False
    ) -> None:
        """A piece in its place, with a random finish; a quarter of them glossy."""
        rng = self.rng
        shiny = not glows and rng.random() < 0.25
        finish = Tiled(
            kind=SurfaceClass.GLOSSY if shiny else kind,
            tile=int(rng.integers(TILES)),
            repeat_m=max(repeat_m, 1e-3),
            highlight=rng.uniform(0.1, 1.0) if shiny else 0.0,
            shininess=float(np.exp(rng.uniform(2, 5.5))),
            mirror=rng.uniform(0.0, 0.25) if shiny else 0.0,
            glows=glows,
        )
        self.pieces.append(piece)
        self.finishes.append(finish)

    def in_view(self, depth_m: float, margin: float = 0.08) -> Float64[np.ndarray, "3"]:
        """A random point that the camera sees at this depth."""
        k = self.camera.intrinsics
        x = self.rng.uniform(-margin, 1 + margin) * self.camera.width
        y = self.rng.uniform(-margin, 1 + margin) * self.camera.height
        in_cam = depth_m * np.array([(x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1], 1.0])
        place = self.camera.world_from_cam
        return np.asarray(place[:3, :3] @ in_cam + place[:3, 3])

    def depth(self) -> float:
        """Half uniform in inverse depth, half uniform in its logarithm, from near to far."""
        near, far = self.near_m * 1.15, self.far_m
        if self.rng.random() < 0.5:
            return float(1 / self.rng.uniform(1 / far, 1 / near))
        return float(np.exp(self.rng.uniform(np.log(near), np.log(far))))

    def is_clear(self, centre: np.ndarray, radius: float) -> bool:
        """True if a ball keeps its distance from the eye."""
        return float(np.linalg.norm(centre - self.camera.centre_in_world)) - radius > self.near_m
