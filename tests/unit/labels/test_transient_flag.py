"""The flag of pixels that lack a label where something stood before the scene in the photo of that place."""

from __future__ import annotations

import numpy as np
import pytest
from builders import camera_at, make_points, make_scene

from gs_stereo.labels.views import Surroundings, with_transient
from gs_stereo.splat.appearance import Appearance
from gs_stereo.splat.fitted_photos import FittedPhotos
from gs_stereo.types import LabelFlag, StereoLabel

HIDDEN = np.array([[True, True, False, False]])
LABEL = StereoLabel(
    disparity=np.array([[1.0, np.nan, 2.0, np.nan]], np.float32),
    confidence=np.array([[9, 0, 9, 0]], np.uint8),
    flags=np.full((1, 4), LabelFlag.LOW_ALPHA, np.uint16),
)


def around() -> Surroundings:
    scene = make_scene(
        [camera_at("a.png", size=(4, 1)), camera_at("b.png", 1.0, size=(4, 1))], make_points([[0, 0, 2]])
    )
    photos = FittedPhotos(lambda name: np.zeros((1, 4, 3), np.uint8), Appearance(), {"a.png": HIDDEN}.get)
    return Surroundings(scene=scene, photo=photos)


def test_only_missing_labels_behind_it_are_flagged_and_other_flags_stay() -> None:
    flagged = with_transient(LABEL, camera_at("left", size=(4, 1)), around())
    both = LabelFlag.LOW_ALPHA | LabelFlag.TRANSIENT
    assert flagged.flags.tolist() == [[LabelFlag.LOW_ALPHA, both, LabelFlag.LOW_ALPHA, LabelFlag.LOW_ALPHA]]
    assert flagged.flags.dtype == np.uint16
    assert flagged.disparity is LABEL.disparity


@pytest.mark.parametrize("x", [1.0, 0.5])
def test_views_elsewhere_and_clean_photos_have_no_such_flag(x: float) -> None:
    assert with_transient(LABEL, camera_at("left", x, size=(4, 1)), around()) is LABEL
