"""Light that does not depend on the viewer, worked out once for every patch.

Each lumel (a coarse cell of a patch) gets Lambert light from two rectangular lamps with soft shadows, and ambient
light: the mean over the hemisphere of what the nearest surfaces reflect, darker where they are close.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from gs_stereo.worlds.raycast import RayCaster
from gs_stereo.worlds.rooms.mesh import Mesh
from gs_stereo.worlds.rooms.patches import Patch, Vector

_LUMEL_M = 0.045
_MOST_LUMELS = 128
_LIFT_M = 0.003
_AMBIENT_RAYS = 32
_AMBIENT_REACH_M = 0.7


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
        normal = np.cross(self.edge_a, self.edge_b)
        return np.asarray(normal / np.linalg.norm(normal))

    @property
    def centre(self) -> Float64[np.ndarray, "3"]:
        return np.asarray(self.corner) + (np.asarray(self.edge_a) + np.asarray(self.edge_b)) / 2


@dataclass(frozen=True, kw_only=True)
class Lighting:
    """The lamps and the strength of the ambient light."""

    lamps: tuple[Lamp, ...]
    ambient: tuple[float, float, float]


def bake(
    patches: list[Patch], mesh: Mesh, caster: RayCaster, lighting: Lighting, albedo: Float64[np.ndarray, "p 3"]
) -> list[Float32[np.ndarray, "h w 3"]]:
    """Irradiance of every patch on its grid of lumels. `albedo`: mean linear reflectance of each patch."""
    grids = [_lumels(patch) for patch in patches]
    position = np.concatenate([points.reshape(-1, 3) for points, _ in grids])
    normal = np.concatenate([normals.reshape(-1, 3) for _, normals in grids])
    both = np.concatenate(
        [
            np.full(points[..., 0].size, patch.finish.two_sided)
            for patch, (points, _) in zip(patches, grids, strict=True)
        ]
    )
    light = _received(position, normal, caster, lighting, mesh, albedo)
    light[both] = 0.5 * (light[both] + _received(position[both], -normal[both], caster, lighting, mesh, albedo))
    maps, start = [], 0
    for points, _ in grids:
        count = points.shape[0] * points.shape[1]
        maps.append(_smoothed(light[start : start + count].reshape(points.shape)))
        start += count
    return maps


def _received(
    position: np.ndarray,
    normal: np.ndarray,
    caster: RayCaster,
    lighting: Lighting,
    mesh: Mesh,
    albedo: np.ndarray,
) -> Float64[np.ndarray, "n 3"]:
    origin = position + _LIFT_M * normal
    total = np.asarray(lighting.ambient) * _ambient(origin, normal, caster, mesh, albedo)
    for lamp in lighting.lamps:
        total = total + _direct(origin, normal, caster, lamp)[:, None] * np.asarray(lamp.power)
    return np.asarray(total)


def _lumels(patch: Patch) -> tuple[np.ndarray, np.ndarray]:
    """Positions and unit normals at the centres of the patch's lumels."""
    rows, columns = (int(np.clip(round(size / _LUMEL_M), 1, _MOST_LUMELS)) for size in patch.size_m)
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
    origin: np.ndarray, normal: np.ndarray, caster: RayCaster, mesh: Mesh, albedo: np.ndarray
) -> Float64[np.ndarray, "n 3"]:
    """Cosine-weighted mean over the hemisphere of (reflectance of the surface hit) x (falloff of nearby surfaces)."""
    helper = np.where(np.abs(normal[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    tangent = np.cross(helper, normal)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=-1, keepdims=True), 1e-12)
    other = np.cross(normal, tangent)
    tint = 0.35 + 0.65 * albedo / 0.5
    total = np.zeros((len(origin), 3))
    for x, y, z in _hemisphere(_AMBIENT_RAYS):
        direction = x * tangent + y * other + z * normal
        hits = caster.cast(np.concatenate([origin, direction], axis=-1).astype(np.float32))
        far = 1.0 - _AMBIENT_REACH_M / (hits.t + _AMBIENT_REACH_M)
        total += far[:, None] * np.where(hits.triangle[:, None] >= 0, tint[mesh.patch[hits.triangle]], 1.0)
    return total / _AMBIENT_RAYS


def _hemisphere(count: int) -> Float64[np.ndarray, "k 3"]:
    """Cosine-distributed unit vectors about +z on a Fibonacci spiral."""
    index = np.arange(count)
    radius, angle = np.sqrt((index + 0.5) / count), index * np.pi * (3 - np.sqrt(5))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], axis=-1)


def _smoothed(light: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """One pass of a 1-2-1 filter: it hides the steps of the few shadow rays."""
    padded = np.pad(light, ((1, 1), (1, 1), (0, 0)), mode="edge")
    padded = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    return (0.25 * padded[:, :-2] + 0.5 * padded[:, 1:-1] + 0.25 * padded[:, 2:]).astype(np.float32)
