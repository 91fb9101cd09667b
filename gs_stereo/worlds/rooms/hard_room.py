"""Hard sample scenes: blank walls, lacquer, polished floors, mirrors, metal, foliage, thin rods, depth from 1 to 10.

The kind of a room goes round with the seed; size, materials, furniture, lamps and walk are drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from gs_stereo.core.hashing import unit_seed
from gs_stereo.worlds.light.baked import Lamp, Lighting
from gs_stereo.worlds.mesh import Vector
from gs_stereo.worlds.patches import Painted, Patch, box, quad
from gs_stereo.worlds.rooms import materials, things
from gs_stereo.worlds.rooms.materials import Random
from gs_stereo.worlds.rooms.outside import garden, sun
from gs_stereo.worlds.rooms.walk import Arc, Line, Room, Stand, Walk
from gs_stereo.worlds.textures.paints import flat

HARD_VERSION = 6
"""Goes up when a seed gives another room."""
_BODY_M = 0.35  # of the walker: nothing comes nearer to an eye
_EYE_M = 1.2  # what is higher stands further away
_TRIES = 60


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of room: its walk, the least and largest (width, depth, height), what hangs or stands at walls, what
    stands free, how many of those, and the share of walls without texture. open_front: no wall at the far end."""

    walk: Callable[[Random, Vector], Walk]
    sizes_m: tuple[Vector, Vector]
    at_walls: tuple[things.Maker, ...]
    free: tuple[things.Maker, ...]
    count: int
    blank_share: float = 0.65
    open_front: bool = False


def _arc(rng: Random, size: Vector) -> Walk:
    """Along an arc before the middle of the room."""
    wide, deep, _ = size
    radius = rng.uniform(0.36, 0.46) * deep
    reach = np.rad2deg(np.arcsin(min((wide / 2 - 0.7) / radius, 0.5)))
    target = (rng.uniform(-0.2, 0.2), 0.5 + radius + 0.15, rng.uniform(0.75, 1.0))
    return Arc(target=target, radius_m=radius, arc_deg=(-reach, reach), heights_m=(1.25, 1.6))


def _orbit(rng: Random, size: Vector) -> Walk:
    """Round the things in the middle, three walls come into view."""
    wide, deep, _ = size
    turn = rng.uniform(-20, 20)
    radius = min(wide, deep) / 2 - 0.8
    return Arc(target=(0.0, deep / 2, 0.9), radius_m=radius, arc_deg=(turn - 55, turn + 55), heights_m=(1.2, 1.65))


def _sideways(rng: Random, size: Vector) -> Walk:
    """Straight along the near wall."""
    wide, deep, _ = size
    half, y, z = min(wide / 2 - 0.7, 1.6), rng.uniform(0.6, 0.9), rng.uniform(1.25, 1.5)
    aim = np.array((0.0, 0.8 * deep, 0.95))
    turn = np.array((0.4 * half, 0, 0))
    aims = (aim - turn, aim + turn)
    return Line(start=(-half, y, z), end=(half, y + rng.uniform(-0.1, 0.4), z), aside=(0, 0.25, 0.3), aims=aims)


def _ahead(rng: Random, size: Vector) -> Walk:
    """Down a corridor and back."""
    wide, deep, _ = size
    x, y = rng.uniform(0.15, 0.25) * wide, rng.uniform(0.2, 0.3) * deep
    aims = ((rng.uniform(-0.4, 0.4), 0.75 * deep, 1.2), (rng.uniform(-0.4, 0.4), deep, 1.2))
    return Line(start=(-x, 0.5, 1.35), end=(0.2 * x, 0.5 + y, 1.45), aside=(1.4 * x, 0.1, 0.2), aims=aims)


def _corner(rng: Random, size: Vector) -> Walk:
    """An arc about a place before the far left or right corner."""
    wide, deep, _ = size
    side = rng.choice((-1.0, 1.0))
    target = (side * (0.5 * wide - 1.1), deep - 1.2, 0.95)
    radius = min(wide - 1.9, deep - 1.9)
    return Arc(target=target, radius_m=radius, arc_deg=(-side * 70, -side * 14), heights_m=(1.25, 1.55))


