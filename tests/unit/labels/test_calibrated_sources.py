"""The label stage and the trust model: which experts it knows, and whose confidence it calibrates."""

from __future__ import annotations

import numpy as np
import pytest
from board_scenes import Board, make_pair

from gs_stereo.labels.matcher import matched_label
from gs_stereo.labels.observations import LabelSources, MatchedPair
from gs_stereo.labels.splat import splat_label
from gs_stereo.labels.trust import load_trust
from gs_stereo.labels.units import LabelStageConfig, label_from, provenance_of, uncalibrated
from gs_stereo.types import DisparityPrediction


def asked() -> LabelSources:
    pair, disparity, _ = make_pair((Board(disparity_px=4.0), Board(disparity_px=20.0, x_from=70, x_to=100)))
    right = pair.rig.focal_times_baseline / pair.right_depth.median
    left, other = (DisparityPrediction(disparity=d.astype(np.float32)) for d in (disparity, right))
    return LabelSources(pair=pair, matched={name: MatchedPair(left=left, right=other) for name in ("sgbm", "other")})


def test_matchers_that_were_not_calibrated_are_named() -> None:
    assert uncalibrated(LabelStageConfig()) == ()
    config = LabelStageConfig.model_validate({"fused": {"experts": ["sgbm", "multibaseline", "lidar"]}})
    assert uncalibrated(config) == ("lidar",)
    assert uncalibrated(LabelStageConfig(expert="lidar")) == ()


def test_the_provenance_says_for_which_matchers_it_was_calibrated() -> None:
    settings = provenance_of(LabelStageConfig()).settings
    assert settings["trust"]["experts"] == list(load_trust().experts)


@pytest.mark.parametrize("expert", ["splat", "sgbm", "other"])
def test_single_sources_keep_their_disparity_and_get_a_calibrated_confidence(expert: str) -> None:
    sources, config = asked(), LabelStageConfig(expert=expert)
    label = label_from(sources, config)
    match = sources.matched["other" if expert == "other" else "sgbm"]
    plain = (
        splat_label(sources.pair, config.rules)
        if expert == "splat"
        else matched_label(sources.pair, match.left, config.rules, match.right)
    )
    np.testing.assert_array_equal(label.disparity, plain.disparity)
    np.testing.assert_array_equal(label.flags, plain.flags)
    assert (label.confidence[np.isnan(label.disparity)] == 0).all()
    assert np.array_equal(label.confidence, plain.confidence) == (expert == "other")
