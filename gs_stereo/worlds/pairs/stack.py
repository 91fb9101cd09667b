"""One rectified stack of views with exact depth from a seed and a number: the unit of work where stacks are wanted."""

import numpy as np

from gs_stereo.core.hashing import unit_seed
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.types import StereoRig
from gs_stereo.worlds.pairs.compose import Composition, compose
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.pair import is_clear
from gs_stereo.worlds.render import RenderedView, render, stereo_truth

_SURE = 255
_TRIES = 12
_SHORTER = 0.85
_SHORTEST = 0.4  # a scene that allows less of the wanted length is drawn again
_JITTER = 0.3  # of the spacing
_NEAR_PERCENTILE = 2.0
_MOST_DISPARITY_SHARE = 0.35  # of the width, of near surfaces between the outermost views


def sample_stack(config: TrainingPairConfig, seed: int, number: int) -> ShardSample:
    """Stack `number` of the run `seed`: `stack_views` views, the left view among them, the right one at its end.

    The views lie on the left camera's x axis on both sides of it, `stack_reach` median depths to either side, less
    where something stands in the way. Their spacing is uneven, so that baselines are not multiples of one length.
    """
    kind = config.scenes[number % len(config.scenes)]
    for attempt in range(_TRIES):
        rng = np.random.default_rng(unit_seed(seed, f"stack/{number}/{attempt}"))
        scene = compose(rng, config, kind, seed, number)
        centre = render(scene.world, scene.camera)
        wanted = config.stack_reach * float(np.median(centre.depth))
        reach = _allowed_reach(scene, centre, wanted)
        if reach >= _SHORTEST * wanted:
            break
    offsets = _draw_offsets(rng, config.stack_views, reach)
    views = [centre if offset == 0 else render(scene.world, scene.camera.shifted(offset)) for offset in offsets]
    rig = StereoRig(left=scene.camera, baseline=float(offsets[-1]))
    truth = stereo_truth(scene.world, centre, rig.baseline)
    name = f"{kind}-stack-{number:06d}"
    images = [view.image for view in views]
    return ShardSample(
        sample_id=name,
        view_id=name,
        left=centre.image,
        right=images[-1],
        disparity=truth.disparity,
        confidence=np.full(centre.depth.shape, _SURE, np.uint8),
        flags=truth.flags,
        intrinsics=rig.left.intrinsics,
        baseline=rig.baseline,
        cam_from_world=rig.left.cam_from_world,
        views=np.stack(images),
        offsets=offsets,
        view_depth=np.stack([view.depth for view in views]),
    )


def _allowed_reach(scene: Composition, centre: RenderedView, wanted: float) -> float:
    """`wanted`, shortened until both ends are clear of everything and near surfaces move by a share of the width."""
    near = float(np.percentile(centre.depth, _NEAR_PERCENTILE))
    focal_px, width = scene.camera.focal_px, scene.camera.width
    reach = min(wanted, 0.5 * _MOST_DISPARITY_SHARE * width * near / focal_px)
    while reach > _SHORTEST * wanted and not all(
        is_clear(scene, scene.camera.shifted(side * reach).centre_in_world, near) for side in (-1, 1)
    ):
        reach *= _SHORTER
    return reach


def _draw_offsets(rng: np.random.Generator, count: int, reach: float) -> np.ndarray:
    """Ascending positions between -reach and reach, both ends and 0 among them."""
    places = np.linspace(-1, 1, count)
    places[1:-1] += rng.uniform(-_JITTER, _JITTER, count - 2) * 2 / (count - 1)
    places[count // 2] = 0.0
    return places * reach
