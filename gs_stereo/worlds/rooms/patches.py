"""Curved rectangles with a paint: everything in a sample scene is made of them.

A patch is a grid of points; its texture has rows along the grid's first axis and columns along its second. World
axes: x right, y away from the viewer, z up, metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from jaxtyping import Float64

from gs_stereo.worlds.textures import Paint

Vector = tuple[float, float, float]


class PixelClass(IntEnum):
    """What kind of surface a pixel shows; the values of `cls` in the truth files."""

    PLAIN = 0
    THIN = 1
    GLOSSY = 2
    TEXTURELESS = 3


@dataclass(frozen=True, kw_only=True)
class Finish:
    """How a surface looks.

    texel_m: wanted texture resolution. mirror: share of light reflected like a mirror at normal incidence, 0 = matt.
    highlight: strength of the Phong lobe, with exponent `shininess`. two_sided: lit from both sides, like a leaf.
    """

    paint: Paint
    texel_m: float = 0.004
    kind: PixelClass = PixelClass.PLAIN
    mirror: float = 0.0
    highlight: float = 0.0
    shininess: float = 60.0
    two_sided: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """A grid of points, the outward unit normal at each, and the finish."""

    points: Float64[np.ndarray, "r c 3"]
    normals: Float64[np.ndarray, "r c 3"]
    finish: Finish

    @property
    def size_m(self) -> tuple[float, float]:
        """Largest length along the rows axis and along the columns axis."""
        high = np.linalg.norm(np.diff(self.points, axis=0), axis=-1).sum(axis=0).max()
        wide = np.linalg.norm(np.diff(self.points, axis=1), axis=-1).sum(axis=1).max()
        return float(high), float(wide)


def quad(corner: Vector, along_columns: Vector, along_rows: Vector, finish: Finish) -> Patch:
    """A parallelogram. `corner` is the texture's top left; the outside is where columns turn into rows clockwise."""
    start, column, row = (np.asarray(vector, float) for vector in (corner, along_columns, along_rows))
    points = start + np.array([[0 * row, column], [row, row + column]])
    normal = np.cross(row, column)
    normals = np.broadcast_to(normal / np.linalg.norm(normal), points.shape).copy()
    return Patch(points=points, normals=normals, finish=finish)


def box(centre: Vector, size: Vector, finish: Finish, yaw_deg: float = 0.0) -> list[Patch]:
    """A cuboid standing upright, turned about its vertical axis. Side textures are upright."""
    x, y, z = (value / 2 for value in size)
    faces = [
        quad((-x, -y, z), (2 * x, 0, 0), (0, 0, -2 * z), finish),
        quad((x, y, z), (-2 * x, 0, 0), (0, 0, -2 * z), finish),
        quad((x, -y, z), (0, 2 * y, 0), (0, 0, -2 * z), finish),
        quad((-x, y, z), (0, -2 * y, 0), (0, 0, -2 * z), finish),
        quad((-x, y, z), (2 * x, 0, 0), (0, -2 * y, 0), finish),
        quad((-x, -y, -z), (2 * x, 0, 0), (0, 2 * y, 0), finish),
    ]
    return [placed(face, centre, yaw_deg) for face in faces]


def lathe(profile: list[tuple[float, float]], foot: Vector, finish: Finish, segments: int = 48) -> Patch:
    """A body of revolution about the vertical through `foot`; profile is (radius, height) from top to bottom."""
    radius, height = np.asarray(profile, float).T
    angle = np.linspace(0.0, 2 * np.pi, segments + 1)
    angle[-1] = 0.0
    ring = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)
    points = radius[:, None, None] * ring + height[:, None, None] * np.array([0.0, 0.0, 1.0])
    slope_r, slope_z = np.gradient(radius), np.gradient(height)
    normals = -slope_z[:, None, None] * ring + slope_r[:, None, None] * np.array([0.0, 0.0, 1.0])
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    return placed(Patch(points=points, normals=normals, finish=finish), foot)


def sphere(centre: Vector, radius: float, finish: Finish, segments: int = 48) -> Patch:
    """A ball."""
    polar = np.linspace(0.0, np.pi, segments // 2 + 1)
    profile = [(radius * float(np.sin(angle)), radius * float(np.cos(angle))) for angle in polar]
    return lathe(profile, centre, finish, segments)


def rod(start: Vector, end: Vector, radius: float, finish: Finish, segments: int = 12) -> Patch:
    """An open cylinder between two points."""
    first, last = np.asarray(start, float), np.asarray(end, float)
    axis = (last - first) / np.linalg.norm(last - first)
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    side = np.cross(axis, helper)
    side /= np.linalg.norm(side)
    angle = np.linspace(0.0, 2 * np.pi, segments + 1)
    angle[-1] = 0.0
    ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * np.cross(axis, side)
    points = np.stack([first + radius * ring, last + radius * ring])
    return Patch(points=points, normals=np.stack([ring, ring]), finish=finish)


def blade(base: Vector, tip: Vector, width: float, bend: Vector, finish: Finish) -> Patch:
    """A leaf: a strip of small triangles from `base` to `tip`, widest in the middle, sagging by `bend`."""
    start, end, sag = np.asarray(base, float), np.asarray(tip, float), np.asarray(bend, float)
    side = np.cross(end - start, np.array([0.31, 0.17, 0.93]))
    side /= np.linalg.norm(side)
    along = np.linspace(0.0, 1.0, 6)[:, None]
    spine = start + along * (end - start) + 4 * along * (1 - along) * sag
    half = 0.5 * width * np.sin(np.pi * np.clip(along * 0.92 + 0.04, 0, 1)) ** 0.8
    points = np.stack([spine - half * side, spine + half * side], axis=1)
    normals = np.cross(np.gradient(spine, axis=0), side)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return Patch(points=points, normals=np.stack([normals, normals], axis=1), finish=finish)


def placed(patch: Patch, offset: Vector, yaw_deg: float = 0.0) -> Patch:
    """The patch turned about the vertical through the origin, then moved."""
    cosine, sine = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return replace(patch, points=patch.points @ turn.T + np.asarray(offset), normals=patch.normals @ turn.T)
