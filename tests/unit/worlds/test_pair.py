"""Whole training pairs: reproducible, in the dataset's format, with camera faults or without."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_world import TINY

from gs_stereo.datasets.schema import check_sample
from gs_stereo.geometry.disparity import warp_right_to_left
from gs_stereo.types import LabelFlag
from gs_stereo.worlds.pairs.faults import develop
from gs_stereo.worlds.pairs.in_hard_rooms import baked_room
from gs_stereo.worlds.pairs.pair import sample_pair


def test_a_pair_depends_on_seed_and_number_alone() -> None:
    first = sample_pair(TINY, 5, 2)
    sample_pair(TINY, 6, 0)
    again = sample_pair(TINY, 5, 2)
    for name in ("left", "right", "disparity", "flags", "intrinsics", "baseline", "cam_from_world"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.left, sample_pair(TINY, 6, 2).left)


def test_a_pair_is_a_valid_sample_and_kinds_take_turns() -> None:
    names = []
    for number in range(4):
        sample = sample_pair(TINY, 0, number)
        check_sample(sample)
        assert np.isfinite(sample.disparity).all()
        assert (sample.confidence == 255).all()
        assert not (sample.flags & ~np.uint16(LabelFlag.OCCLUDED | LabelFlag.OUT_OF_FRAME)).any()
        names.append(sample.sample_id)
    assert names == ["room-000000", "outdoors-000001", "tabletop-000002", "flying-000003"]


def test_hard_rooms_serve_several_pairs_and_keep_the_exact_disparity() -> None:
    config = TINY.model_copy(update={"scenes": ("hard_room",), "camera_faults": False})
    first, second = (sample_pair(config, 0, number) for number in (0, 1))
    assert baked_room.cache_info().misses == 1
    assert not np.array_equal(first.cam_from_world, second.cam_from_world)
    for sample in (first, second):
        check_sample(sample)
        warped = warp_right_to_left(sample.right.astype(float), sample.disparity)
        error = np.abs(warped - sample.left).mean(axis=-1)[sample.flags == 0]
        # Reflections move with the eye, and edges are mixed; all else is carried over.
        assert np.nanmedian(error) < 4
        assert np.nanmedian(error) < 0.6 * np.nanmedian(np.abs(sample.right.astype(float) - sample.left).mean(axis=-1))


def test_without_faults_both_eyes_are_developed_alike() -> None:
    light = np.random.default_rng(0).uniform(0, 1, (20, 30, 3)).astype(np.float32)
    left, right = develop(light, light.copy(), np.random.default_rng(1), faults=False)
    np.testing.assert_array_equal(left, right)
    assert left.std() > 20


def test_faults_differ_between_eyes_and_pairs_but_keep_the_picture() -> None:
    light = np.zeros((40, 60, 3), np.float32)
    light[:, 30:] = 0.5
    pairs = [develop(light, light, np.random.default_rng(seed), faults=True) for seed in range(8)]
    assert sum(not np.array_equal(left, right) for left, right in pairs) >= 6
    assert len({left.tobytes() for left, _ in pairs}) == 8
    for image in (image for pair in pairs for image in pair):
        assert image[:, 35:].mean() > image[:, :25].mean() + 40


@pytest.mark.parametrize("value", [0.0, 1e-7])
def test_a_dark_scene_is_no_error(value: float) -> None:
    light = np.full((8, 8, 3), value, np.float32)
    left, _ = develop(light, light, np.random.default_rng(0), faults=False)
    assert left.dtype == np.uint8
