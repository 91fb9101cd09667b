"""What stands, hangs, grows and floats in a training scene, and the four kinds of scene."""

import numpy as np

from gs_stereo.worlds import shapes
from gs_stereo.worlds.cameras import looking
from gs_stereo.worlds.mesh import Piece, moved, random_turn, upright_turn
from gs_stereo.worlds.pairs.composer import Composer, Setting
from gs_stereo.worlds.pairs.config import SceneKind
from gs_stereo.worlds.world import SurfaceClass


def _shape(rng: np.random.Generator) -> Piece:
    """One of the solid shapes, of about unit radius."""
    pick = int(rng.integers(7))
    if pick < 5:
        return (shapes.cylinder, shapes.vase, shapes.torus, shapes.blob, shapes.blob)[pick](rng)
    return shapes.box(rng.uniform(0.25, 1.15, 3))


def float_something(composer: Composer) -> None:
    """A solid, a sheet, rods or a bush somewhere in view, turned at random."""
    rng, depth = composer.rng, composer.depth()
    centre, size = composer.in_view(depth), depth * float(np.exp(rng.uniform(np.log(0.025), np.log(0.22))))
    pick, kind = rng.random(), SurfaceClass.PLAIN
    if pick < 0.14:
        _float_rods(composer, centre, depth)
        return
    if pick < 0.22:
        piece, kind = shapes.leaves(rng, int(rng.integers(40, 140)), rng.uniform(0.12, 0.3)), SurfaceClass.THIN
    elif pick < 0.36:
        piece, size = shapes.sheet(rng), size * 1.5
    else:
        piece = _shape(rng)
    if composer.is_clear(centre, size * piece.radius):
        composer.add(moved(piece, random_turn(rng), centre, size), size * rng.uniform(0.5, 3.0), kind=kind)


def _float_rods(composer: Composer, centre: np.ndarray, depth: float) -> None:
    """A few thin rods; none thinner than about one and a half pixels."""
    rng = composer.rng
    count = int(rng.integers(1, 7))
    starts = centre + depth * rng.normal(0, 0.08, (count, 3))
    ends = starts + depth * rng.normal(0, 0.25, (count, 3))
    reach = float(np.linalg.norm(np.concatenate([starts, ends]) - centre, axis=-1).max())
    if composer.is_clear(centre, reach):
        radius = depth / composer.camera.focal_px * rng.uniform(0.8, 3.0)
        composer.add(shapes.rods(starts, ends, radius), depth * 0.1, kind=SurfaceClass.THIN)


def _stand_something(composer: Composer, floor_z: float, depth: float, size_m: float) -> None:
    """A solid that stands on a horizontal surface, sunk in by a hair."""
    rng = composer.rng
    piece = moved(_shape(rng), upright_turn(rng.uniform(0, 2 * np.pi)), (0, 0, 0), size_m)
    place = composer.in_view(depth)
    place[2] = floor_z - float(piece.points[:, 2].min()) - 1e-3 * size_m
    if composer.is_clear(place, piece.radius):
        composer.add(moved(piece, np.eye(3), place), size_m * rng.uniform(0.5, 2.5))


def _room(composer: Composer) -> None:
    """Four walls, floor and ceiling, boxes along the walls, pictures, and things on the floor."""
    rng, far = composer.rng, composer.far_m
    wide, high = rng.uniform(0.5, 1.2) * far, composer.eye_m + rng.uniform(0.7, 2.0)
    shell = shapes.box((wide, far + 2.0, high)).points.reshape(6, 4, 3)
    shell = shell + np.array([rng.uniform(-0.2, 0.2) * wide, far / 2, high / 2])
    for face in shell:
        composer.add(shapes.quads(face[None]), rng.uniform(0.5, 3.0))
    for _ in range(int(rng.integers(3, 9))):
        _hang_picture(composer, shell[..., 0].min(), shell[..., 0].max(), shell[..., 1].max())
    for _ in range(int(rng.integers(6, 22))):
        _stand_something(composer, 0.0, composer.depth(), rng.uniform(0.15, 0.6))
    if rng.random() < 0.5:
        _fence(composer, composer.depth(), 0.0)


