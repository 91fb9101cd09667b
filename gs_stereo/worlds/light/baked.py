"""Light of a room that is baked into its textures, and what glossy things add for each viewer.

Each lumel (a coarse cell of a patch) gets Lambert light from rectangular lamps with soft shadows, and ambient light:
the mean over the hemisphere of what the nearest surfaces reflect, darker where they are close. An atlas holds paint
times this light. Glossy patches add one mirror bounce and a lobe for each lamp when an image is rendered.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64

from gs_stereo.core.cores import cores
from gs_stereo.core.hashing import unit_seed
from gs_stereo.worlds.mesh import Mesh, Vector, join
from gs_stereo.worlds.patches import Patch
from gs_stereo.worlds.raycast import RayCaster, RayHits, Rays
from gs_stereo.worlds.textures.atlas import LEVELS, Atlas, pack
from gs_stereo.worlds.textures.canvas import Canvas
from gs_stereo.worlds.world import Shaded, World

_MOST_LUMELS = 128
_LIFT_M = 0.003
_AMBIENT_REACH_M = 0.7
_MOST_TEXELS = 2000
_DETAIL_RANGE = (0.125, 1.5)
_HIDDEN_MARGIN_M = 5e-4
_BOUNCE_LIFT_M = 1e-3
_STRAYED_RAYS = 2  # for each of a pixel's samples: a lacquered floor shows no grain, brushed metal a little


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """A rectangular area light that shines along the cross product of its two edges."""

    corner: Vector
    edge_a: Vector
    edge_b: Vector
    power: tuple[float, float, float]
    rays: tuple[int, int] = (4, 4)

    def points(self) -> Float64[np.ndarray, "k 3"]:
        """Centres of a regular grid of cells on the lamp."""
        a, b = (np.arange(count) + 0.5 for count in self.rays)
        u, v = np.meshgrid(a / self.rays[0], b / self.rays[1])
        edges = u.reshape(-1, 1) * np.asarray(self.edge_a) + v.reshape(-1, 1) * np.asarray(self.edge_b)
        return np.asarray(np.asarray(self.corner) + edges)

    @property
    def direction(self) -> Float64[np.ndarray, "3"]:
        """Unit vector along which it shines."""
        normal = np.cross(self.edge_a, self.edge_b)
        return np.asarray(normal / np.linalg.norm(normal))

    @property
    def centre(self) -> Float64[np.ndarray, "3"]:
        """Its middle."""
        return np.asarray(self.corner) + (np.asarray(self.edge_a) + np.asarray(self.edge_b)) / 2


@dataclass(frozen=True, kw_only=True)
class Lighting:
    """The lamps and the strength of the ambient light; linear light times `exposure` is what a photo shows.

    ambient_rays, smoothings: more of both give large surfaces without texture a light without steps. coarser: cells of
    light are so many times larger than finishes want.
    """

    lamps: tuple[Lamp, ...]
    ambient: tuple[float, float, float]
    exposure: float = 1.0
    ambient_rays: int = 32
    smoothings: int = 1
    coarser: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class BakedLight:
    """Paint times light in an atlas.

    place: (column, row) in the atlas of each triangle's first corner, then the steps to the second and the third.
    gloss: highlight, shininess, mirror, roughness and the colour of reflections of each piece.
    """

    lamps: tuple[Lamp, ...]
    atlas: Atlas
    place: Float32[np.ndarray, "t 3 2"]
    texel_m: Float32[np.ndarray, "t"]
    gloss: Float32[np.ndarray, "7 p"]

    def shade(self, world: World, rays: Rays, hits: RayHits) -> Shaded:
        """Baked light, and the gloss of patches that have any."""
        light = self._matt(world, rays.rows, hits, rays.spread)
        highlight, _, mirror = self.gloss[:3, world.mesh.piece[hits.triangle]]
        glossy = np.flatnonzero((mirror + highlight > 0) & (hits.triangle >= 0))
        if len(glossy):
            self._add_gloss(world, rays, hits, glossy, light)
        return Shaded(light=light, lit=np.ones(len(light), bool))

    def _matt(
        self, world: World, rows: np.ndarray, hits: RayHits, spread: float | np.ndarray
    ) -> Float32[np.ndarray, "n 3"]:
        """Baked light at the hits. The mip level follows the size of a ray's footprint on the surface."""
        frame = self.place[hits.triangle]
        place = frame[:, 0] + hits.uv[:, :1] * frame[:, 1] + hits.uv[:, 1:] * frame[:, 2]
        slant = np.abs(np.einsum("ij,ij->i", world.mesh.face_normals[hits.triangle], rows[:, 3:]))
        texels = np.square(hits.t * np.asarray(spread, np.float32) / self.texel_m[hits.triangle]) / np.maximum(
            slant, 0.05
        )
        # The level is the rounded base-2 logarithm of the footprint's side: 1 from sqrt(2) texels on, 2 from sqrt(8).
        level = sum((texels > 2 * 4**step).astype(np.int64) for step in range(LEVELS - 1))
        light = self.atlas.sample(place, np.asarray(level))
        light[hits.triangle < 0] = 0.0
        return light

    def _add_gloss(self, world: World, rays: Rays, hits: RayHits, chosen: np.ndarray, light: np.ndarray) -> None:
        """One mirror bounce (Schlick), strayed rays where it is rough, and a Phong lobe for each lamp, in place."""
        highlight, shininess, mirror, roughness, *tone = self.gloss[:, world.mesh.piece[hits.triangle[chosen]]]
        start, way = rays.rows[chosen, :3], rays.rows[chosen, 3:]
        view = way / np.linalg.norm(way, axis=-1, keepdims=True)
        corners, second, third = world.mesh.normals[hits.triangle[chosen]], hits.uv[chosen, :1], hits.uv[chosen, 1:]
        normal = (1 - second - third) * corners[:, 0] + second * corners[:, 1] + third * corners[:, 2]
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
        normal *= np.where((normal * view).sum(-1, keepdims=True) > 0, -1.0, 1.0)
        facing = -(normal * view).sum(-1, keepdims=True)
        mirrored = view + 2 * facing * normal
        origin = start + hits.t[chosen, None] * way + _BOUNCE_LIFT_M * normal
        # Rough surfaces gain less at grazing incidence.
        rise = (1 - mirror) * np.maximum(1 - 4 * roughness, 0.2)
        share = (mirror + rise * (1 - np.clip(facing[:, 0], 0, 1)) ** 5)[:, None]
        # From a ray's place in the picture, so that neighbours stray apart, and alike whatever else is cast.
        column, row = (np.floor(way @ axis / (axis @ axis)) for axis in (rays.right, rays.down))
        number = column + 3 * row
        seen = np.zeros_like(origin, np.float32)
        for rough, count in ((roughness > 0, _STRAYED_RAYS), (roughness <= 0, 1)):
            part = np.flatnonzero(rough)
            for ray in range(count if len(part) else 0):
                strayed = _strayed(mirrored[part], normal[part], roughness[part], count * number[part] + ray)
                bounce = np.concatenate([origin[part], strayed], axis=-1).astype(np.float32)
                width = 4 * rays.spread + 0.5 * roughness[part]
                seen[part] += self._matt(world, bounce, world.caster.cast(bounce), width) / np.float32(count)
        seen *= np.stack(tone, axis=-1)
        light[chosen] = (1 - share) * light[chosen] + share * seen
        bright = np.flatnonzero(highlight)
        origin, mirrored, highlight, shininess = (a[bright] for a in (origin, mirrored, highlight, shininess))
        lobes = np.zeros_like(origin)
        for lamp in self.lamps:
            to_lamp = lamp.centre - origin
            distance = np.linalg.norm(to_lamp, axis=-1)
            cosine = np.clip((mirrored * to_lamp).sum(-1) / distance, 0, 1)
            lit = ~world.caster.blocked(np.concatenate([origin, to_lamp], axis=-1).astype(np.float32), 1e-4, 0.999)
            lobe = highlight * cosine**shininess / distance**2 * lit
            lobes += (lobe[:, None] * np.asarray(lamp.power)).astype(np.float32)
        light[chosen[bright]] += lobes


