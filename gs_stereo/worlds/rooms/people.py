"""People who pass while photos are taken: they stand elsewhere in each, or are not there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from gs_stereo.core.hashing import unit_seed
from gs_stereo.types import Camera
from gs_stereo.worlds.light.baked import part_of
from gs_stereo.worlds.mesh import join
from gs_stereo.worlds.patches import Painted, Patch, lathe, placed, rod, sphere
from gs_stereo.worlds.raycast import RayCaster
from gs_stereo.worlds.rooms import materials
from gs_stereo.worlds.rooms.walk import Room
from gs_stereo.worlds.textures.paints import speckled
from gs_stereo.worlds.world import World

_PEOPLE = 3
_DISTANCES_M = (1.6, 4.0)
_APART_M = 0.25  # of a body's middle from furniture
_TRIES = 30


@dataclass(frozen=True, kw_only=True, eq=False)
class Visits:
    """A room with everybody who ever comes, and who is there: False for pieces that no photo but one shows."""

    everybody: World
    lasting: Bool[np.ndarray, "p"]
    pieces: dict[str, Bool[np.ndarray, "p"]]

    @property
    def empty(self) -> World:
        """The room itself."""
        return part_of(self.everybody, self.lasting)

    def during(self, photo: str) -> World | None:
        """The room when a photo is taken; None where nobody is in it."""
        return part_of(self.everybody, self.lasting | self.pieces[photo]) if photo in self.pieces else None


def visited(room: Room, cameras: Sequence[Camera], seed: int, detail: float) -> Visits:
    """Paint and light a room through which people pass; every other photo, by chance, shows some of them."""
    rng = np.random.default_rng(unit_seed(seed, "people"))
    mesh = join([patch.piece for patch in room.patches])
    caster = RayCaster(mesh.vertices, mesh.triangles)
    clothes = [_Clothes(rng) for _ in range(_PEOPLE)]
    passing: list[Patch] = []
    ranges: dict[str, range] = {}
    for index in sorted(rng.permutation(len(cameras))[: len(cameras) // 2]):
        first = len(passing)
        for who in rng.permutation(_PEOPLE)[: rng.integers(1, _PEOPLE + 1)]:
            passing += _somewhere(rng, cameras[index], caster, clothes[who])
        ranges[cameras[index].name] = range(first, len(passing))
    everybody = replace(room, passing=tuple(passing)).world(seed, detail)
    number = np.arange(len(everybody.finishes)) - len(room.patches)
    pieces = {name: (number >= span.start) & (number < span.stop) for name, span in ranges.items() if span}
    return Visits(everybody=everybody, lasting=number < 0, pieces=pieces)


class _Clothes:
    """What one person wears in all photos."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.height_m = rng.uniform(1.55, 1.9)
        self.coat = materials.cloth(rng) if rng.random() < 0.6 else materials.cardboard(rng)
        self.legs = Painted(speckled(materials.bright(rng), materials.bright(rng), 0.02), texel_m=0.006)
        skin = rng.uniform(0.25, 0.85) * np.array((1.0, 0.75, 0.62))
        self.skin = Painted(speckled(skin, 0.92 * skin, 0.03), texel_m=0.006)
        self.hair = Painted(speckled(rng.uniform(0.05, 0.5, 3), (0.1, 0.08, 0.06), 0.01), texel_m=0.004)


def _somewhere(rng: np.random.Generator, camera: Camera, caster: RayCaster, clothes: _Clothes) -> list[Patch]:
    """The person in front of a camera where there is room; nobody where there is none."""
    eye, forward = camera.centre_in_world, camera.cam_from_world[2, :3]
    for _ in range(_TRIES):
        way = np.arctan2(forward[1], forward[0]) + rng.uniform(-0.5, 0.5)
        place = eye + rng.uniform(*_DISTANCES_M) * np.array((np.cos(way), np.sin(way), 0.0))
        body = [np.array((place[0], place[1], z), np.float32) for z in (0.5, 1.0, 1.5)]
        sight = np.concatenate([eye, body[2] - eye]).astype(np.float32)[None]
        if min(caster.distance(point) for point in body) > _APART_M and not caster.blocked(sight, 0.0, 1.0)[0]:
            turn = rng.uniform(0, 360)
            return [placed(part, (place[0], place[1], 0.0), turn) for part in _person(rng, clothes)]
    return []


def _person(rng: np.random.Generator, clothes: _Clothes) -> list[Patch]:
    """Somebody in mid-step over the origin."""
    high = clothes.height_m
    hip, shoulder, stride = 0.5 * high, 0.82 * high, rng.uniform(0.0, 0.3)
    coat = [(0.05, 1.03), (0.17, 1.0), (0.19, 0.9), (0.16, 0.6), (0.18, 0.3), (0.2, -0.1)]
    body = [(radius, hip + share * (shoulder - hip)) for radius, share in coat]
    parts = [
        lathe(body, (0, 0, 0), clothes.coat, 24),
        rod((0, 0, shoulder), (0, 0, 0.9 * high), 0.055, clothes.skin),
        sphere((0, 0, 0.93 * high), 0.105, clothes.skin, 24),
        sphere((0, 0.02, 0.955 * high), 0.108, clothes.hair, 24),
    ]
    for side, step in ((-1, stride), (1, -stride)):
        parts.append(rod((side * 0.09, 0, hip), (side * 0.1, step, 0.04), 0.075, clothes.legs))
        hand = (side * 0.3, -0.8 * step + 0.05, hip - 0.02)
        parts.append(rod((side * 0.2, 0, shoulder), hand, 0.05, clothes.coat))
        parts.append(sphere(hand, 0.06, clothes.skin, 16))
    return parts