def _hang_picture(composer: Composer, left: float, right: float, back: float) -> None:
    """A thin box on the back wall or a side wall."""
    rng = composer.rng
    size = (rng.uniform(0.3, 1.3), rng.uniform(0.02, 0.1), rng.uniform(0.3, 1.0))
    height = composer.eye_m + rng.uniform(-0.5, 0.7)
    if rng.random() < 0.5:
        place, turn = np.array([rng.uniform(left, right), back, height]), np.eye(3)
    else:
        side = left if rng.random() < 0.5 else right
        place = np.array([side, rng.uniform(composer.near_m, back), height])
        turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    if composer.is_clear(place, 0.8):
        composer.add(moved(shapes.box(size), turn, place), rng.uniform(0.4, 1.4))


def _outdoors(composer: Composer) -> None:
    """Terrain, buildings, trees, fences, and things on the ground."""
    rng, far = composer.rng, composer.far_m
    terrain = shapes.ground(rng, 2.5 * far, float(rng.choice([0.0, 0.05, 0.3])) * composer.eye_m)
    lowest = float(np.abs(terrain.points[:, 2]).max()) * 0.5
    composer.add(moved(terrain, np.eye(3), (0, far, -lowest)), rng.uniform(0.5, 4.0))
    for _ in range(int(rng.integers(2, 9))):
        _building(composer)
    for _ in range(int(rng.integers(2, 9))):
        _tree(composer, -lowest)
    for _ in range(int(rng.integers(0, 3))):
        _fence(composer, composer.depth(), -lowest)
    for _ in range(int(rng.integers(5, 18))):
        _stand_something(composer, -lowest, composer.depth(), rng.uniform(0.3, 1.2))


def _building(composer: Composer) -> None:
    rng = composer.rng
    depth = rng.uniform(0.35, 1.0) * composer.far_m
    size = rng.uniform(0.08, 0.4, 3) * composer.far_m * (1, 1, 0.7)
    place = composer.in_view(depth, 0.3)
    place[2] = size[2] / 2 - 0.5
    if composer.is_clear(place, float(np.linalg.norm(size)) / 2):
        house = shapes.box(np.add(size, (0, 0, 1.0)))
        turn = upright_turn(rng.uniform(0, 2 * np.pi))
        composer.add(moved(house, turn, place), size[2] * rng.uniform(0.3, 1.2))


def _tree(composer: Composer, floor_z: float) -> None:
    """A trunk and a crown of single leaves, which are never smaller than a few pixels."""
    rng, depth = composer.rng, composer.depth() * 1.5
    crown = rng.uniform(0.08, 0.2) * depth
    height = crown * rng.uniform(1.0, 2.5)
    foot = composer.in_view(depth)
    foot[2] = floor_z
    top = np.add(foot, (0, 0, height))
    if not composer.is_clear(top, 1.3 * crown) or not composer.is_clear(foot, crown):
        return
    trunk = shapes.revolved(np.array([0.12, 0.07]) * crown, np.array([0.0, height]), 10)
    composer.add(moved(trunk, np.eye(3), foot), crown * 0.5)
    smallest = 2.5 * depth / composer.camera.focal_px / crown
    leaf = max(rng.uniform(0.08, 0.2), smallest)
    count = int(np.clip(2.0 / leaf**2, 40, 260))
    piece = moved(shapes.leaves(rng, count, leaf), random_turn(rng), top, crown)
    composer.add(piece, crown * rng.uniform(0.3, 1.0), kind=SurfaceClass.THIN)