def _strayed(
    mirrored: Float64[np.ndarray, "n 3"], normal: Float64[np.ndarray, "n 3"], roughness: np.ndarray, number: np.ndarray
) -> Float64[np.ndarray, "n 3"]:
    """Directions about the mirrored ones, Gaussian with sigma `roughness`; those of successive numbers lie apart."""
    helper = np.where(np.abs(mirrored[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    side = np.cross(helper, mirrored)
    side /= np.linalg.norm(side, axis=-1, keepdims=True)
    # The R2 sequence (M. Roberts, 2018).
    u, v = ((0.5 + number * step) % 1.0 for step in (0.7548776662466927, 0.5698402909980532))
    stray, angle = (roughness * np.sqrt(-2 * np.log(1 - 0.98 * u)))[:, None], (2 * np.pi * v)[:, None]
    strayed = mirrored + stray * (np.cos(angle) * side + np.sin(angle) * np.cross(mirrored, side))
    below = np.minimum((strayed * normal).sum(-1, keepdims=True) - 1e-3, 0.0)
    return np.asarray(strayed - 2 * below * normal)


def baked_world(
    patches: Sequence[Patch], lighting: Lighting, seed: int, detail: float = 1.0, shadowless: int = 0
) -> World:
    """Paint and light every patch. The same seed gives the same textures.

    detail: texture resolution, 1 = right for photos 640 pixels wide; kept between 1/8 and 3/2 (memory). shadowless: so
    many patches at the end take no light from others, as what is there for a moment only.
    """
    import cv2

    mesh = join([patch.piece for patch in patches])
    lasting = mesh.piece < len(patches) - shadowless
    caster = RayCaster(mesh.vertices, mesh.triangles[lasting])
    detail = float(np.clip(detail, *_DETAIL_RANGE))
    generators = [np.random.default_rng(unit_seed(seed, f"paint/{index}")) for index in range(len(patches))]
    with ThreadPoolExecutor(min(2, cores())) as pool:
        charts = list(pool.map(_painted, patches, generators, [detail] * len(patches)))
    albedo = np.array([chart.mean(axis=(0, 1)) for chart in charts], np.float64)
    light = bake(patches, mesh, caster, lighting, albedo)
    for patch, chart, lumels in zip(patches, charts, light, strict=True):
        chart *= cv2.resize(lumels, chart.shape[1::-1], interpolation=cv2.INTER_LINEAR) + np.float32(patch.finish.glow)
    atlas = pack(charts)
    place = atlas.origins[mesh.piece][:, None] + mesh.uv * atlas.sizes[mesh.piece][:, None]
    steps = place[:, 1:] - place[:, :1]
    edges = mesh.corners[:, 1:] - mesh.corners[:, :1]
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=-1)
    texels = np.abs(steps[:, 0, 0] * steps[:, 1, 1] - steps[:, 0, 1] * steps[:, 1, 0])
    finishes = tuple(patch.finish for patch in patches)
    baked = BakedLight(
        lamps=lighting.lamps,
        atlas=atlas,
        place=np.concatenate([place[:, :1], steps], axis=1).astype(np.float32),
        texel_m=np.sqrt(np.maximum(area, 1e-12) / np.maximum(texels, 1e-12)).astype(np.float32),
        gloss=np.array(
            [[f.highlight, f.shininess, f.mirror, f.roughness, *f.reflection] for f in finishes], np.float32
        ).T,
    )
    return World(
        mesh=mesh,
        caster=RayCaster(mesh.vertices, mesh.triangles) if shadowless else caster,
        finishes=finishes,
        light=baked,
        exposure=lighting.exposure,
        hidden_margin_m=_HIDDEN_MARGIN_M,
    )


def part_of(world: World, pieces: Bool[np.ndarray, "p"]) -> World:
    """A baked world less the pieces that are False; the others keep their numbers and their light."""
    light, mesh, kept = world.light, world.mesh, pieces[world.mesh.piece]
    assert isinstance(light, BakedLight)
    mesh = replace(
        mesh,
        triangles=mesh.triangles[kept],
        piece=mesh.piece[kept],
        group=mesh.group[kept],
        uv=mesh.uv[kept],
        normals=mesh.normals[kept],
    )
    light = replace(light, place=light.place[kept], texel_m=light.texel_m[kept])
    return replace(world, mesh=mesh, caster=RayCaster(mesh.vertices, mesh.triangles), light=light)


def _painted(patch: Patch, rng: np.random.Generator, detail: float) -> Float32[np.ndarray, "h w 3"]:
    """The patch's texture as linear reflectance."""
    rows, columns = (
        int(np.clip(round(size * detail / patch.finish.texel_m), 4, _MOST_TEXELS)) for size in patch.size_m
    )
    colour = np.clip(patch.finish.paint(Canvas(rng, (rows, columns), patch.size_m)), 0.01, 0.97)
    return np.asarray(colour**2.2, np.float32)


def bake(
    patches: Sequence[Patch], mesh: Mesh, caster: RayCaster, lighting: Lighting, albedo: Float64[np.ndarray, "p 3"]
) -> list[Float32[np.ndarray, "h w 3"]]:
    """Irradiance of every patch on its grid of lumels. `albedo`: mean linear reflectance of each patch."""
    grids = [_lumels(patch, patch.finish.lumel_m * lighting.coarser) for patch in patches]
    counts = [points.size // 3 for points, _ in grids]
    position, normal = (np.concatenate([grid[k].reshape(-1, 3) for grid in grids]) for k in (0, 1))

    def received(position: np.ndarray, normal: np.ndarray) -> Float64[np.ndarray, "n 3"]:
        origin = position + _LIFT_M * normal
        total = np.asarray(lighting.ambient) * _ambient(origin, normal, caster, mesh, albedo, lighting.ambient_rays)
        for lamp in lighting.lamps:
            total = total + _direct(origin, normal, caster, lamp)[:, None] * np.asarray(lamp.power)
        return total

    light = received(position, normal)
    both = np.repeat([patch.finish.two_sided for patch in patches], counts)
    light[both] = 0.5 * (light[both] + received(position[both], -normal[both]))
    parts = np.split(light, np.cumsum(counts)[:-1])
    return [
        _smoothed(part.reshape(points.shape), lighting.smoothings)
        for part, (points, _) in zip(parts, grids, strict=True)
    ]


def _lumels(patch: Patch, lumel_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions and unit normals at the centres of the patch's lumels."""
    rows, columns = (int(np.clip(round(size / lumel_m), 1, _MOST_LUMELS)) for size in patch.size_m)
    points = _on_grid(patch.points, rows, columns)
    normals = _on_grid(patch.normals, rows, columns)
    return points, normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def _on_grid(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Bilinear interpolation of a vertex grid at the centres of rows x columns cells."""
    for axis, count in ((0, rows), (1, columns)):
        place = (np.arange(count) + 0.5) / count * (values.shape[axis] - 1)
        low = np.minimum(place.astype(np.int64), values.shape[axis] - 2)
        weight = np.expand_dims(place - low, tuple(k for k in range(values.ndim) if k != axis))
        values = values.take(low, axis) * (1 - weight) + values.take(low + 1, axis) * weight
    return values


def _direct(origin: np.ndarray, normal: np.ndarray, caster: RayCaster, lamp: Lamp) -> Float64[np.ndarray, "n"]:
    """Light of one lamp: cos(surface) cos(lamp) / distance^2, averaged over the lamp's visible cells."""
    points = lamp.points()
    total = np.zeros(len(origin))
    for point in points:
        way = point - origin
        distance = np.sqrt(np.einsum("ij,ij->i", way, way))
        unit = way / distance[:, None]
        gain = (
            np.maximum(np.einsum("ij,ij->i", unit, normal), 0) * np.maximum(-(unit @ lamp.direction), 0) / distance**2
        )
        lit = np.flatnonzero(gain > 0)
        rays = np.concatenate([origin[lit], way[lit]], axis=-1).astype(np.float32)
        total[lit] += np.where(caster.blocked(rays, 1e-4, 0.999), 0.0, gain[lit])
    return total / len(points)


def _ambient(
    origin: np.ndarray, normal: np.ndarray, caster: RayCaster, mesh: Mesh, albedo: np.ndarray, ray_count: int
) -> Float64[np.ndarray, "n 3"]:
    """Cosine-weighted mean over the hemisphere of (reflectance of the surface hit) x (falloff of nearby surfaces)."""
    helper = np.where(np.abs(normal[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    tangent = np.cross(helper, normal)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=-1, keepdims=True), 1e-12)
    other = np.cross(normal, tangent)
    tint = 0.35 + 0.65 * albedo / 0.5
    total = np.zeros((len(origin), 3))
    # Cosine-distributed directions about the normal, on a Fibonacci spiral.
    for index in range(ray_count):
        radius, angle = np.sqrt((index + 0.5) / ray_count), index * np.pi * (3 - np.sqrt(5))
        x, y, z = radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)
        direction = x * tangent + y * other + z * normal
        hits = caster.cast(np.concatenate([origin, direction], axis=-1).astype(np.float32))
        far = 1.0 - _AMBIENT_REACH_M / (hits.t + _AMBIENT_REACH_M)
        total += far[:, None] * np.where(hits.triangle[:, None] >= 0, tint[mesh.piece[hits.triangle]], 1.0)
    return total / ray_count


def _smoothed(light: np.ndarray, times: int) -> Float32[np.ndarray, "h w 3"]:
    """A 1-2-1 filter: it hides the steps of the few shadow rays."""
    for _ in range(times):
        padded = np.pad(light, ((1, 1), (1, 1), (0, 0)), mode="edge")
        padded = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
        light = 0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]
    return light.astype(np.float32)
