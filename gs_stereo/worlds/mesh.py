"""Triangles: the pieces a scene is put together from, and the one mesh that rays are cast against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

Vector = Sequence[float] | np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """Vertices with shading normals and texture coordinates, and triangles with their group.

    uv: as the light model wants it, lengths for tiles, from 0 to 1 (column, row) for a patch with a chart of its own.
    group: numbers what looks like one face; borders between groups are smoothed when an image is rendered.
    """

    points: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    uv: Float[np.ndarray, "n 2"]
    triangles: Int[np.ndarray, "m 3"]
    group: Int[np.ndarray, "m"]

    @property
    def radius(self) -> float:
        """Largest distance of a vertex from the origin."""
        return float(np.sqrt((self.points**2).sum(axis=1).max()))


def moved(piece: Piece, rotation: np.ndarray, offset: Vector, scale: float = 1.0) -> Piece:
    """Scaled, then turned, then shifted; texture coordinates are lengths and are scaled too."""
    return replace(
        piece,
        points=((scale * piece.points) @ rotation.T + np.asarray(offset)).astype(np.float32),
        normals=(piece.normals @ rotation.T).astype(np.float32),
        uv=(scale * piece.uv).astype(np.float32),
    )


def upright_turn(angle: float) -> Float64[np.ndarray, "3 3"]:
    """Rotation about the vertical, in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def random_turn(rng: np.random.Generator) -> Float64[np.ndarray, "3 3"]:
    """A rotation, uniform over all (QR of a Gaussian matrix)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    q[:, 0] *= np.linalg.det(q)
    return np.asarray(q)


def grid_triangles(rows: int, columns: int) -> Int[np.ndarray, "t 3"]:
    """Two triangles for each cell of a grid of vertices numbered row by row."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    return np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)], axis=2).reshape(-1, 3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """All triangles of a scene. piece, group: numbers of a triangle's piece and face; uv, normals: of its corners."""

    vertices: Float32[np.ndarray, "v 3"]
    triangles: Int[np.ndarray, "t 3"]
    piece: Int[np.ndarray, "t"]
    group: Int[np.ndarray, "t"]
    uv: Float[np.ndarray, "t 3 2"]
    normals: Float32[np.ndarray, "t 3 3"]

    @property
    def corners(self) -> Float64[np.ndarray, "t 3 3"]:
        """Corners of the triangles."""
        return self.vertices.astype(np.float64)[self.triangles]

    @cached_property
    def face_normals(self) -> Float32[np.ndarray, "t 3"]:
        """Unit normals of the flat triangles; zero for degenerate ones."""
        corners = self.corners
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        return (cross / np.maximum(np.linalg.norm(cross, axis=-1, keepdims=True), 1e-30)).astype(np.float32)


def join(pieces: Sequence[Piece]) -> Mesh:
    """The mesh of all pieces, in order."""
    starts = np.cumsum([0, *(len(piece.points) for piece in pieces)])
    first_groups = np.cumsum([0, *(int(piece.group.max()) + 1 for piece in pieces)])
    return Mesh(
        vertices=np.concatenate([piece.points for piece in pieces]).astype(np.float32),
        triangles=np.concatenate([piece.triangles + start for piece, start in zip(pieces, starts, strict=False)]),
        piece=np.repeat(np.arange(len(pieces), dtype=np.int32), [len(piece.triangles) for piece in pieces]),
        group=np.concatenate([piece.group + first for piece, first in zip(pieces, first_groups, strict=False)]),
        uv=np.concatenate([piece.uv[piece.triangles] for piece in pieces]),
        normals=np.concatenate([piece.normals[piece.triangles] for piece in pieces]).astype(np.float32),
    )
