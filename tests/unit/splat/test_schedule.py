"""When things happen in a fit."""

from __future__ import annotations

import itertools

import pytest

from gs_stereo.splat import schedule
from gs_stereo.splat.config import FitConfig, LearningRates, ResolutionConfig


@pytest.mark.parametrize("iterations", [1, 7, 500, 30_000])
def test_means_rate_runs_from_start_to_end_log_linearly(iterations: int) -> None:
    config = FitConfig(iterations=iterations, rates=LearningRates(means=1e-2, means_final=1e-4))
    assert schedule.means_rate(config, 0) == pytest.approx(1e-2)
    if iterations > 1:
        assert schedule.means_rate(config, iterations - 1) == pytest.approx(1e-4)
    if iterations % 2:
        assert iterations == 1 or schedule.means_rate(config, iterations // 2) == pytest.approx(1e-3)


@pytest.mark.parametrize("iterations", [500, 30_000])
def test_schedules_scale_with_the_iterations(iterations: int) -> None:
    config = FitConfig(iterations=iterations, sh_degree=3, sh_share=0.1)
    assert [schedule.sh_degree(config, round(share * iterations)) for share in (0, 0.1, 0.2, 0.3, 0.9)] == [
        0,
        1,
        2,
        3,
        3,
    ]
    resolution = ResolutionConfig(coarse_levels=2, coarse_share=0.4)
    levels = [
        schedule.coarse_level(resolution, iterations, round(share * iterations)) for share in (0, 0.19, 0.21, 0.4)
    ]
    assert levels == [2, 2, 1, 0]


def test_without_coarse_levels_every_iteration_is_fine() -> None:
    for resolution in (ResolutionConfig(coarse_levels=0), ResolutionConfig(coarse_share=0.0)):
        assert {schedule.coarse_level(resolution, 100, iteration) for iteration in range(100)} == {0}


def test_rounds_are_even_numbered_and_inside_their_window() -> None:
    due = {i: schedule.round_due(i, 1000, 0.1, 0.5, 20) for i in range(1000)}
    rounds = {i: number for i, number in due.items() if number is not None}
    assert list(rounds) == list(range(99, 500, 20))
    assert list(rounds.values()) == list(range(21))


def test_rounds_are_at_least_ten_iterations_apart() -> None:
    rounds = [i for i in range(100) if schedule.round_due(i, 100, 0.0, 1.0, 1000) is not None]
    assert [b - a for a, b in itertools.pairwise(rounds)] == [10] * (len(rounds) - 1)


def test_every_epoch_shows_every_view_once_in_its_own_order() -> None:
    epochs = [[schedule.view_at(5, epoch * 7 + i, 7) for i in range(7)] for epoch in range(6)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert [schedule.view_at(6, i, 7) for i in range(42)] != [view for epoch in epochs for view in epoch]
