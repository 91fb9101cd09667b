"""Random surfaces as triangle pieces: boxes, bodies of revolution, tori, blobs, sheets, rods, leaves.

A piece is made about the origin, in lengths of its own, and then `moved`. Texture coordinates are lengths too.
"""

import numpy as np

from gs_stereo.worlds.mesh import Piece, Vector, grid_triangles


def grid(points: np.ndarray, uv: np.ndarray) -> Piece:
    """A smooth surface from a (rows, columns, 3) grid of points and (rows, columns, 2) texture coordinates."""
    rows, columns = points.shape[:2]
    normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    triangles = grid_triangles(rows, columns)
    return _piece(points, normals, uv, triangles, np.zeros(len(triangles), np.int64))


def quads(corners: np.ndarray) -> Piece:
    """Flat quadrilaterals (n, 4, 3), each a group of its own; corners go round, texture along the first two sides."""
    along, up = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 0]
    normals = np.cross(along, up)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    wide, high = np.linalg.norm(along, axis=-1), np.linalg.norm(up, axis=-1)
    zero = np.zeros_like(wide)
    uv = np.stack([np.stack(pair, -1) for pair in ((zero, zero), (wide, zero), (wide, high), (zero, high))], axis=1)
    triangles = 4 * np.arange(len(corners))[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])
    return _piece(corners, np.repeat(normals, 4, axis=0), uv, triangles, np.repeat(np.arange(len(corners)), 2))


def _piece(points: np.ndarray, normals: np.ndarray, uv: np.ndarray, triangles: np.ndarray, group: np.ndarray) -> Piece:
    points, normals, uv = (a.reshape(-1, a.shape[-1]).astype(np.float32) for a in (points, normals, uv))
    return Piece(points=points, normals=normals, uv=uv, triangles=triangles.reshape(-1, 3), group=group.reshape(-1))


def box(size: Vector) -> Piece:
    """A cuboid about the origin."""
    faces = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for side in (-1.0, 1.0):
            face = np.zeros((4, 3))
            face[:, axis] = side
            face[:, u], face[:, v] = (-1, 1, 1, -1), (-1, -1, 1, 1)
            faces.append(face if axis < 2 else face[[1, 2, 3, 0]])
    return quads(np.array(faces) * np.asarray(size) / 2)


def revolved(radii: np.ndarray, heights: np.ndarray, segments: int = 28) -> Piece:
    """A body of revolution about z: cylinders, cones, vases. Radius and height of each ring."""
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    points = radii[:, None, None] * ring + heights[:, None, None] * np.array([0.0, 0.0, 1.0])
    along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(radii), np.diff(heights)))])
    uv = np.stack(np.meshgrid(angle * max(float(radii.max()), 1e-3), along), axis=-1)
    return grid(points, uv)


def cylinder(rng: np.random.Generator) -> Piece:
    """A closed cylinder or cone frustum of about unit size."""
    bottom, top, half = rng.uniform(0.25, 0.8), rng.uniform(0.0, 0.8), rng.uniform(0.4, 1.0)
    return revolved(np.array([0.0, bottom, bottom, top, top, 0.0]), np.array([-1, -1, -1, 1, 1, 1]) * half)


def vase(rng: np.random.Generator) -> Piece:
    """A smooth body of revolution with a random outline."""
    steps = np.linspace(0, 1, 20)
    waves = sum(rng.uniform(-0.2, 0.2) * np.sin(np.pi * order * steps + rng.uniform(0, 6)) for order in (1, 2, 3))
    radii = np.clip(0.5 + waves, 0.12, 1.0) * np.sqrt(np.sin(np.pi * np.clip(steps, 0.0, 1.0)) + 1e-9)
    return revolved(radii, 2 * steps - 1)


def torus(rng: np.random.Generator) -> Piece:
    """A ring of about unit size."""
    tube = rng.uniform(0.1, 0.35)
    a, b = np.meshgrid(np.linspace(0, 2 * np.pi, 33), np.linspace(0, 2 * np.pi, 17))
    around = (1 - tube) + tube * np.cos(b)
    points = np.stack([around * np.cos(a), around * np.sin(a), tube * np.sin(b)], axis=-1)
    return grid(points, np.stack([a * (1 - tube), b * tube], axis=-1))


