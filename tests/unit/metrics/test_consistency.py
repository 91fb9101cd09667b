"""Left-right difference and warp residual on exact shifts."""

from __future__ import annotations

import numpy as np

from gs_stereo.metrics.consistency import left_right_difference, warp_residual


def test_difference_is_taken_at_the_match() -> None:
    left, right = np.full((2, 8), 2.0), np.arange(16.0).reshape(2, 8)
    expected = [np.nan, np.nan, 2, 1, 0, 1, 2, 3]  # |2 - right[x - 2]|
    np.testing.assert_array_equal(left_right_difference(left, right)[0], expected)


def test_nearest_right_pixel() -> None:
    right = np.array([[0.0, 10.0, 20.0, 30.0]])
    left = np.array([[0.4, 0.6, 0.4, np.nan]])  # columns -0.4 -> 0, 0.4 -> 0, 1.6 -> 2
    np.testing.assert_allclose(left_right_difference(left, right), [[0.4, 0.6, 19.6, np.nan]])


def test_unknown_stays_unknown() -> None:
    left, right = np.full((1, 4), 1.0), np.array([[1.0, np.nan, 1.0, 1.0]])
    np.testing.assert_array_equal(left_right_difference(left, right), [[np.nan, 0, np.nan, 0]])
    assert np.isnan(left_right_difference(np.full((1, 4), np.inf), right)).all()


def test_warp_residual_of_a_shift() -> None:
    wide = np.random.default_rng(0).integers(0, 200, (5, 23, 3), dtype=np.uint8)
    left, right = wide[:, :20], wide[:, 3:]
    residual = warp_residual(left, right, np.full((5, 20), 3.0))
    assert np.isnan(residual[:, :3]).all()
    assert np.abs(residual[:, 3:]).max() == 0
    brighter = warp_residual(left + np.uint8(7), right, np.full((5, 20), 3.0))
    np.testing.assert_allclose(brighter[:, 3:], 7, rtol=1e-5)
