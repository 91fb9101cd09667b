"""The views that a multi-baseline label matches: those stored with a pair, each place once and never the left eye."""

from __future__ import annotations

from dataclasses import replace

import builders
import numpy as np

from gs_stereo.labels.views import Surroundings, _stack
from gs_stereo.types import SparsePoints, SparseScene


def test_a_whole_stack_gives_every_other_view_once() -> None:
    pair, _, _ = builders.board_pair((builders.Board(disparity_px=4.0),))
    b = pair.rig.baseline
    middle = np.zeros_like(pair.left)
    whole = replace(
        pair,
        extra_offsets=(-b, -0.3 * b, 0.0, 0.4 * b, b),
        extra_views=(middle, middle, pair.left, middle, pair.right),
    )
    around = Surroundings(scene=SparseScene(cameras=(), points=SparsePoints.none()))
    stack = _stack(whole, around)
    moved = [float(pair.rig.left.cam_from_world[0, 3] - each.camera.cam_from_world[0, 3]) for each in stack]
    np.testing.assert_allclose(moved, [b, -b, -0.3 * b, 0.4 * b])
    assert stack[0].image is pair.right
