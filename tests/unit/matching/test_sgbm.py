"""SGBM: exact shifts, borders, ranges, both sides, and real pairs when they are there."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gs_stereo.errors import ConfigError, InputError
from gs_stereo.io.disparity_files import read_pfm
from gs_stereo.matching.sgbm import SgbmMatcher
from gs_stereo.mvs.sgbm import searched_disparities
from gs_stereo.mvs.sgbm_config import SgbmConfig


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.2)


def shifted_pair(disparity: int, height: int = 60, width: int = 120) -> tuple[np.ndarray, np.ndarray]:
    wide = texture(height, width + disparity)
    return wide[:, :width].copy(), wide[:, disparity:].copy()


@pytest.mark.parametrize("paths", ["8", "5", "3"])
@pytest.mark.parametrize("disparity", [0, 1, 13, 31])
def test_constant_shift(disparity: int, paths: str) -> None:
    left, right = shifted_pair(disparity)
    answer = SgbmMatcher(SgbmConfig(paths=paths, max_disparity_px=32)).predict(left, right).disparity
    assert answer.shape == (60, 120)
    assert answer.dtype == np.float32
    known = np.isfinite(answer)
    error = np.abs(answer[known] - disparity)
    assert error.max() <= 1
    assert np.quantile(error, 0.99) < 0.3
    # The match of these columns is out of frame; the last may slip in by a sub-pixel.
    assert known[:, : max(disparity - 1, 0)].sum() <= 0.02 * known.size
    assert known[:, disparity + 4 : -4].mean() > 0.97  # right up to the border of what both eyes see


def test_step_between_two_planes() -> None:
    background, foreground = texture(80, 200, 1), texture(80, 60, 2)
    left, right = background[:, :160].copy(), background[:, 8:168].copy()
    left[:, 60:120], right[:, 36:96] = foreground, foreground
    answer = SgbmMatcher(SgbmConfig(max_disparity_px=32)).predict(left, right).disparity
    assert np.abs(np.nanmedian(answer[:, 66:114]) - 24) < 0.1
    assert np.abs(np.nanmedian(answer[:, 130:150]) - 8) < 0.1
    assert np.isfinite(answer[:, 46:58]).mean() < 0.2  # columns 44 to 59 are occluded
    unchecked = SgbmMatcher(SgbmConfig(left_right_px=None, max_disparity_px=32)).predict(left, right).disparity
    assert np.isfinite(unchecked).sum() > np.isfinite(answer).sum()


def test_both_sides_agree_with_flipping() -> None:
    left, right = shifted_pair(9)
    matcher = SgbmMatcher(SgbmConfig(max_disparity_px=20))
    _, other = matcher.predict_both(left, right)
    single = SgbmMatcher(SgbmConfig(left_right_px=None, max_disparity_px=20))
    flipped = single.predict(right[:, ::-1], left[:, ::-1]).disparity
    np.testing.assert_array_equal(flipped[:, ::-1], other.disparity)
    assert np.nanmedian(other.disparity) == pytest.approx(9, abs=0.1)
    assert np.isnan(other.disparity[:, -8:]).all()


@pytest.mark.parametrize("paths", ["8", "5", "3"])
def test_the_number_of_threads_does_not_matter(paths: str) -> None:
    left, right = texture(200, 300, 3), texture(200, 300, 4)
    left[40:, 60:], right[40:, 46:-14] = texture(160, 240, 5), texture(160, 240, 5)
    matcher, before = SgbmMatcher(SgbmConfig(paths=paths, max_disparity_px=32)), cv2.getNumThreads()
    try:
        answers = []
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            answers.append(matcher.predict(left, right).disparity)
    finally:
        cv2.setNumThreads(before)
    assert np.isfinite(answers[0]).mean() > 0.5
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])


def test_search_range() -> None:
    config = SgbmConfig()
    assert searched_disparities(640, config, 40) == 48
    assert searched_disparities(640, config, 62) == 64
    assert searched_disparities(640, config, 63) == 80
    assert searched_disparities(20, config, 500) == 32  # more than the width is never needed
    assert searched_disparities(640, config) == 176
    assert searched_disparities(640, SgbmConfig(max_disparity_px=100), 62) == 112
    for hint in (0.0, -3.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="not positive"):
            searched_disparities(640, config, hint)


def test_a_hint_is_taken_where_the_settings_leave_the_range_open() -> None:
    left, right = shifted_pair(20)
    wide, narrow = (SgbmMatcher(SgbmConfig(max_disparity_px=px)) for px in (64, 4))
    found = wide.predict(left, right).disparity
    np.testing.assert_array_equal(SgbmMatcher().predict(left, right, max_disparity_px=64).disparity, found)
    np.testing.assert_array_equal(wide.predict(left, right, max_disparity_px=4).disparity, found)
    assert np.nanmax(narrow.predict(left, right, max_disparity_px=64).disparity, initial=0) < 16


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 3), (7, 15)])
def test_tiny_images(size: tuple[int, int]) -> None:
    image = texture(*size)
    answer = SgbmMatcher(SgbmConfig(max_disparity_px=64)).predict(image, image).disparity
    assert answer.shape == size
    assert not (answer > size[1]).any()


def test_flat_images_have_no_disparity_that_is_sure() -> None:
    flat = np.full((40, 60, 3), 90, np.uint8)
    answer = SgbmMatcher(SgbmConfig(max_disparity_px=16)).predict(flat, flat).disparity
    assert not (answer > 1).any()


def test_bad_input() -> None:
    image = texture(20, 30)
    with pytest.raises(InputError, match="one size"):
        SgbmMatcher().predict(image, image[:, :-1])
    with pytest.raises(InputError, match="one size"):
        SgbmMatcher().predict(image[..., 0], image[..., 0])
    with pytest.raises(InputError, match="uint8"):
        SgbmMatcher().predict(image / 255, image / 255)
    with pytest.raises(ConfigError, match="odd"):
        SgbmMatcher(SgbmConfig(block_size=4))
    with pytest.raises(ConfigError, match="p2"):
        SgbmMatcher(SgbmConfig(p1=40))


def test_middlebury_pairs(shared_data: Path) -> None:
    """Bounds with some air above what was measured (venus .24 px, 98 %; teddy .6 px, 91 %)."""
    for name, least_coverage, most_epe_px in (("2001_venus", 0.96, 0.3), ("2003_teddy", 0.88, 0.75)):
        folder = shared_data / "stereo" / f"middlebury_{name}"
        truth = read_pfm(folder / "disp_left.pfm")
        left, right = (cv2.imread(str(folder / f"{side}.png"))[..., ::-1].copy() for side in ("left", "right"))
        answer = SgbmMatcher().predict(left, right, max_disparity_px=float(np.nanmax(truth))).disparity
        both = np.isfinite(truth) & np.isfinite(answer)
        visible = cv2.imread(str(folder / "nonocc_left.png"), 0)
        seen = np.isfinite(truth) if visible is None else np.isfinite(truth) & (visible > 128)
        assert np.isfinite(answer)[seen].mean() > least_coverage
        assert np.abs(answer - truth)[both].mean() < most_epe_px
