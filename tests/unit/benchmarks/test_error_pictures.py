"""Pictures of a pair: what the colours say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmark_folders import image, truth

from gs_stereo.benchmarks.pictures import pair_picture, write_picture
from gs_stereo.datasets.layouts.pair_files import LabelledPair
from gs_stereo.imaging.images import read_photo


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
