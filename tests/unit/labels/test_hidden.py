"""Occlusion by warping, on boards whose hidden pixels are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from board_scenes import HEIGHT, WIDTH, Board, make_pair

from gs_stereo.labels.hidden import hidden_by_warping


@pytest.mark.parametrize("near", [Board(disparity_px=12, x_from=60, x_to=100), Board(disparity_px=7, x_from=40.4)])
def test_the_band_beside_a_board_is_hidden(near: Board) -> None:
    _, disparity, hidden = make_pair((Board(disparity_px=4), near))
    found = hidden_by_warping(disparity, 0.25)
    assert hidden.any()
    wrong = (found != hidden) & (np.arange(WIDTH) + 0.5 - disparity >= 0)
    assert wrong.sum(axis=1).max() <= 1  # the place of the edge inside its pixel is not known


def test_a_stretched_slope_has_no_cracks_and_hides_what_is_behind() -> None:
    """A near slope is seen wider by the right eye: its pixels are apart there, and nothing may shine through."""
    x = np.arange(WIDTH) + 0.5
    row = np.where(x > 60, 20 - 0.4 * (x - 60), 2.0)
    row = np.where(x > 90, 2.0, row)
    found = hidden_by_warping(np.tile(row, (HEIGHT, 1)), 0.25)
    width_px = 20 - 2
    assert abs(int(found[0].sum()) - width_px) <= 1
    assert found[0, 60 - width_px + 1 : 59].all()


def test_a_slope_does_not_hide_itself() -> None:
    for slope in (-0.3, 0.3):
        disparity = np.tile(30 + slope * np.arange(WIDTH) * 0.3, (HEIGHT, 1))
        assert not hidden_by_warping(disparity, 0.25).any()


def test_unknown_and_out_of_frame_pixels_are_not_hidden() -> None:
    disparity = np.full((HEIGHT, WIDTH), np.nan)
    disparity[:, :5] = 50.0
    assert not hidden_by_warping(disparity, 0.25).any()
