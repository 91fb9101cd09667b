"""Curved rectangles with a paint of their own: everything in a room is made of them.

A patch is a grid of points; its texture has rows along the grid's first axis and columns along its second. World
axes: x right, y away from the viewer, z up, metres.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from gs_stereo.worlds.mesh import Piece, Vector, grid_triangles, upright_turn
from gs_stereo.worlds.textures.canvas import Paint
from gs_stereo.worlds.textures.paints import plaster
from gs_stereo.worlds.world import Finish


@dataclass(frozen=True)
class Painted(Finish):
    """How a patch looks. texel_m: wanted texture resolution. two_sided: lit from both sides, like a leaf.

    roughness: tangent of the angle by which mirrored rays stray. reflection: colour of a metal's reflections. glow:
    light of its own, as if so much more fell on it. lumel_m: wanted resolution of the light.
    """

    paint: Paint
    texel_m: float = 0.004
    two_sided: bool = False
    roughness: float = 0.0
    reflection: tuple[float, float, float] = (1.0, 1.0, 1.0)
    glow: float = 0.0
    lumel_m: float = 0.045


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """A grid of points, the outward unit normal at each, and the finish."""

    points: Float64[np.ndarray, "r c 3"]
    normals: Float64[np.ndarray, "r c 3"]
    finish: Painted

    @property
    def size_m(self) -> tuple[float, float]:
        """Largest length along the rows axis and along the columns axis."""
        high = np.linalg.norm(np.diff(self.points, axis=0), axis=-1).sum(axis=0).max()
        wide = np.linalg.norm(np.diff(self.points, axis=1), axis=-1).sum(axis=1).max()
        return float(high), float(wide)

    @property
    def piece(self) -> Piece:
        """Its triangles, all one face, with texture coordinates (column, row) from 0 to 1."""
        rows, columns = self.points.shape[:2]
        triangles = grid_triangles(rows, columns)
        return Piece(
            points=self.points.reshape(-1, 3),
            normals=self.normals.reshape(-1, 3),
            uv=np.stack(np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows)), axis=-1).reshape(-1, 2),
            triangles=triangles,
            group=np.zeros(len(triangles), np.int64),
        )


def quad(corner: Vector, along_columns: Vector, along_rows: Vector, finish: Painted) -> Patch:
    """A parallelogram. `corner` is the texture's top left; the outside is where columns turn into rows clockwise."""
    start, column, row = (np.asarray(vector, float) for vector in (corner, along_columns, along_rows))
    points = start + np.array([[0 * row, column], [row, row + column]])
    normal = np.cross(row, column)
    normals = np.broadcast_to(normal / np.linalg.norm(normal), points.shape).copy()
    return Patch(points=points, normals=normals, finish=finish)


def box(centre: Vector, size: Vector, finish: Painted, yaw_deg: float = 0.0) -> list[Patch]:
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


def shell(low: Vector, high: Vector, back: Painted, left: Painted, right: Painted, floor: Painted) -> list[Patch]:
    """The closed box that views look into, between two corners; ceiling and the wall at low y are painted coarsely."""
    (west, near, base), (east, far, top) = low, high
    wide, deep, down = east - west, far - near, (0, 0, base - top)
    coarse = Painted(plaster((0.85, 0.82, 0.76), 0.08, 0.2), texel_m=0.02)
    return [
        quad((west, far, top), (wide, 0, 0), down, back),
        quad((west, near, top), (0, deep, 0), down, left),
        quad((east, far, top), (0, -deep, 0), down, right),
        quad((west, far, base), (wide, 0, 0), (0, -deep, 0), floor),
        quad((east, near, top), (-wide, 0, 0), down, coarse),
        quad((west, near, top), (wide, 0, 0), (0, deep, 0), coarse),
    ]


def lathe(profile: Sequence[Vector] | np.ndarray, foot: Vector, finish: Painted, segments: int = 48) -> Patch:
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


def sphere(centre: Vector, radius: float, finish: Painted, segments: int = 48) -> Patch:
    """A ball."""
    polar = np.linspace(0.0, np.pi, segments // 2 + 1)
    return lathe(radius * np.stack([np.sin(polar), np.cos(polar)], axis=-1), centre, finish, segments)


def rod(start: Vector, end: Vector, radius: float, finish: Painted, segments: int = 12) -> Patch:
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


def blade(base: Vector, tip: Vector, width: float, bend: Vector, finish: Painted) -> Patch:
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
    turn = upright_turn(float(np.deg2rad(yaw_deg)))
    return replace(patch, points=patch.points @ turn.T + np.asarray(offset), normals=patch.normals @ turn.T)
