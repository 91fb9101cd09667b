"""Maps in colours: monotone, clipped, and what is missing looks missing."""

from __future__ import annotations

import numpy as np
import pytest

from gs_stereo.imaging.colour_maps import (
    DARK,
    anaglyph,
    colour_table,
    coloured,
    error_colours,
    shown_range,
    side_by_side,
)


def test_the_colour_table_gets_steadily_brighter() -> None:
    brightness = colour_table().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness) > -1).all()
    assert brightness[-1] > 200 > 20 > brightness[0]


def test_missing_values_are_gray_and_others_are_clipped() -> None:
    picture = coloured(np.array([[np.nan, -5.0], [0.0, 99.0]]), 0.0, 10.0)
    red, green, blue = picture[0, 0].astype(int)
    assert max(red, green, blue) - min(red, green, blue) < 8
    np.testing.assert_array_equal(picture[0, 1], picture[1, 0])
    np.testing.assert_array_equal(picture[1, 1], colour_table()[-1])


@pytest.mark.parametrize("colour_map", ["inferno", "turbo", "cividis"])
def test_every_value_has_the_nearest_of_the_256_colours(colour_map) -> None:
    levels = np.arange(256, dtype=np.float32)[None]
    np.testing.assert_array_equal(coloured(levels, 0.0, 255.0, colour_map)[0], colour_table(colour_map))
    np.testing.assert_array_equal(coloured(levels + 0.4, 0.0, 255.0, colour_map)[0], colour_table(colour_map))


def test_the_shown_range_leaves_out_one_in_a_hundred_and_is_never_empty() -> None:
    values = np.append(np.arange(101.0), np.nan)
    assert shown_range(values) == (1.0, 99.0)
    assert shown_range(np.full((2, 3), np.nan)) == (0.0, 1.0)
    low, high = shown_range(np.full(4, 7.0))
    assert low == 7.0 < high


def test_errors_are_blue_below_three_pixels_and_warm_above() -> None:
    errors = np.array([[0.0, 2.9, 3.1, 100.0, np.nan, np.nan]])
    has_truth = np.array([[True, True, True, True, True, False]])
    red, _, blue = error_colours(errors, has_truth).astype(int)[0].T
    assert (blue[:2] > red[:2]).all()
    assert (red[2:4] > blue[2:4]).all()
    colours = error_colours(errors, has_truth)[0]
    assert tuple(colours[4]) == (255, 0, 255)
    assert colours[5].max() < 64


def test_turbo_is_warmer_for_larger_values_and_its_blank_is_dark() -> None:
    colours = coloured(np.array([[2.0, 30.0, np.nan]]), 0.0, 32.0, "turbo", DARK)[0].astype(int)
    assert colours[0][2] > colours[0][0]
    assert colours[1][0] > colours[1][2]
    assert colours[2].max() < 64


def test_an_anaglyph_of_one_plane_at_the_screen_is_gray() -> None:
    left = np.random.default_rng(0).integers(0, 256, (10, 40, 3), dtype=np.uint8)
    right = np.roll(left, -5, axis=1)
    picture = anaglyph(left, right, 5)
    assert picture.shape == (10, 35, 3)
    np.testing.assert_array_equal(picture[..., 0], picture[..., 1])


def test_two_pictures_side_by_side_have_a_white_gap() -> None:
    first, second = np.zeros((3, 5, 3), np.uint8), np.ones((3, 7, 3), np.uint8)
    both = side_by_side(first, second)
    np.testing.assert_array_equal(both[:, :5], first)
    np.testing.assert_array_equal(both[:, -7:], second)
    assert (both[:, 5:-7] == 255).all()
    assert both.shape[1] > 12