_T = things
_LOW = (_T.table, _T.sofa, _T.cartons, _T.chair, _T.island)
KINDS = {
    "living": Kind(
        walk=_arc,
        sizes_m=((4.6, 6.0, 2.5), (6.5, 8.5, 3.0)),
        at_walls=(_T.door, _T.window, _T.mirror, _T.painting, _T.painting, _T.screen, _T.shelf, _T.radiator),
        free=(_T.table, _T.sofa, _T.sofa, _T.chair, _T.plant, _T.floor_lamp, _T.cartons, _T.pedestal),
        count=8,
    ),
    "corridor": Kind(
        walk=_ahead,
        sizes_m=((2.2, 9.0, 2.5), (3.2, 14.0, 3.0)),
        at_walls=(_T.door, _T.door, _T.painting, _T.radiator, _T.window, _T.mirror, _T.panelling, _T.shelf),
        free=(_T.plant, _T.bin_of_metal, _T.chair, _T.cartons, _T.pedestal),
        count=4,
    ),
    "kitchen": Kind(
        walk=_sideways,
        sizes_m=((4.8, 6.0, 2.5), (6.5, 9.0, 3.0)),
        at_walls=(_T.cupboards, _T.cupboards, _T.door, _T.window, _T.painting, _T.shelf, _T.mirror),
        free=(_T.island, _T.chair, _T.chair, _T.chair, _T.plant, _T.bin_of_metal, _T.table),
        count=7,
    ),
    "gallery": Kind(
        walk=_orbit,
        sizes_m=((6.0, 6.5, 3.0), (9.0, 9.5, 4.0)),
        at_walls=(_T.painting, _T.painting, _T.painting, _T.mirror, _T.door, _T.panelling),
        free=(_T.pedestal, _T.pedestal, _T.column, _T.partition, _T.railing, _T.plant),
        count=8,
        blank_share=0.8,
    ),
    "corner": Kind(
        walk=_corner,
        sizes_m=((4.0, 4.4, 2.4), (5.2, 5.6, 2.9)),
        at_walls=(_T.door, _T.window, _T.mirror, _T.radiator, _T.shelf, _T.cupboards, _T.painting),
        free=(_T.chair, _T.plant, _T.table, _T.floor_lamp, _T.bin_of_metal, _T.cartons),
        count=5,
    ),
    "store": Kind(
        walk=_sideways,
        sizes_m=((5.5, 8.0, 2.8), (8.0, 11.0, 3.6)),
        at_walls=(_T.shelf, _T.shelf, _T.shelf, _T.door, _T.cupboards, _T.window),
        free=(_T.railing, _T.railing, _T.cartons, _T.partition, _T.pedestal, _T.column, _T.plant),
        count=10,
        blank_share=0.5,
    ),
    "terrace": Kind(
        walk=_arc,
        sizes_m=((5.0, 6.0, 2.7), (7.5, 9.0, 3.4)),
        at_walls=(_T.painting, _T.shelf, _T.radiator, _T.mirror, _T.door),
        free=(_T.table, _T.chair, _T.sofa, _T.plant, _T.plant, _T.railing, _T.column),
        count=8,
        open_front=True,
    ),
}


def kind_of(seed: int) -> str:
    """The kind of a seed's room."""
    return tuple(KINDS)[seed % len(KINDS)]


def hard_room(seed: int) -> Room:
    """Floor at z = 0, x about 0, the walker near y = 0, the far wall at y = depth."""
    rng = np.random.default_rng(unit_seed(seed, "hard room"))
    kind = KINDS[kind_of(seed)]
    size = rng.uniform(*kind.sizes_m)
    walk = kind.walk(rng, size)
    plan = _Plan(rng=rng, size=size, stands=_stands(walk))
    for maker in _drawn(rng, kind.free, kind.count):
        plan.put(maker)
    for maker in _drawn(rng, _LOW, 3):
        plan.put(maker, near=True)
    patches = [*_shell(rng, kind, size), *plan.patches, *_at_walls(rng, kind, size), *_overhead(rng, size, plan)]
    lamps, panels = _lamps(rng, size)
    if kind.open_front:
        lamps.append(sun(rng, size[1]))
    lighting = Lighting(
        lamps=tuple(lamps),
        ambient=tuple(rng.uniform(0.45, 0.8) * rng.uniform(0.95, 1.05, 3)),
        ambient_rays=96,
        smoothings=3,
    )
    return Room(patches=(*patches, *panels), lighting=lighting, walk=walk, metered=True)


