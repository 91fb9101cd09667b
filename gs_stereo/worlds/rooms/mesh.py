"""Patches as one triangle mesh, with the tables that lead from a ray's hit back to its patch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from gs_stereo.worlds.rooms.patches import Patch


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """All triangles of a scene.

    patch: patch index of each triangle. uv: (column, row) position of the three corners in the patch's own texture,
    from 0 to 1. normals: unit shading normals of the corners.
    """

    vertices: Float32[np.ndarray, "v 3"]
    triangles: Int64[np.ndarray, "t 3"]
    patch: Int64[np.ndarray, "t"]
    uv: Float64[np.ndarray, "t 3 2"]
    normals: Float32[np.ndarray, "t 3 3"]

    @property
    def face_normals(self) -> Float64[np.ndarray, "t 3"]:
        """Unit normals of the flat triangles; zero for degenerate ones."""
        corners = self.vertices.astype(np.float64)[self.triangles]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        return np.asarray(cross / np.maximum(np.linalg.norm(cross, axis=-1, keepdims=True), 1e-30))


def build_mesh(patches: list[Patch]) -> Mesh:
    """Two triangles for each cell of each patch's grid, in order."""
    vertices, triangles, owner, uv, normals = [], [], [], [], []
    offset = 0
    for index, patch in enumerate(patches):
        rows, columns = patch.points.shape[:2]
        cells = _cells(rows, columns)
        flat_uv = np.stack(np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows)), axis=-1).reshape(-1, 2)
        vertices.append(patch.points.reshape(-1, 3))
        triangles.append(cells + offset)
        owner.append(np.full(len(cells), index))
        uv.append(flat_uv[cells])
        normals.append(patch.normals.reshape(-1, 3)[cells])
        offset += rows * columns
    return Mesh(
        vertices=np.concatenate(vertices).astype(np.float32),
        triangles=np.concatenate(triangles),
        patch=np.concatenate(owner),
        uv=np.concatenate(uv),
        normals=np.concatenate(normals).astype(np.float32),
    )


def _cells(rows: int, columns: int) -> Int64[np.ndarray, "t 3"]:
    """Triangles of a grid of vertices numbered row by row."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    return np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)], axis=2).reshape(-1, 3)
