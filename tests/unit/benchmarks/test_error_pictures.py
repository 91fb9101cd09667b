"""Pictures of a pair: what the colours say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmark_folders import image, truth

from gs_stereo.benchmarks.pictures import disparity_colours, error_colours, pair_picture, write_picture
from gs_stereo.datasets.layouts.pair_files import LabelledPair
from gs_stereo.imaging.images import read_photo


def test_errors_are_blue_below_three_pixels_and_warm_above() -> None:
    errors = np.array([[0.0, 2.9, 3.1, 100.0, np.nan, np.nan]])
    has_truth = np.array([[True, True, True, True, True, False]])
    red, _, blue = error_colours(errors, has_truth).astype(int)[0].T
    assert (blue[:2] > red[:2]).all()
    assert (red[2:4] > blue[2:4]).all()
    colours = error_colours(errors, has_truth)[0]
    assert tuple(colours[4]) == (255, 0, 255)
    assert colours[5].max() < 64


def test_unknown_disparity_is_dark_and_larger_is_warmer() -> None:
    colours = disparity_colours(np.array([[2.0, 30.0, np.nan]]), 32.0)[0].astype(int)
    assert colours[0][2] > colours[0][0]
    assert colours[1][0] > colours[1][2]
    assert colours[2].max() < 64


def test_the_picture_has_four_parts_and_a_bar(tmp_path: Path) -> None:
    pair = LabelledPair(left=image(1, (60, 320)), right=image(2, (60, 320)), disparity=np.full((60, 320), 4.0))
    predicted = np.full((60, 320), np.nan)
    picture = pair_picture(pair, predicted)
    assert picture.shape[1] == 640
    assert picture.shape[0] > 120
    np.testing.assert_array_equal(picture[:60, :320], pair.left)
    assert (picture[60:120, 320:] == (255, 0, 255)).all()
    write_picture(tmp_path / "x.png", pair, predicted)
    np.testing.assert_array_equal(read_photo(tmp_path / "x.png"), picture)


def test_a_pair_without_any_truth_can_be_shown() -> None:
    pair = LabelledPair(left=image(1), right=image(2), disparity=np.full((12, 20), np.nan))
    assert pair_picture(pair, truth()).shape[1] == 40
