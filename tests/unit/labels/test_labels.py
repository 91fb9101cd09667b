"""Splat and matched labels on boards: flags, NaN, confidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import Board, board_depth_maps, board_pair, shifted_pair

from gs_stereo.errors import InputError
from gs_stereo.labels.confidence import probability_within_one_px, quantised
from gs_stereo.labels.config import LabelConfig, LabelSettings
from gs_stereo.labels.matcher import matched_label
from gs_stereo.labels.observations import MatchedPair
from gs_stereo.labels.rendered import has_any
from gs_stereo.labels.sources import label_pair
from gs_stereo.labels.splat import SplatSource, splat_label
from gs_stereo.types import DisparityPrediction, LabelFlag

CONFIG = LabelConfig()
BOARDS = (Board(disparity_px=4.0), Board(disparity_px=20.0, x_from=70, x_to=100))


def is_set(label, flag: LabelFlag) -> np.ndarray:
    return (label.flags & flag) != 0


def prediction(disparity: np.ndarray, confidence: np.ndarray | None = None) -> DisparityPrediction:
    return DisparityPrediction(disparity=disparity.astype(np.float32), confidence=confidence)


def test_splat_label_is_exact_and_keeps_hidden_pixels() -> None:
    pair, disparity, hidden = board_pair(BOARDS)
    label = splat_label(pair, CONFIG)
    assert (label.disparity.dtype, label.confidence.dtype, label.flags.dtype) == (np.float32, np.uint8, np.uint16)
    np.testing.assert_allclose(label.disparity, disparity, rtol=1e-6)
    np.testing.assert_array_equal(is_set(label, LabelFlag.OCCLUDED), hidden)
    assert is_set(label, LabelFlag.OUT_OF_FRAME)[:, :4].all()
    assert is_set(label, LabelFlag.FROM_SPLAT).all()
    checked = ~hidden & (np.arange(160) >= 4)
    assert label.confidence[checked].min() > label.confidence[~checked].max()
    assert label.confidence[checked].min() > 250


def test_splat_label_drops_thin_and_ambiguous_pixels() -> None:
    pair, disparity, _ = board_pair(BOARDS)
    depth = pair.left_depth
    alpha, expected, median = depth.alpha.copy(), depth.expected.copy(), depth.median.copy()
    alpha[0], expected[1], median[2], alpha[3] = 0.79, 1.031 * depth.median[1], np.nan, np.nan
    expected[4] = 0.971 * depth.median[4]
    pair = replace(pair, left_depth=replace(depth, alpha=alpha, expected=expected, median=median))
    label = splat_label(pair, CONFIG)
    assert np.isnan(label.disparity[:4]).all()
    assert (label.confidence[:4] == 0).all()
    assert np.isfinite(label.disparity[4:]).all()
    np.testing.assert_array_equal(is_set(label, LabelFlag.LOW_ALPHA)[:, 120], [True, False, False, True] + [False] * 36)
    np.testing.assert_array_equal(is_set(label, LabelFlag.AMBIGUOUS_DEPTH)[:, 120], [False, True] + [False] * 38)
    assert not is_set(label, LabelFlag.FROM_SPLAT)[:4].any()
    assert not is_set(label, LabelFlag.OCCLUDED)[2].any()
    assert label.confidence[4, 80] < label.confidence[5, 80]
    kept = splat_label(pair, LabelConfig(splat_rejects=()))
    np.testing.assert_allclose(kept.disparity[0], disparity[0], rtol=1e-6)
    assert np.isnan(kept.disparity[2]).all()


def test_matched_label_of_a_perfect_matcher() -> None:
    pair, disparity, hidden = board_pair(BOARDS)
    right = pair.rig.focal_times_baseline / pair.right_depth.median
    label = matched_label(pair, MatchedPair(left=prediction(disparity), right=prediction(right)), CONFIG)
    lost = hidden | (np.arange(160) < 4)
    np.testing.assert_array_equal(np.isnan(label.disparity), lost)
    np.testing.assert_allclose(label.disparity[~lost], disparity[~lost], rtol=1e-6)
    assert (label.confidence[lost] == 0).all()
    assert label.confidence[~lost].min() > 250
    assert not is_set(label, LabelFlag.FROM_SPLAT).any()
    assert not has_any(label.flags[~lost], ("left_right_inconsistent", "sources_disagree")).any()
    np.testing.assert_array_equal(is_set(label, LabelFlag.OCCLUDED), hidden)
    assert is_set(label, LabelFlag.LEFT_RIGHT_INCONSISTENT)[hidden].all()


def test_matched_label_of_a_bad_matcher() -> None:
    pair, disparity, _ = board_pair((Board(disparity_px=4.0),))
    answer, right = disparity.copy(), disparity.copy()
    answer[0] += 2.5  # wrong, and the other direction does not confirm it
    answer[1], right[1] = 6.5, 6.5  # both directions agree, the splat does not
    answer[2] = np.nan
    answer[3] = -1.0
    right[4] = np.nan
    answer[5] += 0.8
    label = matched_label(pair, MatchedPair(left=prediction(answer), right=prediction(right)), CONFIG)
    column = slice(20, 150)
    for row, inconsistent, disagree, labelled in (
        (0, True, True, False),
        (1, False, True, True),
        (2, False, False, False),
        (3, False, False, False),
        (4, True, False, False),
        (5, False, False, True),
        (6, False, False, True),
    ):
        assert (is_set(label, LabelFlag.LEFT_RIGHT_INCONSISTENT)[row, column] == inconsistent).all(), row
        assert (is_set(label, LabelFlag.SOURCES_DISAGREE)[row, column] == disagree).all(), row
        assert (np.isfinite(label.disparity[row, column]) == labelled).all(), row
        assert ((label.confidence[row, column] > 0) == labelled).all(), row
    assert label.confidence[6, 50] > label.confidence[5, 50] > label.confidence[1, 50]
    alone = matched_label(pair, MatchedPair(left=prediction(answer)), CONFIG)
    assert not is_set(alone, LabelFlag.LEFT_RIGHT_INCONSISTENT).any()
    assert 0 < alone.confidence[6, 50] < label.confidence[6, 50]


def test_matcher_stands_in_where_the_splat_has_no_depth() -> None:
    """Ambiguous or missing left depth: the right depth still tells what is hidden."""
    pair, disparity, hidden = board_pair(BOARDS)
    median = np.full_like(pair.left_depth.median, np.nan)
    pair = replace(pair, left_depth=replace(pair.left_depth, median=median))
    label = matched_label(pair, MatchedPair(left=prediction(disparity)), CONFIG)
    np.testing.assert_array_equal(is_set(label, LabelFlag.OCCLUDED), hidden)
    np.testing.assert_array_equal(np.isnan(label.disparity), hidden | (np.arange(160) < 4))


def test_matcher_confidence_scales_the_label() -> None:
    pair, disparity, _ = board_pair((Board(disparity_px=4.0),))
    own = np.full(disparity.shape, 0.5)
    own[:, 100:] = np.nan
    half = matched_label(pair, MatchedPair(left=prediction(disparity, own)), CONFIG)
    full = matched_label(pair, MatchedPair(left=prediction(disparity)), CONFIG)
    np.testing.assert_allclose(half.confidence[:, 4:100], full.confidence[:, 4:100] / 2, atol=1)
    assert (half.confidence[:, 100:] == 0).all()


def test_sizes_must_fit() -> None:
    pair, disparity, _ = board_pair(BOARDS)
    with pytest.raises(InputError, match="keep the size"):
        matched_label(pair, MatchedPair(left=prediction(disparity[:, 1:])), CONFIG)
    with pytest.raises(InputError, match="render it again"):
        splat_label(replace(pair, right_depth=board_depth_maps(np.ones((3, 3)))), CONFIG)


def test_probability() -> None:
    assert probability_within_one_px(np.array([[0.0]]))[0, 0] == 1
    scales = np.array([[0.1, 0.5, 1.0, 5.0]])
    alone = probability_within_one_px(scales)
    assert (np.diff(alone) < 0).all()
    assert (probability_within_one_px(scales, 0.4) < alone).all()
    errors = np.random.default_rng(0).laplace(scale=1.5 / np.sqrt(2), size=200_000)
    assert probability_within_one_px(np.array([[1.5]]))[0, 0] == pytest.approx((np.abs(errors) < 1).mean(), abs=0.005)
    stored = quantised(np.array([[0.5, 1.2, np.nan, 0.9]]), np.array([[True, True, True, False]]))
    assert stored.tolist() == [[128, 255, 0, 0]]


def test_provenance_names_the_settings() -> None:
    provenance = SplatSource(LabelSettings(rules=LabelConfig(min_alpha=0.9))).provenance()
    assert (provenance.name, provenance.settings["min_alpha"]) == ("splat", 0.9)


@pytest.mark.parametrize("expert", ["splat", "fused", "sgbm"])
def test_no_source_labels_what_photos_cut_out(expert: str) -> None:
    pair = board_pair((Board(disparity_px=10.0),))[0]
    left, right = shifted_pair(pair.left.shape[:2], 10, seed=1)
    pair = replace(pair, left=left, right=right)
    cut_out = np.zeros(pair.left.shape[:2], bool)
    cut_out[:, 60:100] = True
    settings = LabelSettings(expert=expert)
    whole, label = (label_pair(each, settings=settings) for each in (pair, replace(pair, left_cut_out=cut_out)))
    assert np.isfinite(whole.disparity[cut_out]).mean() > 0.5
    assert np.isnan(label.disparity[cut_out]).all()
    assert (label.confidence[cut_out] == 0).all()
    assert (label.flags[cut_out] == LabelFlag.CUT_OUT).all()
    np.testing.assert_array_equal(label.disparity[~cut_out], whole.disparity[~cut_out])