def _fence(composer: Composer, depth: float, floor_z: float) -> None:
    """Posts and two rails along a line across the view."""
    rng = composer.rng
    count, gap = int(rng.integers(8, 30)), depth * rng.uniform(0.03, 0.09)
    line = np.array([1.0, rng.uniform(-0.8, 0.8), 0.0])
    foot = composer.in_view(depth)
    foot[2] = floor_z
    posts = foot + gap * (np.arange(count) - count / 2)[:, None] * line
    if not all(composer.is_clear(np.add(post, (0, 0, composer.eye_m - floor_z)), 0.2) for post in posts):
        return
    high = rng.uniform(0.12, 0.3) * depth
    radius = max(gap * rng.uniform(0.05, 0.25), 0.9 * depth / composer.camera.focal_px)
    tops = np.add(posts, (0, 0, high))
    rails = [(tops[0] * (1 - s) + posts[0] * s, tops[-1] * (1 - s) + posts[-1] * s) for s in (0.12, 0.7)]
    starts = np.concatenate([posts, [a for a, _ in rails]])
    ends = np.concatenate([tops, [b for _, b in rails]])
    composer.add(shapes.rods(starts, ends, radius), gap * 3, kind=SurfaceClass.THIN)


def _tabletop(composer: Composer) -> None:
    """A table seen from above, crowded, with a wall somewhere behind it."""
    rng, far = composer.rng, composer.far_m
    table = shapes.box((4 * far, 3 * far, 0.1))
    turn = upright_turn(rng.uniform(0, 2 * np.pi))
    composer.add(moved(table, turn, (0, far * 0.5, -0.05)), rng.uniform(0.3, 1.5))
    behind = far * rng.uniform(1.0, 3.0)
    wall = moved(shapes.box((8 * behind, 0.1, 6 * behind)), np.eye(3), (0, behind, 0))
    composer.add(wall, rng.uniform(0.5, 3.0))
    for _ in range(int(rng.integers(12, 34))):
        depth = composer.depth()
        _stand_something(composer, 0.0, depth, depth * rng.uniform(0.04, 0.16))


def _flying(composer: Composer) -> None:
    """A large backdrop in most scenes, and up to three slanted or curved ones before it."""
    rng = composer.rng
    if rng.random() < 0.8:
        _backdrop(composer, composer.far_m, 1.8, 0.25)
    for _ in range(int(rng.integers(0, 4))):
        _backdrop(composer, composer.far_m * rng.uniform(0.5, 1.3), rng.uniform(0.3, 1.2), 0.6)


def _backdrop(composer: Composer, depth: float, share: float, slant: float) -> None:
    """A sheet that faces the viewer, more or less. share: half its side over its depth."""
    rng = composer.rng
    way = composer.camera.cam_from_world[2, :3] + rng.normal(0, slant, 3)
    turn = looking(np.zeros(3), way, rng.uniform(-0.5, 0.5))[:3, :3].T
    piece, centre, size = shapes.sheet(rng), composer.in_view(depth, -0.3), depth * share
    placed = moved(piece, turn, centre, size)
    if float(np.linalg.norm(placed.points - composer.camera.centre_in_world, axis=1).min()) > composer.near_m:
        composer.add(placed, float(size * rng.uniform(0.2, 1.5)))


SETTINGS: dict[SceneKind, Setting] = {
    "room": Setting(
        _room, eye_m=(0.7, 1.8), near_m=(0.7, 1.8), far_m=(3.0, 9.0), pitch_deg=(-25, 8), floating=(0.1, 0.6)
    ),
    "outdoors": Setting(
        _outdoors, eye_m=(1.0, 3.0), near_m=(1.5, 5.0), far_m=(15.0, 60.0), pitch_deg=(-14, 6), floating=(0.0, 0.3)
    ),
    "tabletop": Setting(
        _tabletop, eye_m=(0.35, 0.9), near_m=(0.3, 0.6), far_m=(0.9, 2.5), pitch_deg=(-45, -12), floating=(0.1, 0.5)
    ),
    "flying": Setting(
        _flying, eye_m=(0.0, 0.0), near_m=(0.7, 2.0), far_m=(4.0, 25.0), pitch_deg=(-30, 30), floating=(0.8, 1.3)
    ),
}
