"""Depth edges moved to image edges, on boards and boxes whose silhouettes are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builders import BOARD_SHAPE, Board, nearest_board

from gs_stereo.geometry.occlusion import hidden_by_warping
from gs_stereo.labels import silhouettes
from gs_stereo.labels.silhouettes import sharpened

HEIGHT, WIDTH = BOARD_SHAPE

FAR_PX, NEAR_PX = 6.0, 18.0
NEAR_RGB, FAR_RGB = (200, 120, 60), (70, 90, 150)


def painted(near: np.ndarray, near_rgb: tuple[int, int, int] = NEAR_RGB) -> np.ndarray:
    """An image of a near and a far surface with a little texture."""
    noise = np.random.default_rng(0).integers(-6, 7, (*near.shape, 1))
    return (np.where(near[..., None], near_rgb, FAR_RGB) + noise).astype(np.uint8)


def box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    near = np.zeros((HEIGHT, WIDTH), bool)
    near[top:bottom, left:right] = True
    return near


def disparity_of(near: np.ndarray) -> np.ndarray:
    return np.where(near, NEAR_PX, FAR_PX)


def wavering(near: np.ndarray, reach_px: int = 2) -> np.ndarray:
    """The silhouette moved in and out by up to `reach_px` columns, by another amount every few rows."""
    steps = np.random.default_rng(1).integers(-reach_px, reach_px + 1, HEIGHT // 4)
    return np.stack([np.roll(row, steps[index // 4 % len(steps)]) for index, row in enumerate(near)])


def test_a_wavering_edge_returns_to_the_silhouette() -> None:
    near = box(8, 60, 40, 100)
    rough = disparity_of(wavering(near))
    wrong = rough != disparity_of(near)
    found = sharpened(rough, painted(near))
    assert wrong.sum() > 60
    assert (found != disparity_of(near)).sum() <= 0.05 * wrong.sum()


def test_hidden_pixels_of_a_box_are_exact_after_sharpening() -> None:
    """The band beside the box is as wide as the step of the disparity, 12 px, and begins at the silhouette."""
    near = box(8, 60, 40, 100)
    hidden = box(8, 48, 40, 60)
    rough = wavering(near)
    before = hidden_by_warping(disparity_of(rough), 0.25) != hidden
    after = hidden_by_warping(sharpened(disparity_of(rough), painted(near)), 0.25) != hidden
    assert before.sum() > 60
    assert after.sum() <= 0.1 * before.sum()


@pytest.mark.parametrize("seed", range(4))
def test_right_edges_stay(seed: int) -> None:
    """Boards at random places, the image's edges where the depth's are: nothing moves."""
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.choice(np.arange(1, 7), 3, replace=False)) * 20
    boards = [
        Board(disparity_px=rng.uniform(10, 25), x_from=x, x_to=x + rng.integers(8, 15)) for x in starts.astype(float)
    ]
    x = np.tile(np.arange(WIDTH) + 0.5, (HEIGHT, 1))
    disparity = nearest_board((Board(disparity_px=5.0), *boards), x, 0)
    image = painted(disparity > 6)
    np.testing.assert_array_equal(sharpened(disparity, image), disparity)


def test_nothing_changes_where_both_surfaces_look_alike() -> None:
    rough = disparity_of(wavering(box(8, 60, 40, 100)))
    flat = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    np.testing.assert_array_equal(sharpened(rough, flat), rough)


def test_slopes_without_edges_are_left_alone() -> None:
    """A floor whose disparity grows down the image; colours in patches that have nothing to do with depth."""
    disparity = np.tile(10 + 0.25 * np.arange(HEIGHT)[:, None], (1, WIDTH))
    image = painted(np.indices((HEIGHT, WIDTH)).sum(axis=0) // 8 % 2 == 0)
    np.testing.assert_array_equal(sharpened(disparity, image), disparity)


def test_a_thin_rod_is_not_rubbed_out() -> None:
    rod = box(0, 80, HEIGHT, 82)
    for rgb in (NEAR_RGB, FAR_RGB):
        np.testing.assert_array_equal(sharpened(disparity_of(rod), painted(rod, rgb)), disparity_of(rod))


def test_unknown_pixels_stay_unknown_and_the_rest_known() -> None:
    near = box(8, 60, 40, 100)
    rough = disparity_of(wavering(near))
    unknown = box(10, 40, 20, 58) | box(15, 95, 30, 104)
    rough[unknown] = np.nan
    kept = rough.copy()
    np.testing.assert_array_equal(np.isnan(sharpened(rough, painted(near))), unknown)
    np.testing.assert_array_equal(rough, kept)
    assert np.isnan(sharpened(np.full((HEIGHT, WIDTH), np.nan), painted(near))).all()


def test_only_ratios_count() -> None:
    """Inverse depth and the disparity at any baseline give the same edges."""
    near = box(8, 60, 40, 100)
    rough, image = disparity_of(wavering(near)), painted(near)
    np.testing.assert_allclose(sharpened(rough / 64, image) * 64, sharpened(rough, image), rtol=1e-6)


def test_the_second_round_asks_everybody_whose_answer_can_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blobs whose edges and colours have little to do with each other: much moves, in both rounds."""
    rng = np.random.default_rng(3)
    blobs, colours = (cv2.blur(rng.random((HEIGHT, WIDTH)), (9, 9)) > 0.5 for _ in range(2))
    rough, image = disparity_of(blobs), painted(colours)
    found = sharpened(rough, image)
    assert (found != rough).sum() > 100
    monkeypatch.setattr(silhouettes, "_REACH_PX", max(HEIGHT, WIDTH))
    np.testing.assert_array_equal(found, sharpened(rough, image))
    monkeypatch.setattr(silhouettes, "_REACH_PX", 0)
    assert (found != sharpened(rough, image)).any()
