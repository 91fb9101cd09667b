"""Training scenes in hard rooms: blank walls, lacquer, mirrors. A room is baked once for successive pairs."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gs_stereo.core.hashing import unit_seed
from gs_stereo.types import Camera
from gs_stereo.worlds.cameras import looking
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.rooms.hard_room import hard_room
from gs_stereo.worlds.rooms.walk import Walk
from gs_stereo.worlds.world import World

PAIRS_A_ROOM = 12
"""Baking takes 4 to 10 seconds, a pair about one: more pairs would save little time and look alike."""
_CLEAR_M = 0.25
_TRIES = 40


@dataclass(frozen=True, kw_only=True, eq=False)
class BakedRoom:
    """A room that is ready to be looked at, and the walk through it."""

    world: World
    walk: Walk


@lru_cache(maxsize=1)
def baked_room(run_seed: int, room: int, detail: float) -> BakedRoom:
    """A room of a run."""
    seed = unit_seed(run_seed, f"hard room/{room}")
    plan = hard_room(seed)
    return BakedRoom(world=plan.world(seed, detail), walk=plan.walk)


def camera_in_room(rng: np.random.Generator, config: TrainingPairConfig, room: BakedRoom) -> Camera:
    """Anywhere near the walk, looking about where the walker does; clear of everything if that can be."""
    view = np.deg2rad(rng.uniform(*config.field_of_view_deg))
    focal = config.width / 2 / np.tan(view / 2)
    x, y = (size / 2 + rng.normal(0, 0.01) * config.width for size in (config.width, config.height))
    for _ in range(_TRIES):
        stand = room.walk.stand((rng.uniform(0, 1), rng.uniform(0, 1)), rng)
        eye = stand.eye + rng.uniform((-0.4, -0.1, -0.5), (0.4, 0.8, 0.5))
        if room.world.caster.distance(eye.astype(np.float32)) > _CLEAR_M:
            break
    aim = stand.aim + rng.uniform((-1.5, 0.0, -0.7), (1.5, 1.0, 0.7))
    return Camera(
        name="left",
        width=config.width,
        height=config.height,
        intrinsics=np.array([[focal, 0, x], [0, focal, y], [0, 0, 1]]),
        cam_from_world=looking(eye, aim, float(np.deg2rad(rng.normal(0, 3)))),
    )
