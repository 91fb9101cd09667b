"""Labels of pairs into which objects were drawn: exact on them, and those of the scene elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from gs_stereo.labels.config import LabelSettings
from gs_stereo.labels.sources import label_pair
from gs_stereo.types import DrawnObjects, LabelFlag, StereoLabel, StereoPair
from tests.builders import Board, board_pair

OBJECT, BESIDE, DOUBT = np.s_[8:14, 20:28], np.s_[8:14, 14:20], np.s_[8:14, 28:30]


@pytest.fixture
def pair() -> StereoPair:
    """A wall with an object before it, which hides the scene on its left from the right eye."""
    wall, _, _ = board_pair((Board(disparity_px=5.0),))
    disparity = np.full(wall.left.shape[:2], np.nan, np.float32)
    unseen, doubtful = np.zeros((2, *disparity.shape), bool)
    disparity[OBJECT], unseen[BESIDE], doubtful[DOUBT] = 11.0, True, True
    disparity[0, :8] = 11.0  # beyond the right image
    return replace(wall, objects=DrawnObjects(disparity=disparity, unseen=unseen, doubtful=doubtful))


def label_of(pair: StereoPair) -> StereoLabel:
    return label_pair(pair, settings=LabelSettings(expert="splat"))


def test_labels_are_exact_on_objects_and_those_of_the_scene_elsewhere(pair: StereoPair) -> None:
    label, scene = label_of(pair), label_of(replace(pair, objects=None))
    assert (label.disparity[OBJECT] == 11.0).all()
    assert (label.confidence[OBJECT] == 255).all()
    assert (label.flags[OBJECT] == LabelFlag.DRAWN_OBJECT).all()
    assert np.isnan(label.disparity[DOUBT]).all()
    assert not label.confidence[DOUBT].any()
    assert (label.flags[0, :8] == LabelFlag.DRAWN_OBJECT | LabelFlag.OUT_OF_FRAME).all()
    rest = np.s_[20:, 40:]
    np.testing.assert_array_equal(label.disparity[rest], scene.disparity[rest])
    np.testing.assert_array_equal(label.flags[rest], scene.flags[rest])


def test_what_an_object_hides_keeps_its_disparity_and_is_flagged(pair: StereoPair) -> None:
    label = label_of(pair)
    assert (label.flags[BESIDE] & LabelFlag.OCCLUDED).all()
    np.testing.assert_allclose(label.disparity[BESIDE], 5.0, atol=1e-4)