def _stands(walk: Walk) -> list[Stand]:
    rng = np.random.default_rng(0)
    return [walk.stand((place, side), rng) for place in np.linspace(0, 1, 9) for side in (0.0, 1.0)]


def _drawn(rng: Random, makers: tuple[things.Maker, ...], count: int) -> list[things.Maker]:
    """`count` of the makers, each once before one comes again."""
    order = [index for _ in range(-(-count // len(makers))) for index in rng.permutation(len(makers))]
    return [makers[index] for index in order[:count]]


@dataclass(kw_only=True)
class _Plan:
    """Where things stand: apart from each other, and clear of the walker."""

    rng: Random
    size: np.ndarray
    stands: list[Stand]
    patches: list[Patch] = field(default_factory=list)
    taken: list[np.ndarray] = field(default_factory=list)

    def distance(self, place: np.ndarray) -> float:
        """From a place on the floor to the walker where he comes nearest, in plan."""
        return float(min(np.hypot(*(stand.eye[:2] - place)) for stand in self.stands))

    def put(self, maker: things.Maker, near: bool = False) -> None:
        """Stand a thing in the room, if wanted just before the walker and low; leave it out where there is no place."""
        thing = maker(self.rng)
        points = np.concatenate([patch.points.reshape(-1, 3) for patch in thing])
        reach = float(np.hypot(points[:, 0], points[:, 1]).max())
        clear = 0.7 if points[:, 2].max() < _EYE_M else 1.3
        wide, deep, _ = self.size
        for _ in range(_TRIES):
            place = self.rng.uniform((-wide / 2, 0.0), (wide / 2, deep))
            if near:
                stand = self.stands[self.rng.integers(len(self.stands))]
                way = np.arctan2(*(stand.aim - stand.eye)[:2]) + self.rng.uniform(-0.5, 0.5)
                place = stand.eye[:2] + (reach + self.rng.uniform(0.4, 0.6)) * np.array((np.sin(way), np.cos(way)))
            apart = self.distance(place) - reach
            wall = min(wide / 2 - abs(place[0]), place[1], deep - place[1])
            free = all(np.hypot(*(place - other[:2])) > reach + other[2] for other in self.taken)
            if free and wall > 0.35 + 0.75 * reach and (_BODY_M < apart < 0.6 if near else apart > clear):
                self.taken.append(np.array((*place, reach)))
                self.patches += things.turned_to(thing, (*place, 0.0), self.rng.uniform(-35, 35))
                return


def _shell(rng: Random, kind: Kind, size: np.ndarray) -> list[Patch]:
    """Walls, floor and ceiling; at least one wall has texture."""
    wide, deep, top = size
    walls = [
        materials.blank(rng) if rng.random() < kind.blank_share else materials.textured_wall(rng) for _ in range(3)
    ]
    walls[rng.integers(3)] = materials.textured_wall(rng)
    near, ceiling = materials.blank(rng), materials.blank(rng)
    down, west, east = (0, 0, -top), -wide / 2, wide / 2
    patches = [
        quad((west, 0, top), (0, deep, 0), down, walls[1]),
        quad((east, deep, top), (0, -deep, 0), down, walls[2]),
        quad((west, deep, 0), (wide, 0, 0), (0, -deep, 0), materials.floor(rng)),
        quad((east, 0, top), (-wide, 0, 0), down, near),
        quad((west, 0, top), (wide, 0, 0), (0, deep, 0), ceiling),
    ]
    if kind.open_front:
        patches += garden(rng, deep)
    else:
        patches.append(quad((west, deep, top), (wide, 0, 0), down, walls[0]))
    if rng.random() < 0.4:
        beam = materials.veneer(rng, polished=False)
        for y in np.arange(0.8, deep, rng.uniform(0.8, 1.4)):
            patches += box((0, y, top - 0.09), (wide, 0.14, 0.18), beam)
    board = materials.blank(rng)
    for side in (-1, 1):
        patches += box((side * (wide / 2 - 0.01), deep / 2, 0.05), (0.02, deep, 0.1), board)
    return patches


def _at_walls(rng: Random, kind: Kind, size: np.ndarray) -> list[Patch]:
    """Fixtures side by side along the far wall and both side walls."""
    wide, deep, top = size
    walls = [(deep, (-wide / 2, deep / 2), 90.0), (deep, (wide / 2, deep / 2), -90.0)]
    if not kind.open_front:
        walls.append((wide, (0.0, deep), 0.0))
    patches: list[Patch] = []
    for length, (x, y), yaw in walls:
        cursor, turn = -length / 2 + 0.5, np.deg2rad(yaw)
        makers = _drawn(rng, kind.at_walls, 12)
        for maker in makers:
            thing = maker(rng)
            points = np.concatenate([patch.points.reshape(-1, 3) for patch in thing])
            left, right = points[:, 0].min(), points[:, 0].max()
            if cursor + right - left > length / 2 - 0.5:
                continue
            shift = cursor - left
            foot = (x + shift * np.cos(turn), y + shift * np.sin(turn), 0.0)
            if points[:, 2].max() < top - 0.1:
                patches += things.turned_to(thing, foot, yaw)
                cursor += right - left + rng.choice((0.15, 0.4, 1.0))
    return patches


def _overhead(rng: Random, size: np.ndarray, plan: _Plan) -> list[Patch]:
    """Lamps, plants and cables that hang from the ceiling."""
    wide, deep, top = size
    patches: list[Patch] = []
    for _ in range(int(rng.integers(1, 4))):
        hook = np.array((rng.uniform(-0.3, 0.3) * wide, rng.uniform(0.25, 0.8) * deep, top))
        if plan.distance(hook[:2]) > 0.75:
            patches += things.hanging_plant(rng, hook) if rng.random() < 0.3 else things.pendant(rng, hook)
    for _ in range(int(rng.integers(0, 3))):
        y, z = rng.uniform(0.4, 0.9, 2) * deep, rng.uniform(0.75, 0.95, 2) * top
        patches += things.cable((-wide / 2, y[0], z[0]), (wide / 2, y[1], z[1]), rng.uniform(0.05, 0.35))
    return patches


def _lamps(rng: Random, size: np.ndarray) -> tuple[list[Lamp], list[Patch]]:
    """Panels in the ceiling, daylight through a window behind the walker, and what of them one sees."""
    wide, deep, top = size
    tone = rng.uniform((0.95, 0.85, 0.65), (1.0, 1.0, 1.0))
    count = max(1, round(deep / rng.uniform(3.0, 5.0)))
    lamps, panels = [], []
    for k in range(count):
        a, b = rng.uniform(0.3, 1.5, 2)
        corner = np.array((rng.uniform(-0.15, 0.15) * wide - b / 2, (k + 0.5) / count * deep - a / 2, top - 0.03))
        power = tuple(rng.uniform(0.7, 1.3) * 1.6 * top**2 * tone)
        lamps.append(Lamp(corner=corner, edge_a=(0, a, 0), edge_b=(b, 0, 0), power=power, rays=(5, 5)))
        shine = Painted(flat(0.9 * tone), texel_m=0.05, glow=4.0)
        panels.append(quad(corner + np.array((0, 0, 0.005)), (b, 0, 0), (0, a, 0), shine))
    high, long, x = 1.3, rng.uniform(1.0, 1.8), rng.uniform(-0.25, 0.25) * wide
    daylight = tuple(rng.uniform(2.0, 10.0) * np.array((0.85, 0.95, 1.1)))
    corner = np.array((x + long / 2, 0.02, 0.9))
    lamps.append(Lamp(corner=corner, edge_a=(0, 0, high), edge_b=(-long, 0, 0), power=daylight))
    panels.append(quad(corner + np.array((0, -0.01, high)), (-long, 0, 0), (0, 0, -high), things.outside(rng)))
    return lamps, panels
