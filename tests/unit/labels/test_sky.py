"""The sky: flagged, left as a hole or written as disparity 0; walls and what has a label are none."""

from __future__ import annotations

import builders
import numpy as np
import pytest

from gs_stereo.labels.config import LabelSettings
from gs_stereo.labels.sky import CONFIDENCE, sky_of, with_sky
from gs_stereo.labels.sources import label_pair
from gs_stereo.types import LabelFlag, StereoImages, StereoLabel, StereoRig

BLUE, WHITE, WALL = (120, 160, 230), (245, 246, 250), (200, 198, 205)
HORIZON = 40


def pair_under(colour: tuple[int, int, int], noise: int = 2) -> StereoImages:
    """A sky of 96 x 40 with little noise over textured ground."""
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (72, 96, 3))
    image[:HORIZON] = np.clip(np.array(colour) + random.integers(-noise, noise + 1, (HORIZON, 96, 1)), 0, 255)
    rig = StereoRig(left=builders.camera_at("a", size=(96, 72)), baseline=0.1)
    image = image.astype(np.uint8)
    return StereoImages(sample_id="a", view_id="a", rig=rig, left=image, right=image)


def ground_label(sky_disparity: float = np.nan) -> StereoLabel:
    disparity = np.tile(np.linspace(5, 30, 72, dtype=np.float32)[:, None], (1, 96))
    disparity[:HORIZON] = sky_disparity
    known = np.isfinite(disparity)
    return StereoLabel(
        disparity=disparity, confidence=np.where(known, np.uint8(250), np.uint8(0)), flags=np.zeros((72, 96), np.uint16)
    )


@pytest.mark.parametrize("colour", [BLUE, WHITE])
def test_a_smooth_sky_without_labels_is_found(colour: tuple[int, int, int]) -> None:
    sky = sky_of(pair_under(colour), ground_label())
    assert sky[: HORIZON - 5].all()
    assert not sky[HORIZON:].any()


def test_walls_texture_and_what_is_labelled_are_no_sky() -> None:
    assert not sky_of(pair_under(WALL), ground_label()).any()
    assert not sky_of(pair_under(BLUE, noise=40), ground_label()).any()
    assert not sky_of(pair_under(BLUE), ground_label(12.0)).any()
    upside_down = pair_under(BLUE)
    flipped = StereoImages(
        sample_id="a", view_id="a", rig=upside_down.rig, left=upside_down.left[::-1].copy(), right=upside_down.right
    )
    label = ground_label()
    turned = StereoLabel(disparity=label.disparity[::-1], confidence=label.confidence, flags=label.flags)
    assert not sky_of(flipped, turned).any(), "water is blue and smooth too"


def test_the_sky_is_a_hole_or_zero_and_flagged() -> None:
    sky = sky_of(pair_under(BLUE), ground_label())
    hole, zero = (with_sky(ground_label(), sky, zero=zero) for zero in (False, True))
    for label in (hole, zero):
        np.testing.assert_array_equal((label.flags & LabelFlag.SKY) != 0, sky)
        np.testing.assert_array_equal(label.disparity[~sky], ground_label().disparity[~sky])
    assert np.isnan(hole.disparity[sky]).all()
    assert (hole.confidence[sky] == 0).all()
    assert (zero.disparity[sky] == 0).all()
    assert (zero.confidence[sky] == round(255 * CONFIDENCE)).all()


def test_label_pair_writes_the_sky_as_it_is_set() -> None:
    """Both eyes see the same picture, so the matcher finds no parallax anywhere, but only the top is a sky."""
    pair = pair_under(BLUE)
    label = label_pair(pair, settings=LabelSettings(expert="sgbm", sky="zero"))
    sky = (label.flags & LabelFlag.SKY) != 0
    assert sky.mean() > 0.3
    assert (label.disparity[sky] == 0).all()
