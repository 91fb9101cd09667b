"""The geometric judge: what it says of views whose faults are known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from gs_stereo.metrics.warp import moved_rows
from gs_stereo.synthesis.judges.geometric import TrueView, judge, matched_parallax, slope
from gs_stereo.synthesis.warp import filled_from_background, splatted

HEIGHT, WIDTH = 60, 120


def texture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.clip(128 + 300 * smooth, 0, 255).astype(np.uint8)


def disparity(factor: float = 1.0) -> np.ndarray:
    field = np.full((HEIGHT, WIDTH), 3.0)
    field[:, 40:80] = 7.0
    return field * factor


def seen(field: np.ndarray) -> np.ndarray:
    return filled_from_background(splatted(texture(), field))


@pytest.fixture(params=[1.0, -1.0], ids=["right", "left"])
def truth(request: pytest.FixtureRequest) -> TrueView:
    field = disparity(request.param)
    return TrueView.of(texture(), seen(field), field)


def test_the_true_view_is_perfect(truth: TrueView) -> None:
    scores = judge(truth, truth.target)
    assert scores.judged > 0.7
    assert scores.made_median_px == scores.true_median_px or abs(scores.made_median_px - scores.true_median_px) < 0.1
    assert scores.sign_right == 1.0
    assert scores.within_1px == 1.0
    assert scores.relief == pytest.approx(1, abs=0.05)
    assert scores.rows_px == pytest.approx(0, abs=0.1)
    assert scores.psnr == math.inf
    assert scores.ssim == pytest.approx(1)


def test_a_copy_has_no_parallax(truth: TrueView) -> None:
    scores = judge(truth, truth.source)
    assert scores.made_median_px == pytest.approx(0, abs=0.1)
    assert scores.sign_right < 0.02
    assert scores.within_1px < 0.02
    assert scores.psnr < 20


def test_the_wrong_way_half_the_way_and_all_alike_are_told_apart(truth: TrueView) -> None:
    wrong = judge(truth, seen(-truth.disparity))
    assert wrong.sign_right < 0.05
    assert wrong.made_median_px == pytest.approx(-wrong.true_median_px, abs=0.3)
    half = judge(truth, seen(0.5 * truth.disparity))
    assert half.sign_right > 0.95
    assert half.made_median_px == pytest.approx(0.5 * half.true_median_px, abs=0.3)
    assert half.relief == pytest.approx(0.5, abs=0.1)
    alike = judge(truth, seen(np.full_like(truth.disparity, np.median(truth.disparity))))
    assert alike.sign_right > 0.95
    assert alike.relief == pytest.approx(0, abs=0.1)


def test_rows_that_are_off_are_measured(truth: TrueView) -> None:
    assert judge(truth, moved_rows(truth.target, 1.0)).rows_px == pytest.approx(1, abs=0.3)


def test_where_the_matcher_fails_on_the_true_view_nobody_is_judged() -> None:
    flat = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    scores = judge(TrueView.of(flat, flat, disparity()), flat)
    assert scores.judged < 0.01
    assert math.isnan(scores.sign_right)
    assert scores.psnr == math.inf


def test_without_any_truth_only_the_pixels_are_compared() -> None:
    unknown = TrueView.of(texture(), texture(1), np.full((HEIGHT, WIDTH), np.nan))
    scores = judge(unknown, texture(1))
    assert scores.judged == 0
    assert math.isnan(scores.within_1px)
    assert scores.psnr == math.inf


def test_matching_finds_fractions_of_a_pixel() -> None:
    found = matched_parallax(texture(), seen(np.full((HEIGHT, WIDTH), 2.25)), 6)
    assert np.median(found[:, 10:-10]) == pytest.approx(2.25, abs=0.15)


def test_slope_is_through_the_origin() -> None:
    assert slope(np.array([1.0, -2.0, np.nan]), np.array([0.5, -1.0, 3.0])) == pytest.approx(0.5)
    assert math.isnan(slope(np.zeros(3), np.ones(3)))
