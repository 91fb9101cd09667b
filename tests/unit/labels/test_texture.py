"""Texture of the left image: in windows, and among the pixels of the same surface."""

from __future__ import annotations

from inspect import unwrap

import numpy as np
import pytest

from gs_stereo.labels.texture import fine_texture, own_surface, texture


def grey(levels: np.ndarray) -> np.ndarray:
    return np.repeat(levels[..., None], 3, axis=2).astype(np.uint8)


def stripes() -> np.ndarray:
    levels = np.full((20, 20), 100)
    levels[::2] = 120
    return grey(levels)


def wall_with_rod() -> np.ndarray:
    """A blank wall with a dark rod in columns 20 and 21."""
    levels = np.full((40, 40), 200)
    levels[:, 20:22] = 60
    return grey(levels)


def slow_own_surface(levels: np.ndarray, row: int, column: int) -> tuple[float, float]:
    """Share and deviation at one pixel, by its definition."""
    padded = np.pad(levels.astype(float), 5, mode="edge")
    around = padded[row : row + 11 : 2, column : column + 11 : 2].ravel()
    alike = around[np.abs(around - levels[row, column]) < 30]
    return len(alike) / 36, float(alike.std()) if len(alike) else 0.0


def test_texture_is_the_deviation_of_gray() -> None:
    blank = grey(np.full((20, 20), 100))
    for function in (texture, fine_texture):
        assert function(blank).max() < 1e-3
        assert function(stripes())[10, 10] == pytest.approx(10, rel=0.1)


def test_a_wall_beside_a_rod_is_blank_among_its_own() -> None:
    image = wall_with_rod()
    assert texture(image)[20, 18] > 20
    assert fine_texture(image)[20, 17] < 1e-3
    surface = own_surface(image)
    assert surface.texture.max() < 1e-3
    assert surface.share[20, 5] == 1.0
    assert 0.5 < surface.share[20, 18] < 1.0
    assert surface.share[20, 20] < 0.5


def test_the_fast_own_surface_is_the_slow_one() -> None:
    levels = np.random.default_rng(0).integers(80, 160, (24, 31))
    levels[5, 5] = 255
    surface = own_surface(grey(levels))
    for row in range(24):
        for column in range(31):
            share, deviation = slow_own_surface(levels, row, column)
            assert surface.share[row, column] == pytest.approx(share)
            assert surface.texture[row, column] == pytest.approx(deviation, abs=2e-3)
    assert surface.share[5, 5] == surface.texture[5, 5] == 0


def test_what_is_kept_of_a_view_is_never_taken_for_another() -> None:
    first, second = wall_with_rod(), grey(np.full((40, 40), 200))
    for image in (first, second, first, first):
        np.testing.assert_array_equal(own_surface(image).share, unwrap(own_surface)(image).share)
    kept = texture(first)
    assert texture(first.copy()) is kept
    first[20, 18] = 0
    assert texture(first)[20, 18] != kept[20, 18]
