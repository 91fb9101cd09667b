"""The confidence above which a promise holds."""

import numpy as np
import pytest

from gs_stereo.audit.guarantee import LEVELS, LevelCounts, confidence_cut

EQUAL = np.zeros(LEVELS)
"""No labels of the capture: those of objects weigh alike."""


def counts_of(objects: int, wrong_share: dict[int, float], pixels: int = 1000, seed: int = 0) -> LevelCounts:
    """Objects whose labels have the given confidences, equally often, and are wrong in about that share of cases."""
    rng = np.random.default_rng(seed)
    kept, wrong = np.zeros((2, objects, LEVELS))
    for level, share in wrong_share.items():
        kept[:, level] = pixels
        wrong[:, level] = rng.binomial(pixels, np.minimum(share * rng.uniform(0.5, 1.5, objects), 1))
    return LevelCounts(pixels=kept.sum(axis=1) * 1.25, kept=kept, wrong=wrong)


def test_labels_that_are_wrong_too_often_are_cut_off() -> None:
    counts = counts_of(40, {250: 0.001, 220: 0.004, 200: 0.2})
    cut = confidence_cut(counts, np.ones(40), EQUAL, 0.01)
    assert cut.min_confidence is not None
    assert 200 / 255 < cut.min_confidence <= 220 / 255
    assert cut.coverage == pytest.approx(2 / 3 / 1.25)


def test_where_every_label_may_be_kept_all_are() -> None:
    cut = confidence_cut(counts_of(30, {250: 0.001, 200: 0.002}), np.ones(30), EQUAL, 0.01)
    assert cut.min_confidence == 0.0
    assert cut.coverage == pytest.approx(0.8)


def test_what_cannot_be_promised_is_not() -> None:
    assert confidence_cut(counts_of(40, {250: 0.05}), np.ones(40), EQUAL, 0.01).min_confidence is None
    too_few = counts_of(5, {250: 0.0})
    assert confidence_cut(too_few, np.ones(5), EQUAL, 0.01).min_confidence is None
    one_bad = counts_of(12, {250: 0.0})
    one_bad.wrong[3, 250] = 500
    assert confidence_cut(one_bad, np.ones(12), EQUAL, 0.01).min_confidence is None


def test_objects_without_weight_do_not_count() -> None:
    counts = counts_of(40, {250: 0.001})
    counts.wrong[:10, 250] = 900
    weights = np.concatenate([np.zeros(10), np.ones(30)])
    assert confidence_cut(counts, weights, EQUAL, 0.01).min_confidence is not None


def test_a_promise_is_broken_in_one_of_twenty_draws_at_most() -> None:
    """Objects that differ: the labels of confidence 200 are wrong in 1.2 % of the cases, those of 240 in 0.4 %."""
    broken = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        own = rng.gamma(1.0, 1.0, 25)  # how hard each object is
        kept, wrong = np.zeros((2, 25, LEVELS))
        for level, share in ((240, 0.004), (200, 0.020)):
            kept[:, level] = 1000
            wrong[:, level] = 1000 * np.minimum(share * own, 1)
        counts = LevelCounts(pixels=kept.sum(axis=1), kept=kept, wrong=wrong)
        cut = confidence_cut(counts, np.ones(25), EQUAL, 0.01)
        broken += cut.min_confidence is not None and cut.min_confidence <= 200 / 255  # 1.2 % of all are wrong
    assert broken <= 0.06 * 400


def test_a_promise_is_about_the_capture_s_own_labels() -> None:
    """On objects half of the labels are of a confidence that the capture hardly has, and wrong in 4 % of the cases."""
    counts = counts_of(40, {250: 0.001, 200: 0.04})
    own = np.zeros(LEVELS)
    own[250], own[200] = 95, 5
    alike, as_own = (confidence_cut(counts, np.ones(40), labels, 0.01) for labels in (EQUAL, own))
    assert alike.min_confidence is not None
    assert alike.min_confidence > 200 / 255
    assert as_own.min_confidence == 0.0
    assert as_own.coverage == pytest.approx(0.8)
