"""Light of a training scene: one lamp that casts shadows, light from above and below, gloss, on repeated tiles.

The native library shades in two passes, because Open3D casts the shadow rays between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

from gs_stereo.native.library import Library
from gs_stereo.worlds.mesh import Piece, Vector, join
from gs_stereo.worlds.raycast import RayCaster, RayHits, Rays
from gs_stereo.worlds.textures.tiles import Tiles
from gs_stereo.worlds.world import Finish, Shaded, World

LIBRARY = Library(name="worlds")
"""Its numpy twin is tests/twins/shading.py."""
BYTE_TO_LIGHT = (np.arange(256, dtype=np.float32) / 255) ** np.float32(2.2)
"""Linear light of a texel's byte."""
_HIDDEN_MARGIN_SHARE = 4e-4


@dataclass(frozen=True, kw_only=True)
class Tiled(Finish):
    """How a piece looks: texture number and length of one repeat.

    A mirror reflects a blurred sky and ground. glows: it gives the texture's colour whatever the light, like a sky.
    """

    tile: int
    repeat_m: float
    glows: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Light:
    """One lamp that casts shadows, and light from above and below.

    place: position of the lamp, or the direction towards it if `far`. Strengths are linear RGB at 1; a near lamp
    falls off as (1 + (d / reach_m)^2)^-1.
    """

    place: Vector
    far: bool
    lamp: Vector
    sky: Vector
    floor: Vector
    reach_m: float = 4.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LampLight:
    """Light on tiles. Tables have one contiguous row for each number of a triangle (t) or of a piece (p).

    corner_uv, steps_uv: texture position (repeats) of a triangle's first corner and its steps along barycentric
    weights. slope: rows of d(uv)/d(point), zero along the normal. corner_normals: first corner's, then the steps.
    material: tile, highlight, shininess, mirror, glows.
    """

    light: Light
    tiles: Tiles
    corner_uv: Float32[np.ndarray, "2 t"]
    steps_uv: Float32[np.ndarray, "4 t"]
    slope: Float32[np.ndarray, "6 t"]
    normal: Float32[np.ndarray, "3 t"]
    corner_normals: Float32[np.ndarray, "9 t"]
    piece: Int32[np.ndarray, "t"]
    material: Float32[np.ndarray, "5 p"]

    def shade(self, world: World, rays: Rays, hits: RayHits) -> Shaded:
        """Filtered texture times light. InputError if a ray hits nothing."""
        tiles, light, count = self.tiles, self.light, len(rays.rows)
        rows, columns, _ = tiles.texels.shape
        boxes = len(tiles.origins) * tiles.layout.levels
        where = LIBRARY.struct(
            "World", corner_uv=self.corner_uv, steps_uv=self.steps_uv, slope=self.slope, normal=self.normal,
            corner_normals=self.corner_normals, material=self.material, piece=self.piece,
            triangles=len(self.piece), pieces=self.material.shape[1], texels=tiles.texels, rows=rows, columns=columns,
            starts=tiles.starts, linear=BYTE_TO_LIGHT, tiles=len(tiles.origins), levels=tiles.layout.levels,
            boxes=boxes, side=tiles.layout.side, far=light.far, place=light.place, lamp=light.lamp,
            sky=light.sky, floor=light.floor, reach=light.reach_m, right=rays.right, down=rays.down,
        )  # fmt: skip
        shaded = Shaded(light=np.empty((count, 3), np.float32), lit=np.empty(count, bool))
        shadow_rays, shadow_of = np.empty((count, 6), np.float32), np.empty(count, np.int64)
        what = LIBRARY.struct(
            "Rays", count=count, rays=rays.rows, t=hits.t, uv=hits.uv, triangle=hits.triangle, light=shaded.light,
            normal=np.empty((count, 3), np.float32), shadow_rays=shadow_rays, reached=shaded.lit, shadow_of=shadow_of,
        )  # fmt: skip
        LIBRARY.call("gs_surfaces", where, what)
        tested = shadow_of[: what.shadows]
        shaded.lit[tested] = ~world.caster.blocked(shadow_rays[: what.shadows], 0.0, 0.999)
        LIBRARY.call("gs_light", where, what)
        return shaded


def lamp_world(pieces: Sequence[Piece], finishes: Sequence[Tiled], tiles: Tiles, light: Light) -> World:
    """Join the pieces; each has its finish. One thread casts rays, so that workers can share a machine."""
    mesh = join(pieces)
    repeat_m = np.array([finish.repeat_m for finish in finishes], np.float32)
    uv = (mesh.uv / repeat_m[mesh.piece][:, None, None]).astype(np.float64)
    edges, steps = (corners[:, 1:] - corners[:, :1] for corners in (mesh.corners, uv))
    normals = np.concatenate([mesh.normals[:, :1], mesh.normals[:, 1:] - mesh.normals[:, :1]], axis=1)
    lit = LampLight(
        light=light,
        tiles=tiles,
        corner_uv=_columns(uv[:, 0]),
        steps_uv=_columns(steps),
        slope=_columns(_slopes(edges, steps)),
        normal=_columns(mesh.face_normals),
        corner_normals=_columns(normals),
        piece=mesh.piece.astype(np.int32),
        material=_columns(np.array([[f.tile, f.highlight, f.shininess, f.mirror, f.glows] for f in finishes])),
    )
    return World(
        mesh=mesh,
        caster=RayCaster(mesh.vertices, mesh.triangles, threads=1),
        finishes=tuple(finishes),
        light=lit,
        hidden_margin_share=_HIDDEN_MARGIN_SHARE,
    )


def _columns(values: np.ndarray) -> Float32[np.ndarray, "k t"]:
    return np.ascontiguousarray(values.reshape(len(values), -1).T, np.float32)


def _slopes(edges: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The 2x3 matrix J of each triangle with J edge = uv step for both edges and J normal = 0."""
    first, second = edges[:, 0], edges[:, 1]
    aa, ab, bb = ((a * b).sum(axis=1) for a, b in ((first, first), (first, second), (second, second)))
    scale = 1 / np.maximum(aa * bb - ab**2, 1e-24)
    dual_first = (bb * scale)[:, None] * first - (ab * scale)[:, None] * second
    dual_second = (aa * scale)[:, None] * second - (ab * scale)[:, None] * first
    return np.asarray(steps[:, 0, :, None] * dual_first[:, None] + steps[:, 1, :, None] * dual_second[:, None])
