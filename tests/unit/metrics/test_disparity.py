"""Disparity errors by hand-counted examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gs_stereo.metrics.disparity import DetectionMetrics, DisparityMetrics, edge_mask

NAN = np.nan


def test_scores_of_a_counted_example():
    truth = np.array([[10.0, 10.0, 100.0, 50.0, NAN]])
    predicted = np.array([[10.4, 11.5, 104.0, NAN, 7.0]])
    metrics = DisparityMetrics()
    metrics.update(predicted, truth)
    scores = metrics.compute()
    assert scores.pixels == 4
    assert scores.coverage == 0.75
    assert scores.epe_all_pixels == pytest.approx((0.4 + 1.5 + 4.0) / 3)
    assert scores.bad_all_pixels == {
        0.5: pytest.approx(2 / 3),
        1.0: pytest.approx(2 / 3),
        2.0: pytest.approx(1 / 3),
        3.0: pytest.approx(1 / 3),
    }
    # 4 px of 100 px is above 3 px but not above 5 %.
    assert scores.d1_all_pixels == 0.0


def test_uncovered_pixels_count_as_bad_when_asked():
    metrics = DisparityMetrics((1.0,), uncovered_counts_as_bad=True)
    metrics.update(np.array([[10.0, NAN, NAN, 20.0]]), np.array([[10.0, 5.0, 5.0, 30.0]]))
    scores = metrics.compute()
    assert scores.bad_all_pixels[1.0] == 0.75
    assert scores.d1_all_pixels == 0.75
    assert scores.epe_all_pixels == 5.0


def test_a_mask_limits_the_pixels():
    metrics = DisparityMetrics((1.0,))
    truth = np.full((2, 2), 8.0)
    metrics.update(truth + np.array([[0.0, 9.0], [9.0, 0.5]]), truth, np.eye(2, dtype=bool))
    assert metrics.compute().pixels == 2
    assert metrics.compute().epe_all_pixels == 0.25


def test_nothing_gives_nan_not_zero():
    scores = DisparityMetrics().compute()
    assert scores.pixels == 0
    assert all(math.isnan(value) for value in (scores.coverage, scores.epe_all_pixels, scores.d1_all_pixels))


def test_inputs_stay_as_they_were():
    truth, predicted = np.array([[1.0, NAN]]), np.array([[NAN, 2.0]])
    DisparityMetrics().update(predicted, truth)
    np.testing.assert_array_equal(truth, [[1.0, NAN]])
    np.testing.assert_array_equal(predicted, [[NAN, 2.0]])


def test_detection_counts_pool_over_images():
    metrics = DetectionMetrics()
    metrics.update(np.array([[True, True, False]]), np.array([[True, False, True]]))
    metrics.update(np.array([[True, True]]), np.array([[True, True]]), np.array([[True, False]]))
    scores = metrics.compute()
    assert (scores.true_pixels, scores.found_pixels) == (3, 3)
    assert scores.precision_all_pixels == scores.recall_all_pixels == scores.f1_all_pixels == pytest.approx(2 / 3)


def test_edges_lie_at_the_jump_and_within_the_radius():
    depth = np.full((5, 12), 2.0)
    depth[:, 6:] = 3.0
    np.testing.assert_array_equal(np.flatnonzero(edge_mask(depth, radius_px=0)[2]), [5, 6])
    np.testing.assert_array_equal(np.flatnonzero(edge_mask(depth, radius_px=2)[2]), [3, 4, 5, 6, 7, 8])


def test_a_slope_is_no_edge():
    depth = np.broadcast_to(2.0 * 1.01 ** np.arange(40), (4, 40))
    assert not edge_mask(depth).any()
    assert edge_mask(depth, relative_step=0.005).all()


def test_a_radius_larger_than_the_image_is_fine():
    depth = np.array([[1.0, 5.0], [1.0, 5.0]])
    assert edge_mask(depth, radius_px=50).all()
