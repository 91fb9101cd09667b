"""Rectified stacks with exact depth: reproducible, valid, and each view explains every other."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_world import TINY

from gs_stereo.datasets.schema import ShardSample, check_sample
from gs_stereo.geometry.disparity import warp_right_to_left
from gs_stereo.worlds.pairs.stack import sample_stack

STACKS = TINY.model_copy(update={"stack_views": 5})


@pytest.fixture(scope="module")
def stack() -> ShardSample:
    return sample_stack(STACKS, 3, 0)


def test_a_stack_depends_on_seed_and_number_alone(stack: ShardSample) -> None:
    sample_stack(STACKS, 4, 1)
    again = sample_stack(STACKS, 3, 0)
    for name in ("views", "offsets", "view_depth", "left", "right", "disparity"):
        np.testing.assert_array_equal(getattr(stack, name), getattr(again, name))


def test_the_pair_is_part_of_the_stack(stack: ShardSample) -> None:
    check_sample(stack)
    offsets, views, depth = stack.offsets, stack.views, stack.view_depth
    assert offsets is not None
    assert views is not None
    assert depth is not None
    assert (np.diff(offsets) > 0).all()
    assert offsets[0] == -offsets[-1]
    assert offsets[2] == 0
    assert len(set(np.round(np.diff(offsets), 9))) > 2  # no multiples of one length
    np.testing.assert_array_equal(views[2], stack.left)
    np.testing.assert_array_equal(views[-1], stack.right)
    assert stack.baseline == offsets[-1]
    np.testing.assert_allclose(stack.disparity, stack.intrinsics[0, 0] * offsets[-1] / depth[2], rtol=1e-5)


def test_depth_explains_every_view_by_every_other(stack: ShardSample) -> None:
    assert stack.offsets is not None
    assert stack.views is not None
    assert stack.view_depth is not None
    images = stack.views.astype(np.float64)
    for one, other in ((0, 4), (1, 3)):
        shift = stack.intrinsics[0, 0] * (stack.offsets[other] - stack.offsets[one])
        error = np.abs(warp_right_to_left(images[other], shift / stack.view_depth[one]) - images[one])
        flipped = np.abs(warp_right_to_left(images[other], -shift / stack.view_depth[one]) - images[one])
        assert np.nanmedian(error) < 0.5 * np.nanmedian(flipped)