def _sphere(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angle from the pole, angle about it, and points of the unit sphere, on a grid."""
    polar, angle = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij")
    points = np.stack([np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), np.cos(polar)], axis=-1)
    return polar, angle, points


def blob(rng: np.random.Generator, rows: int = 21) -> Piece:
    """A sphere or ellipsoid, more or less deformed by smooth waves."""
    polar, angle, sphere = _sphere(rows, 2 * rows)
    height = np.zeros(polar.shape)
    for _ in range(int(rng.integers(0, 6))):
        height += rng.uniform(0.03, 0.16) * np.sin(sphere @ rng.normal(0, 2.4, 3) + rng.uniform(0, 6))
    points = sphere * (1 + height)[..., None] * rng.uniform(0.45, 1.0, 3)
    return grid(points / np.abs(points).max(), np.stack([angle, polar], axis=-1) * 0.7)


def sheet(rng: np.random.Generator, cells: int = 24) -> Piece:
    """A cloth-like square, flat to strongly curved."""
    x, y = np.meshgrid(np.linspace(-1, 1, cells + 1), np.linspace(-1, 1, cells + 1))
    z = np.zeros_like(x)
    for _ in range(int(rng.integers(0, 4))):
        kx, ky = rng.normal(0, 2.2, 2)
        z += rng.uniform(0.02, 0.18) * np.sin(kx * x + ky * y + rng.uniform(0, 6))
    return grid(np.stack([x, y * rng.uniform(0.4, 1.0), z], axis=-1), np.stack([x, y], axis=-1))


def ground(rng: np.random.Generator, half_m: float, roughness_m: float, cells: int = 48) -> Piece:
    """A terrain about z = 0 with hills of the given height and length scale of a tenth of its side."""
    place = half_m * np.sign(np.linspace(-1, 1, cells + 1)) * np.abs(np.linspace(-1, 1, cells + 1)) ** 1.8
    x, y = np.meshgrid(place, place)
    z = np.zeros_like(x)
    for _ in range(5):
        kx, ky = rng.normal(0, 12 / half_m, 2)
        z += roughness_m / 2.5 * np.sin(kx * x + ky * y + rng.uniform(0, 6))
    return grid(np.stack([x, y, z], axis=-1), np.stack([x, y], axis=-1))


def dome(radius_m: float) -> Piece:
    """The far sphere that closes every scene."""
    polar, angle, points = _sphere(17, 33)
    return grid(radius_m * points, np.stack([angle, polar], axis=-1) * radius_m)


def rods(starts: np.ndarray, ends: np.ndarray, radius: float, sides: int = 7) -> Piece:
    """Thin rods from point to point, (n, 3) each, every one a group of its own."""
    axis = ends - starts
    length = np.linalg.norm(axis, axis=-1, keepdims=True)
    axis = axis / np.maximum(length, 1e-9)
    helper = np.eye(3)[np.abs(axis).argmin(axis=-1)]
    side = np.cross(axis, helper)
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9)
    angle = np.linspace(0, 2 * np.pi, sides + 1)[:, None, None]
    ring = np.cos(angle) * side + np.sin(angle) * np.cross(axis, side)
    points = np.stack([starts + radius * ring, ends + radius * ring])  # 2, sides + 1, n, 3
    around = np.broadcast_to(angle[..., 0] * radius, ring.shape[:2])
    uv = np.stack([np.stack([around, 0 * around], -1), np.stack([around, 0 * around + length[:, 0]], -1)])
    index = np.arange(2 * (sides + 1) * len(starts)).reshape(2, sides + 1, -1)
    a, b, c, d = index[0, :-1], index[0, 1:], index[1, :-1], index[1, 1:]
    triangles = np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)])
    group = np.broadcast_to(np.arange(len(starts)), (2, sides, len(starts)))
    return _piece(points, np.stack([ring, ring]), uv, triangles, group)


def leaves(rng: np.random.Generator, count: int, leaf: float) -> Piece:
    """A crown: flat rhombic leaves of length `leaf` at random within a unit ball, denser outside."""
    centre = rng.normal(0, 1, (count, 3))
    centre *= (rng.uniform(0.15, 1.0, (count, 1)) ** 0.5) / np.linalg.norm(centre, axis=-1, keepdims=True)
    along = rng.normal(0, 1, (count, 3))
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    across = np.cross(along, rng.normal(0, 1, (count, 3)))
    across *= rng.uniform(0.25, 0.5, (count, 1)) / np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-9)
    size = leaf * rng.uniform(0.6, 1.3, (count, 1))
    corners = np.stack([centre - size * along, centre + size * across, centre + size * along, centre - size * across])
    return quads(np.moveaxis(corners, 0, 1))
