"""One training pair from a seed and a number: the unit of work."""

from __future__ import annotations

import numpy as np

from gs_stereo.core.hashing import unit_seed
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.types import LabelFlag
from gs_stereo.worlds.pairs.compose import compose
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.faults import develop
from gs_stereo.worlds.pairs.render import render_pair

_SURE = 255


def training_pair(config: TrainingPairConfig, seed: int, number: int) -> ShardSample:
    """Pair `number` of the run `seed`: the same in every order, count and process.

    The label is exact and covers every pixel; where the right eye is blocked or out of frame, the flags say so.
    """
    rng = np.random.default_rng(unit_seed(seed, f"pair/{number}"))
    kind = config.scenes[number % len(config.scenes)]
    pair = render_pair(compose(rng, config, kind, seed), rng, config)
    left, right = develop(pair.left, pair.right, rng, faults=config.camera_faults)
    flags = LabelFlag.OCCLUDED * pair.hidden + LabelFlag.OUT_OF_FRAME * pair.out_of_frame
    name = f"{kind}-{number:06d}"
    return ShardSample(
        sample_id=name,
        view_id=name,
        left=left,
        right=right,
        disparity=pair.disparity,
        confidence=np.full(pair.disparity.shape, _SURE, np.uint8),
        flags=flags.astype(np.uint16),
        intrinsics=pair.rig.left.intrinsics,
        baseline=pair.rig.baseline,
        cam_from_world=pair.rig.left.cam_from_world,
    )
