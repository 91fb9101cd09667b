"""Virtual objects that fly through the views of a capture: rendered pairs with exact disparity on them, for training.

The idea is that of Scene Flow's FlyingThings3D (Mayer et al. 2016), before a background that is the user's own place.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.planting.config import PlantConfig
from gs_stereo.planting.objects import KINDS, planted_world
from gs_stereo.planting.photo import Look, plant
from gs_stereo.planting.plan import SeenView, place_objects, upwards
from gs_stereo.planting.truth import truth_before
from gs_stereo.types import DrawnObjects, StereoPair

_FLYING = PlantConfig(extent_share=(0.02, 0.12), standing_share=0.3, max_gap=0.65, max_covered=0.2)
"""Larger, and nearer to the eye than what measures a capture: up to three times the disparity of what is behind."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairWithObjects:
    """A rendered pair whose `objects` are known, both images with the objects, and how many there are."""

    pair: StereoPair
    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    count: int


def with_flying_objects(pair: StereoPair, count: int, seed: int, textures_seed: int) -> PairWithObjects:
    """Draw up to `count` objects into both images; fewer where the depth of the pair is in doubt or there is no room.

    They are hidden by nearer surfaces of the pair's own depth. seed: of this pair. textures_seed: of the painted
    textures, which pairs of a set share.
    """
    rig, images = pair.rig, (pair.left, pair.right)
    eyes = [SeenView.of(rig.left, pair.left_depth), SeenView.of(rig.right, pair.right_depth)]
    kinds = [KINDS[(seed + number) % len(KINDS)] for number in range(count)]
    items = place_objects(eyes[:1], _FLYING, kinds, seed)
    if not items:
        return PairWithObjects(pair=pair, left=pair.left, right=pair.right, count=0)
    world = planted_world(items, [pair.left], upwards([rig.left]), textures_seed)
    look = Look.of(pair.left, pair.left, jpeg=False)  # the sharpness and noise of the render
    left, right = (
        plant(
            image, eye.camera, world, eye.depth, look, np.random.default_rng(unit_seed(seed, f"object noise/{name}"))
        ).image
        for name, image, eye in zip(("left", "right"), images, eyes, strict=True)
    )
    truth = truth_before(world, rig, *eyes)
    shown = np.isfinite(truth.disparity)
    objects = DrawnObjects(
        disparity=truth.disparity.astype(np.float32),
        unseen=truth.hidden | (shown & ~truth.seen_by_both & ~truth.outside),
        doubtful=truth.doubtful,
    )
    return PairWithObjects(pair=replace(pair, objects=objects), left=left, right=right, count=len(items))
