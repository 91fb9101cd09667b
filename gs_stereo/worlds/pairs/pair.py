"""One training pair from a seed and a number: the unit of work."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gs_stereo.core.hashing import unit_seed
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.types import StereoRig
from gs_stereo.worlds.pairs.compose import Composition, compose
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.faults import develop
from gs_stereo.worlds.render import RenderedView, StereoTruth, render, stereo_truth

_SURE = 255
_NEAR_PERCENTILE = 2.0
_HIGHEST_RATIO = 1.35
_LEAST_SHARE = 0.02


def sample_pair(config: TrainingPairConfig, seed: int, number: int) -> ShardSample:
    """Pair `number` of the run `seed`: the same in every order, count and process.

    The label is exact and covers every pixel; where the right eye is blocked or out of frame, the flags say so.
    """
    rng = np.random.default_rng(unit_seed(seed, f"pair/{number}"))
    kind = config.scenes[number % len(config.scenes)]
    pair = render_pair(compose(rng, config, kind, seed, number), rng, config)
    left, right = develop(pair.left.light, pair.right.light, rng, faults=config.camera_faults)
    name = f"{kind}-{number:06d}"
    return ShardSample(
        sample_id=name,
        view_id=name,
        left=left,
        right=right,
        disparity=pair.truth.disparity,
        confidence=np.full(left.shape[:2], _SURE, np.uint8),
        flags=pair.truth.flags,
        intrinsics=pair.rig.left.intrinsics,
        baseline=pair.rig.baseline,
        cam_from_world=pair.rig.left.cam_from_world,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedPair:
    """Both eyes' views, and the truth of the left."""

    rig: StereoRig
    left: RenderedView
    right: RenderedView
    truth: StereoTruth


def render_pair(scene: Composition, rng: np.random.Generator, config: TrainingPairConfig) -> RenderedPair:
    """A scene seen by two eyes. The baseline gives near surfaces a disparity of a random share of the width."""
    left = render(scene.world, scene.camera)
    rig = StereoRig(left=scene.camera, baseline=draw_baseline(scene, left.depth, rng, config))
    return RenderedPair(
        rig=rig, left=left, right=render(scene.world, rig.right), truth=stereo_truth(scene.world, left, rig.baseline)
    )


def draw_baseline(scene: Composition, depth: np.ndarray, rng: np.random.Generator, config: TrainingPairConfig) -> float:
    """From the wanted disparity of near surfaces; shortened until the right eye is clear of everything."""
    share = config.disparity_share_median * np.exp(config.disparity_share_spread * rng.standard_normal())
    share = float(np.clip(share, _LEAST_SHARE, config.disparity_share_most))
    near = float(np.percentile(depth, _NEAR_PERCENTILE))
    pixels_to_metres = scene.camera.width / scene.camera.focal_px
    most = _HIGHEST_RATIO * config.disparity_share_most * pixels_to_metres * float(depth.min())
    baseline = min(share * pixels_to_metres * near, most)
    while baseline > 1e-3 and not is_clear(scene, scene.camera.shifted(baseline).centre_in_world, near):
        baseline *= 0.7
    return baseline


def is_clear(scene: Composition, eye: Float64[np.ndarray, "3"], near: float) -> bool:
    """True if nothing lies between the eyes and no surface is close to the right one."""
    way = eye - scene.camera.centre_in_world
    between = np.concatenate([scene.camera.centre_in_world, way]).astype(np.float32)[None]
    if scene.world.caster.blocked(between, 0.0, 1.5)[0]:
        return False
    return scene.world.caster.distance(eye.astype(np.float32)) > 0.4 * min(near, scene.near_m)
