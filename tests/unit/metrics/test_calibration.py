"""Calibration and sparsification by cases whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gs_stereo.metrics.calibration import ReliabilityMetrics, SparsificationMetrics


def test_a_calibrated_confidence_has_almost_no_ece():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 200_000)
    metrics = ReliabilityMetrics()
    metrics.update(confidence, rng.uniform(0, 1, confidence.shape) < confidence)
    reliability = metrics.compute()
    assert reliability.ece_all_pixels < 0.01
    np.testing.assert_allclose(reliability.accuracy, reliability.confidence, atol=0.02)


def test_ece_of_an_overconfident_constant():
    metrics = ReliabilityMetrics(bins=10)
    metrics.update(np.full(8, 0.95), np.array([True] * 2 + [False] * 6))
    reliability = metrics.compute()
    assert reliability.ece_all_pixels == pytest.approx(0.70)
    assert reliability.pixels[9] == 8
    assert np.isnan(reliability.accuracy[:9]).all()


def test_ece_is_the_weighted_gap_of_bins():
    metrics = ReliabilityMetrics(bins=2)
    metrics.update(np.array([0.2, 0.2, 0.2]), np.array([True, False, False]))
    metrics.update(np.array([1.0]), np.array([False]))
    assert metrics.compute().ece_all_pixels == pytest.approx(0.75 * (1 / 3 - 0.2) + 0.25 * 1.0)


def test_a_perfect_ranking_has_no_area():
    error = np.linspace(0.01, 5.0, 256)
    metrics = SparsificationMetrics()
    metrics.update(1 - np.arange(256) / 255, error)
    result = metrics.compute()
    assert result.error_px[0] == pytest.approx(error.mean())
    assert result.ause_px == pytest.approx(0.0, abs=1e-6)


def test_a_constant_confidence_keeps_the_mean_error():
    error = np.linspace(0.01, 5.0, 1000)
    metrics = SparsificationMetrics()
    metrics.update(np.full(1000, 0.5), error)
    result = metrics.compute()
    np.testing.assert_allclose(result.error_px, error.mean())
    assert result.ause_relative == pytest.approx(result.ause_px / error.mean())
    # The oracle leaves the smallest errors: for a uniform error its curve is a straight line to 0, so the area is half.
    assert result.ause_relative == pytest.approx(0.5, abs=0.02)


def test_a_reversed_ranking_is_worse_than_a_constant():
    error = np.linspace(0.01, 5.0, 256)
    reversed_, constant = SparsificationMetrics(), SparsificationMetrics()
    reversed_.update(np.arange(256) / 255, error)
    constant.update(np.full(256, 0.5), error)
    assert reversed_.compute().ause_px > 1.5 * constant.compute().ause_px


def test_the_curves_equal_direct_sorting():
    rng = np.random.default_rng(3)
    confidence = rng.integers(0, 256, 20_000) / 255
    error = rng.exponential(1.0, 20_000) * (1.2 - confidence)
    metrics = SparsificationMetrics()
    for part in np.array_split(np.arange(20_000), 7):
        metrics.update(confidence[part], error[part])
    result = metrics.compute()
    worst_first, trusted_last = np.sort(error)[::-1], error[np.argsort(confidence, kind="stable")]
    for removed, by_confidence, oracle in zip(result.removed, result.error_px, result.oracle_px, strict=True):
        start = round(removed * 20_000)
        assert oracle == pytest.approx(worst_first[start:].mean(), rel=2e-3)
        assert by_confidence == pytest.approx(trusted_last[start:].mean(), rel=0.1)


def test_pixels_without_an_answer_are_left_out():
    metrics = SparsificationMetrics()
    metrics.update(np.array([0.5, np.nan, 0.5]), np.array([1.0, 9.0, np.nan]))
    assert metrics.compute().error_px[0] == pytest.approx(1.0)


def test_nothing_gives_nan():
    assert math.isnan(ReliabilityMetrics().compute().ece_all_pixels)
    assert math.isnan(SparsificationMetrics().compute().ause_px)


def test_a_perfect_prediction_has_no_relative_area():
    metrics = SparsificationMetrics()
    metrics.update(np.array([0.2, 0.9]), np.zeros(2))
    assert metrics.compute().ause_relative == 0.0
