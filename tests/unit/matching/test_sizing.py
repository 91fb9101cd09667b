"""Padding, resampling and tiling: round trips, exact rescaling, and no mixture of two surfaces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gs_stereo.errors import InputError
from gs_stereo.imaging.resampling import resize_confidence, resize_disparity
from gs_stereo.matching.sizing import TileLayout, run_tiled
from gs_stereo.nets.padding import next_multiple, padding_to

SIDES = st.integers(1, 70)


def brightness(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A net whose answer does not depend on where a tile lies."""
    return left.astype(np.float32).mean(axis=-1)[None]


@given(SIDES, SIDES, st.integers(1, 33), st.sampled_from(["split", "right_bottom"]))
def test_cropping_undoes_padding(height: int, width: int, multiple: int, side: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    target = next_multiple((height, width), multiple)
    assert all(
        0 <= big - small < multiple and big % multiple == 0 for big, small in zip(target, image.shape, strict=False)
    )
    padding = padding_to((height, width), target, side)
    padded = padding.pad(image)
    assert padded.shape[:2] == target
    np.testing.assert_array_equal(padding.crop(padded[None, ..., 0]), image[None, ..., 0])
    assert set(np.unique(padded)) == set(np.unique(image)), "borders are repeated, nothing is invented"


@given(st.integers(20, 90), st.integers(30, 120), st.integers(0, 6), st.integers(0, 8))
def test_tiles_put_a_local_answer_together_exactly(height: int, width: int, overlap: int, margin: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    layout = TileLayout(size=(20, 30), overlap_px=overlap, margin_px=margin)
    answer = run_tiled(brightness, image, image, layout)
    np.testing.assert_allclose(answer, brightness(image, image), atol=1e-4)


def test_tiles_blend_and_skip_what_is_unknown() -> None:
    calls: list[int] = []

    def net(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        calls.append(1)
        answer = np.full((1, *left.shape[:2]), float(len(calls)), np.float32)
        answer[:, :5] = np.nan
        return answer

    image = np.zeros((20, 50, 3), np.uint8)
    answer = run_tiled(net, image, image, TileLayout(size=(20, 30), overlap_px=9, margin_px=1))[0]
    assert len(calls) == 2
    assert np.isnan(answer[:5]).all()
    row = answer[10]
    assert row[0] == 1.0
    assert row[-1] == 2.0
    assert (np.diff(row) >= 0).all()
    assert np.sum((row > 1.0) & (row < 2.0)) == 9


def test_tiles_that_leave_nothing_are_refused() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    with pytest.raises(InputError, match="too small"):
        run_tiled(brightness, image, image, TileLayout(size=(20, 30), overlap_px=5, margin_px=20))


@given(st.integers(8, 60), st.integers(8, 60), st.integers(8, 60), st.integers(8, 60))
def test_a_constant_disparity_scales_with_the_width_alone(h: int, w: int, h2: int, w2: int) -> None:
    resized = resize_disparity(np.full((h, w), 7.0, np.float32), (h2, w2))
    assert resized.shape == (h2, w2)
    np.testing.assert_allclose(resized, 7.0 * w2 / w, rtol=1e-6)


def test_a_slanted_surface_is_interpolated() -> None:
    plane = np.tile(0.3 * (np.arange(40) + 0.5), (20, 1)).astype(np.float32)
    resized = resize_disparity(plane, (40, 80))
    expected = 2 * 0.3 * (np.arange(80) + 0.5) / 2
    np.testing.assert_allclose(resized[:, 1:-1], np.tile(expected, (40, 1))[:, 1:-1], rtol=1e-5)


@pytest.mark.parametrize("size", [(33, 61), (15, 27), (20, 40)])
def test_a_depth_edge_stays_sharp_and_unknown_pixels_do_not_spread(size: tuple[int, int]) -> None:
    steps = np.full((20, 40), 4.0, np.float32)
    steps[:, 20:] = 16.0
    steps[5:10, 5:10] = np.nan
    values = resize_disparity(steps, size) * 40 / size[1]
    known = values[np.isfinite(values)]
    assert np.isclose(known, 4.0).sum() + np.isclose(known, 16.0).sum() == known.size
    share = np.isnan(values).mean()
    assert share == pytest.approx(25 / 800, rel=0.35)


def test_confidences_stay_in_their_range() -> None:
    confidence = np.random.default_rng(0).random((40, 60)).astype(np.float32)
    resized = resize_confidence(confidence, (80, 120))
    assert resized.shape == (80, 120)
    assert resized.min() >= confidence.min()
    assert resized.max() <= confidence.max()
