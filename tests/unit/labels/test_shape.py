"""The shape of a disparity map: planes are quiet, steps, spikes and holes are not."""

from __future__ import annotations

import numpy as np
import pytest

from gs_stereo.labels.shape import bend_px, near_step, off_median_px, scatter_px


def plane() -> np.ndarray:
    rows, columns = np.mgrid[0:30, 0:40]
    return 10 + 0.2 * columns - 0.1 * rows


def test_a_plane_is_quiet() -> None:
    inner = (slice(6, -6), slice(6, -6))
    for function in (scatter_px, bend_px, off_median_px):
        assert function(plane())[inner].max() < 1e-3, function.__name__
    assert near_step(plane()).max() == pytest.approx(1 / 41)


def test_nearness_falls_with_the_distance_to_a_step() -> None:
    disparity = np.full((20, 60), 5.0)
    disparity[:, 30:] += 4
    near = near_step(disparity)[10]
    assert near[29] == near[30] == 1
    assert near[20] == pytest.approx(1 / 10, rel=0.1)
    assert (np.diff(near[30:]) <= 0).all()


def test_a_hole_is_a_step() -> None:
    disparity = np.full((20, 20), 5.0)
    disparity[10, 10] = np.nan
    assert near_step(disparity)[10, 11] == 1
    assert np.isfinite(scatter_px(disparity)).all()


def test_a_spike_shows_in_all_and_noise_in_the_scatter() -> None:
    disparity = plane()
    disparity[15, 20] += 0.5
    assert bend_px(disparity)[15, 20] == pytest.approx(4, rel=0.05)
    assert off_median_px(disparity)[15, 20] == pytest.approx(0.5, abs=0.15)
    noise = np.random.default_rng(0).normal(0, 0.1, (200, 200))
    assert scatter_px(20 + noise).mean() == pytest.approx(0.1, rel=0.15)
