"""Occlusion and frame, by both depths and by warping one: exact on boards, measured on a rendered room."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import BOARD_SHAPE, Board, board_pair

from gs_stereo.geometry.occlusion import hidden_by_warping, not_contradicted, visibility

HEIGHT, WIDTH = BOARD_SHAPE

TOLERANCE_PX = 0.5


def scores(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Precision and recall."""
    hits = float((predicted & truth).sum())
    return hits / predicted.sum(), hits / truth.sum()


def test_two_boards_exactly() -> None:
    """Whole disparities: points land on right pixel centres, so the rule has no rounding and must be exact."""
    pair, disparity, hidden = board_pair((Board(disparity_px=4.0), Board(disparity_px=20.0, x_from=70, x_to=100)))
    right = pair.rig.focal_times_baseline / pair.right_depth.median
    seen = visibility(disparity, right, TOLERANCE_PX)
    np.testing.assert_array_equal(seen.occluded, hidden)
    assert hidden[0].nonzero()[0].tolist() == list(range(54, 70))  # 16 px = 20 - 4, left of the board
    np.testing.assert_array_equal(seen.out_of_frame, np.tile(np.arange(WIDTH) < 4, (40, 1)))
    assert (seen.right_difference_px[:, 54:70] == 16).all()
    assert (seen.right_difference_px[:, 100:] == 0).all()
    assert np.isnan(seen.right_difference_px[:, :4]).all()


@pytest.mark.parametrize(("disparity_px", "first_inside"), [(3.5, 3), (3.49, 3), (3.51, 4), (0.0, 0)])
def test_frame_border_is_at_zero(disparity_px: float, first_inside: int) -> None:
    flat = np.full((2, 9), disparity_px)
    seen = visibility(flat, flat, TOLERANCE_PX)
    assert (~seen.out_of_frame[0]).nonzero()[0][0] == first_inside


def test_random_boards() -> None:
    """Sub-pixel edges: only pixels within half a pixel of an edge may be wrong."""
    rng = np.random.default_rng(0)
    predicted, truth = [], []
    for _ in range(40):
        boards = [Board(disparity_px=rng.uniform(2, 5))]
        for x_from in rng.uniform(0, WIDTH, 4):
            disparity_px = rng.uniform(6, 25)
            boards.append(Board(disparity_px=disparity_px, x_from=x_from, x_to=x_from + rng.uniform(4, 40)))
        pair, disparity, hidden = board_pair(tuple(boards))
        right = pair.rig.focal_times_baseline / pair.right_depth.median
        predicted.append(visibility(disparity, right, TOLERANCE_PX).occluded)
        truth.append(hidden)
    precision, recall = scores(np.array(predicted), np.array(truth))
    assert precision > 0.97
    assert recall > 0.97


def test_slanted_surfaces_do_not_hide_themselves() -> None:
    """A strongly slanted plane, disparity a + b x: in the right image it is a + b x_left again."""
    for slope in (-0.4, 0.3, 0.6):
        x = np.tile(np.arange(200) + 0.5, (4, 1))
        left = 40 + slope * (x - 100)
        right = 40 + slope * ((x + 40 - slope * 100) / (1 - slope) - 100)
        assert not visibility(left, right, TOLERANCE_PX).occluded.any()


def test_unknown_depth_is_neither_hidden_nor_out() -> None:
    left, right = np.full((3, 20), 5.0), np.full((3, 20), 15.0)
    left[0], right[1] = np.nan, np.nan
    seen = visibility(left, right, TOLERANCE_PX)
    assert not seen.occluded[:2].any()
    assert not seen.out_of_frame[0].any()
    assert seen.occluded[2, 5:].all()


def test_a_fringe_that_the_left_view_sees_past_hides_nothing() -> None:
    """The right eye shows the board 3 px wider on its left: there the left view sees the wall."""
    pair, disparity, hidden = board_pair((Board(disparity_px=4.0), Board(disparity_px=20.0, x_from=70, x_to=100)))
    right = pair.rig.focal_times_baseline / pair.right_depth.median
    right[:, 47:50] = 20.0
    seen = visibility(disparity, right, TOLERANCE_PX)
    assert ((seen.occluded & ~hidden).sum(axis=1) == 3).all()
    kept = seen.occluded & not_contradicted(disparity, seen, TOLERANCE_PX)
    np.testing.assert_array_equal(kept & hidden, hidden)
    assert ((kept & ~hidden).sum(axis=1) == 1).all()  # within a pixel the left view is not held against the right


def test_what_the_left_view_cannot_see_is_not_contradicted() -> None:
    """A surface left of the left frame's reach, and one behind a nearer board, may hide points all the same."""
    left = np.full((2, 60), 5.0)
    left[:, 20:40] = 30.0
    right = np.full((2, 60), 5.0)
    right[0, 50:55] = 25.0  # it would be at 75 ... 80 in the left image: out of frame
    right[1, 6:12] = 15.0  # at 21 ... 27: behind the board
    seen = visibility(left, right, TOLERANCE_PX)
    assert seen.occluded[0, 55:60].all()
    assert seen.occluded[1, 11:17].all()
    assert not_contradicted(left, seen, TOLERANCE_PX)[seen.occluded].all()


def right_view(left: np.ndarray) -> np.ndarray:
    """Right disparity from left: z-buffer of the row's surfaces, linear between neighbours of one surface.

    At a depth edge each pixel reaches half a pixel, so the edges of this map are off by up to half a pixel.
    """
    height, width = left.shape
    following = np.concatenate([left[:, 1:], left[:, -1:]], axis=1)
    joined, best = np.abs(following - left) < 0.6, np.full((height, width), -np.inf)
    rows = np.broadcast_to(np.arange(height)[:, None], left.shape)
    for part in (np.arange(32) + 0.5) / 32:
        disparity = np.where(joined, left + part * (following - left), left if part < 0.5 else following)
        x_right = np.arange(width) + 0.5 + part - disparity
        column = np.floor(x_right).astype(int)
        centred = (np.abs(x_right - column - 0.5) < 0.05) & (column >= 0) & (column < width)
        np.maximum.at(best, (rows[centred], column[centred]), disparity[centred])
    return np.where(np.isfinite(best), best, np.nan)


def test_rendered_room(shared_data: Path) -> None:
    """Three of the test views at 0.1 m. The right depth is derived from the left, which costs some accuracy."""
    room = shared_data / "exact_gt" / "room_a"
    focal_px = 520.0
    assert json.loads((room / "poses.json").read_text())
    predicted, truth = [], []
    for number in (0, 3, 6):
        with np.load(room / "gt" / "test" / f"{number:03d}.npz") as exact:
            left, bits = focal_px * 0.1 / exact["z"].astype(np.float64), exact["occ_b100"]
        seen, outside = visibility(left, right_view(left), TOLERANCE_PX), (bits & 2) > 0
        np.testing.assert_array_equal(seen.out_of_frame, outside)
        predicted.append(seen.occluded)
        truth.append(((bits & 1) > 0) & ~outside)
    precision, recall = scores(np.array(predicted), np.array(truth))
    assert precision > 0.93
    assert recall > 0.91


@pytest.mark.parametrize("near", [Board(disparity_px=12, x_from=60, x_to=100), Board(disparity_px=7, x_from=40.4)])
def test_the_band_beside_a_board_is_hidden(near: Board) -> None:
    _, disparity, hidden = board_pair((Board(disparity_px=4), near))
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
