"""A scene ready to be looked at: triangles, how their pieces look, and what lights them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from gs_stereo.worlds.mesh import Mesh
from gs_stereo.worlds.raycast import RayCaster, RayHits, Rays


class SurfaceClass(IntEnum):
    """What kind of surface a pixel shows; the values of `cls` in the truth files of samples."""

    PLAIN = 0
    THIN = 1
    GLOSSY = 2
    TEXTURELESS = 3
    SKY = 4


@dataclass(frozen=True, kw_only=True)
class Finish:
    """How a piece shines; each light model adds how it is textured.

    highlight: strength of the lamps' lobe with exponent `shininess`. mirror: share of light that is reflected at normal
    incidence, 0 = matt.
    """

    kind: SurfaceClass = SurfaceClass.PLAIN
    highlight: float = 0.0
    shininess: float = 60.0
    mirror: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Shaded:
    """Linear RGB along rays, and whether the lamp reaches what they hit (always true where light has no hard edges)."""

    light: Float32[np.ndarray, "n 3"]
    lit: Bool[np.ndarray, "n"]


class LightModel(Protocol):
    """Where light comes from, and the textures that it falls on."""

    def shade(self, world: World, rays: Rays, hits: RayHits) -> Shaded:
        """Light that comes along each ray from what it hits."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A closed scene in metres, z up. `finishes`: of each piece of the mesh.

    exposure: linear light times this is what a photo shows. hidden_margin_m, hidden_margin_share: a surface nearer to
    another than this many metres, or this share of the distance from the eye, does not hide it.
    """

    mesh: Mesh
    caster: RayCaster
    finishes: tuple[Finish, ...]
    light: LightModel
    exposure: float = 1.0
    hidden_margin_m: float = 0.0
    hidden_margin_share: float = 0.0

    @cached_property
    def kind(self) -> UInt8[np.ndarray, "p"]:
        """Surface class of each piece."""
        return np.array([finish.kind for finish in self.finishes], np.uint8)
