"""Single measures on images whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builders import camera_at, plain_sample

from gs_stereo.metrics.warp import FACTORS, SHIFTS_PX, ComparedPair, minimum_of, moved_rows, warp_curves
from gs_stereo.quality.agreement import compare_with_matches
from gs_stereo.quality.features import PairMatches, match_features
from gs_stereo.quality.neighbours import SmallView, conflict_shares, repeats

HEIGHT, WIDTH = 120, 160


def texture(seed: int = 0, fineness_px: float = 1.5) -> np.ndarray:
    """Smooth random colours."""
    noise = np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH + 40, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), fineness_px)
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def test_matches_give_the_shift_of_an_image() -> None:
    wide = texture()
    left, right = wide[:, :WIDTH], np.roll(wide, 3, axis=0)[:, 11 : WIDTH + 11]
    matches = match_features(left, right)
    assert len(matches) > 30
    assert np.median(matches.disparity_px) == pytest.approx(11, abs=0.1)
    assert np.median(matches.row_offset_px) == pytest.approx(3, abs=0.1)


def test_moving_rows_back_undoes_a_shift() -> None:
    image = texture()
    np.testing.assert_array_equal(moved_rows(np.roll(image, 2, axis=0), -2.0)[4:-4], image[4:-4])


@pytest.mark.parametrize(("factor", "shift"), [(1.0, 0.0), (1.25, 0.0), (1.0, 1.5)])
def test_agreement_tells_a_factor_from_a_shift(factor: float, shift: float) -> None:
    rng = np.random.default_rng(1)
    true = np.repeat(np.linspace(4, 20, HEIGHT)[:, None], WIDTH, axis=1)
    left = rng.uniform([30, 5], [WIDTH - 5, HEIGHT - 5], (200, 2))
    seen = np.interp(left[:, 1] - 0.5, np.arange(HEIGHT), true[:, 0])
    seen[:20] += 15  # wrong matches
    matches = PairMatches(left_xy=left, right_xy=left - np.stack([seen, np.zeros(200)], axis=1))
    sample = plain_sample(true * factor + shift)
    found = compare_with_matches(sample, matches, np.ones((HEIGHT, WIDTH), bool), 20)
    if shift:
        assert found.shift_px == pytest.approx(shift, abs=0.05)
        assert found.residual_after_shift_px < found.residual_after_factor_px
    else:
        assert found.factor == pytest.approx(factor, rel=0.01)
        assert found.residual_after_factor_px <= found.residual_after_shift_px + 1e-3


def test_the_warp_curve_is_lowest_at_the_true_disparity() -> None:
    wide = texture()
    left, right = wide[:, :WIDTH], wide[:, 20 : WIDTH + 20]
    label = np.full((HEIGHT, WIDTH), 22.0, np.float32)  # 1.1 times too large
    everywhere = np.ones((HEIGHT, WIDTH), bool)
    curves = warp_curves(ComparedPair(left=left, right=right, disparity=label, comparable=everywhere))
    assert curves is not None
    assert 1 / minimum_of(FACTORS, curves.by_factor) == pytest.approx(1.1, abs=0.01)
    assert minimum_of(SHIFTS_PX, curves.by_shift) == pytest.approx(-2.0, abs=0.1)
    assert curves.positive < curves.negative


def test_too_few_pixels_are_no_warp_curve() -> None:
    image = texture()[:, :WIDTH]
    nothing = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    pair = ComparedPair(left=image, right=image, disparity=nothing, comparable=np.zeros((HEIGHT, WIDTH), bool))
    assert warp_curves(pair) is None


def test_the_minimum_of_a_parabola_lies_between_the_samples() -> None:
    assert minimum_of(FACTORS, (FACTORS - 1.0034) ** 2) == pytest.approx(1.0034, abs=1e-6)
    assert np.isnan(minimum_of(FACTORS, np.full(len(FACTORS), np.nan)))
    assert np.isnan(minimum_of(FACTORS, np.full(len(FACTORS), 3.0)))


def small_view(name: str, x: float, depth: float = 2.0, seed: int = 0, baseline: float = 0.1) -> SmallView:
    return SmallView(
        view_id=name,
        camera=camera_at(name, x, size=(80, 60), focal_px=80.0),
        baseline=baseline,
        depth=np.full((60, 80), depth, np.float32),
        stride=1,
        thumbnail=np.random.default_rng(seed).uniform(0, 255, (24, 32)).astype(np.float32),
    )


def test_views_of_one_wall_agree_and_a_floating_one_does_not() -> None:
    assert conflict_shares([small_view("a", 0.0), small_view("b", 0.2)]) == pytest.approx([0, 0])
    near, far = conflict_shares([small_view("a", 0.0, depth=1.5), small_view("b", 0.2)])
    assert near == pytest.approx(1.0)
    assert np.isnan(far)  # all of its points lie behind what the other sees


def test_repeats_are_the_same_rig_or_the_same_picture() -> None:
    views = [
        small_view("a", 0.0, seed=1),
        small_view("a", 0.0, seed=1, baseline=0.3),  # another baseline of the same view
        small_view("b", 0.0, seed=2),  # the same place
        small_view("c", 0.5, seed=1),  # the same picture
        small_view("d", 1.0, seed=3),
    ]
    assert repeats(views).tolist() == [False, False, True, True, False]
