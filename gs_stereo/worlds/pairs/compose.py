"""Random training scenes, ready to render: furniture by `furnish`, then sky, textures and light.

Nothing is placed within `near_m` of the left eye.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gs_stereo.types import Camera
from gs_stereo.worlds import shapes
from gs_stereo.worlds.light.lamp import Light, lamp_world
from gs_stereo.worlds.pairs.composer import TILES, Composer
from gs_stereo.worlds.pairs.config import SceneKind, TrainingPairConfig
from gs_stereo.worlds.pairs.furnish import SETTINGS, float_something
from gs_stereo.worlds.pairs.in_hard_rooms import PAIRS_A_ROOM, baked_room, camera_in_room
from gs_stereo.worlds.textures.tiles import scene_tiles, texture_bank
from gs_stereo.worlds.world import World

_SKY_DISPARITY_PX = (0.02, 0.4)
_TYPICAL_BASELINE = 0.1  # of the nearest depth
_DETAIL_WIDTH_PX = 640


@dataclass(frozen=True, kw_only=True, eq=False)
class Composition:
    """A scene and its left camera. near_m: nothing that was placed is nearer."""

    world: World
    camera: Camera
    near_m: float


def compose(
    rng: np.random.Generator, config: TrainingPairConfig, kind: SceneKind, run_seed: int, number: int = 0
) -> Composition:
    """A random scene of one kind. run_seed: the textures are those of the run, and hard rooms of successive numbers."""
    if kind == "hard_room":
        baked = baked_room(run_seed, number // (PAIRS_A_ROOM * len(config.scenes)), config.width / _DETAIL_WIDTH_PX)
        camera = camera_in_room(rng, config, baked)
        near_m = baked.world.caster.distance(camera.centre_in_world.astype(np.float32))
        return Composition(world=baked.world, camera=camera, near_m=near_m)
    setting = SETTINGS[kind]
    composer = Composer(rng, config, setting)
    setting.furnish(composer)
    wanted = int(rng.integers(config.objects[0], config.objects[1] + 1))
    for _ in range(max(1, round(wanted * rng.uniform(*setting.floating)))):
        float_something(composer)
    # A glowing sphere about everything, so far that its disparity is a fraction of a pixel.
    sky_m = composer.camera.focal_px * _TYPICAL_BASELINE * composer.near_m / rng.uniform(*_SKY_DISPARITY_PX)
    sky_m = max(sky_m, 3 * composer.far_m)
    composer.add(shapes.dome(sky_m), sky_m * rng.uniform(2.0, 5.0), glows=True)
    bank = texture_bank(run_seed, config.textures, config.texture_px)
    tiles = scene_tiles(rng, bank, config.texture_px, TILES)
    world = lamp_world(composer.pieces, composer.finishes, tiles, _light(rng, kind, composer))
    return Composition(world=world, camera=composer.camera, near_m=composer.near_m)


def _light(rng: np.random.Generator, kind: SceneKind, composer: Composer) -> Light:
    """A sun, or a lamp; strong or weak against the light from all around."""
    far = kind == "outdoors" or (kind != "room" and rng.random() < 0.4)
    if far:
        lamp = _upwards(rng)
    elif kind == "room":
        # Under every ceiling and between every pair of walls that `furnish` draws: outside, it would light nothing.
        aside, away = rng.uniform(-0.12, 0.12) * composer.far_m, rng.uniform(-0.5, 0.6 * composer.far_m)
        lamp = np.array([aside, away, composer.eye_m + rng.uniform(0.1, 0.65)])
    else:
        reach = composer.near_m * rng.uniform(0.5, 3)
        forward = np.array([0, composer.near_m * rng.uniform(0, 2), 0])
        lamp = composer.camera.centre_in_world + reach * _upwards(rng) + forward
    warm, around = rng.uniform(0.8, 1.2, 3), rng.uniform(0.15, 0.7)
    return Light(
        place=lamp,
        far=far,
        lamp=warm * rng.uniform(0.4, 1.3) * (1 if far else 2.0),
        sky=around * rng.uniform(0.8, 1.2, 3),
        floor=around * rng.uniform(0.2, 0.7) * rng.uniform(0.8, 1.2, 3),
        reach_m=composer.near_m * rng.uniform(2, 6),
    )


def _upwards(rng: np.random.Generator) -> Float64[np.ndarray, "3"]:
    direction = np.array([rng.uniform(-1, 1), rng.uniform(-1, 0.6), rng.uniform(0.35, 1.2)])
    return direction / np.linalg.norm(direction)
