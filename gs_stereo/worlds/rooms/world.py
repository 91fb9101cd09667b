"""A scene made ready to render: mesh, ray caster, and an atlas of paint times baked light."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.worlds.raycast import RayCaster
from gs_stereo.worlds.rooms.atlas import Atlas, pack
from gs_stereo.worlds.rooms.light import Lighting, bake
from gs_stereo.worlds.rooms.mesh import Mesh, build_mesh
from gs_stereo.worlds.rooms.patches import Patch, Vector

_MOST_TEXELS = 2000
_DETAIL_RANGE = (0.125, 1.5)


@dataclass(frozen=True, kw_only=True)
class SceneDesign:
    """What a scene is made of, and where one walks.

    target: the point the walker looks at. The arc is (start, end) in degrees about the target, 0 = from -y.
    """

    patches: tuple[Patch, ...]
    lighting: Lighting
    target: Vector
    radius_m: float
    arc_deg: tuple[float, float]
    heights_m: tuple[float, float]
    exposure: float


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """Lookup tables by triangle (place, texel_m, face_normal) and by patch (kind, mirror, highlight, shininess).

    place: (column, row) in the atlas of the triangle's first corner, then the steps to the second and the third.
    """

    caster: RayCaster
    mesh: Mesh
    atlas: Atlas
    lighting: Lighting
    exposure: float
    place: Float32[np.ndarray, "t 3 2"]
    texel_m: Float32[np.ndarray, "t"]
    face_normal: Float32[np.ndarray, "t 3"]
    kind: UInt8[np.ndarray, "p"]
    mirror: Float32[np.ndarray, "p"]
    highlight: Float32[np.ndarray, "p"]
    shininess: Float32[np.ndarray, "p"]


def build_world(design: SceneDesign, seed: int, detail: float = 1.0) -> World:
    """Paint and light every patch of a design. The same seed gives the same textures.

    detail: texture resolution, 1 = right for photos 640 pixels wide; kept between 1/8 and 3/2 (memory).
    """
    patches = list(design.patches)
    mesh = build_mesh(patches)
    caster = RayCaster(mesh.vertices, mesh.triangles)
    detail = float(np.clip(detail, *_DETAIL_RANGE))
    generators = [np.random.default_rng(unit_seed(seed, f"paint/{index}")) for index in range(len(patches))]
    with ThreadPoolExecutor(2) as pool:
        charts = list(pool.map(_painted, patches, generators, [detail] * len(patches)))
    albedo = np.array([chart.mean(axis=(0, 1)) for chart in charts], np.float64)
    light = bake(patches, mesh, caster, design.lighting, albedo)
    atlas = pack([chart * _enlarged(lumels, chart.shape[:2]) for chart, lumels in zip(charts, light, strict=True)])
    finishes = [patch.finish for patch in patches]
    place = atlas.origins[mesh.patch][:, None] + mesh.uv * atlas.sizes[mesh.patch][:, None]
    return World(
        caster=caster,
        mesh=mesh,
        atlas=atlas,
        lighting=design.lighting,
        exposure=design.exposure,
        place=np.concatenate([place[:, :1], place[:, 1:] - place[:, :1]], axis=1).astype(np.float32),
        texel_m=_texel_sizes(mesh, place).astype(np.float32),
        face_normal=mesh.face_normals.astype(np.float32),
        kind=np.array([finish.kind for finish in finishes], np.uint8),
        mirror=np.array([finish.mirror for finish in finishes], np.float32),
        highlight=np.array([finish.highlight for finish in finishes], np.float32),
        shininess=np.array([finish.shininess for finish in finishes], np.float32),
    )


def _painted(patch: Patch, rng: np.random.Generator, detail: float) -> Float32[np.ndarray, "h w 3"]:
    """The patch's texture as linear reflectance."""
    high, wide = patch.size_m
    shape = tuple(int(np.clip(round(size * detail / patch.finish.texel_m), 4, _MOST_TEXELS)) for size in (high, wide))
    colour = np.clip(patch.finish.paint(rng, (shape[0], shape[1]), (high, wide)), 0.01, 0.97)
    return np.asarray(colour**2.2, np.float32)


def _enlarged(lumels: np.ndarray, shape: tuple[int, ...]) -> Float32[np.ndarray, "h w 3"]:
    import cv2

    return np.asarray(cv2.resize(lumels, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _texel_sizes(mesh: Mesh, place: Float64[np.ndarray, "t 3 2"]) -> Float64[np.ndarray, "t"]:
    """Side of a texel in metres, from the areas of a triangle in space and in the atlas."""
    corners = mesh.vertices.astype(np.float64)[mesh.triangles]
    space = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    edges = place[:, 1:] - place[:, :1]
    texels = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])
    return np.sqrt(np.maximum(space, 1e-12) / np.maximum(texels, 1e-12))
