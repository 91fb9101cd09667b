"""Pieces, materials and light of a training scene as tables that shading reads by triangle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

from gs_stereo.worlds.pairs.surfaces import Piece
from gs_stereo.worlds.pairs.tiles import Tiles
from gs_stereo.worlds.raycast import RayCaster

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Material:
    """How a piece looks: texture number, length of one repeat, and gloss.

    highlight: strength of the Blinn-Phong lobe with exponent `shininess`. mirror: share of a blurred sky and ground
    that is reflected. glows: it gives the texture's colour whatever the light, like a sky.
    """

    tile: int
    repeat_m: float
    highlight: float = 0.0
    shininess: float = 40.0
    mirror: float = 0.0
    glows: bool = False


@dataclass(frozen=True, kw_only=True)
class Light:
    """One lamp that casts shadows, and light from above and below.

    place: position of the lamp, or the direction towards it if `far`. Strengths are linear RGB at 1; a near lamp
    falls off as (1 + (d / reach_m)^2)^-1.
    """

    place: Triple
    far: bool
    lamp: Triple
    sky: Triple
    floor: Triple
    reach_m: float = 4.0


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A scene ready to be looked at.

    corner_uv, steps_uv: texture position (repeats) of a triangle's first corner and its steps along barycentric
    weights. slope: rows of d(uv)/d(point), zero along the normal. The rest belongs to `Material` by piece.
    """

    caster: RayCaster
    tiles: Tiles
    light: Light
    corner_uv: Float32[np.ndarray, "2 t"]
    steps_uv: Float32[np.ndarray, "4 t"]
    slope: Float32[np.ndarray, "6 t"]
    normal: Float32[np.ndarray, "3 t"]
    corner_normals: Float32[np.ndarray, "9 t"]
    piece: Int32[np.ndarray, "t"]
    group: Int32[np.ndarray, "t"]
    material: Float32[np.ndarray, "5 p"]


def build_world(pieces: list[Piece], materials: list[Material], tiles: Tiles, light: Light) -> World:
    """Join the pieces; each has its material. One thread casts rays, so that workers can share a machine."""
    counts = [len(piece.points) for piece in pieces]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    triangles = np.concatenate([piece.triangles + start for piece, start in zip(pieces, starts, strict=True)])
    points = np.concatenate([piece.points for piece in pieces])
    uv = np.concatenate([piece.uv / np.float32(m.repeat_m) for piece, m in zip(pieces, materials, strict=True)])
    owner = np.repeat(np.arange(len(pieces), dtype=np.int32), [len(piece.triangles) for piece in pieces])
    corners, corner_uv = points[triangles].astype(np.float64), uv[triangles].astype(np.float64)
    normals = np.concatenate([piece.normals for piece in pieces])[triangles]
    edges, steps = corners[:, 1:] - corners[:, :1], corner_uv[:, 1:] - corner_uv[:, :1]
    face = np.cross(edges[:, 0], edges[:, 1])
    face /= np.maximum(np.linalg.norm(face, axis=-1, keepdims=True), 1e-20)
    return World(
        caster=RayCaster(points, triangles, threads=1),
        tiles=tiles,
        light=light,
        corner_uv=_columns(corner_uv[:, 0]),
        steps_uv=_columns(steps),
        slope=_columns(_slopes(edges, steps)),
        normal=_columns(face),
        corner_normals=_columns(np.concatenate([normals[:, :1], normals[:, 1:] - normals[:, :1]], axis=1)),
        piece=owner,
        group=_unique_groups(pieces),
        material=np.array(
            [[m.tile, m.highlight, m.shininess, m.mirror, float(m.glows)] for m in materials], np.float32
        ).T.copy(),
    )


def _columns(values: np.ndarray) -> Float32[np.ndarray, "k t"]:
    """One contiguous row for each number of a triangle."""
    return np.ascontiguousarray(values.reshape(len(values), -1).T, np.float32)


def _slopes(edges: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The 2x3 matrix J of each triangle with J edge = uv step for both edges and J normal = 0."""
    first, second = edges[:, 0], edges[:, 1]
    aa, ab, bb = ((a * b).sum(axis=1) for a, b in ((first, first), (first, second), (second, second)))
    scale = 1 / np.maximum(aa * bb - ab**2, 1e-24)
    dual_first = (bb * scale)[:, None] * first - (ab * scale)[:, None] * second
    dual_second = (aa * scale)[:, None] * second - (ab * scale)[:, None] * first
    return np.asarray(steps[:, 0, :, None] * dual_first[:, None] + steps[:, 1, :, None] * dual_second[:, None])


def _unique_groups(pieces: list[Piece]) -> Int32[np.ndarray, "t"]:
    groups, start = [], 0
    for piece in pieces:
        groups.append(piece.group + np.int32(start))
        start += int(piece.group.max()) + 1
    return np.concatenate(groups)
