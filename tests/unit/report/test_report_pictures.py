"""Pictures of maps: colours are monotone, missing values look missing, data URIs are bounded."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from builders import camera_at, make_points, make_scene

from gs_stereo.report.cloud import cloud_picture
from gs_stereo.report.pictures import anaglyph, colour_table, coloured, css_gradient, data_uri, difference, shrunk_map


def test_the_colour_table_gets_steadily_brighter() -> None:
    brightness = colour_table().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness) > -1).all()
    assert brightness[-1] > 200 > 20 > brightness[0]
    assert css_gradient().count("#") == 16


def test_missing_values_are_gray_and_others_are_clipped() -> None:
    picture = coloured(np.array([[np.nan, -5.0], [0.0, 99.0]]), 0.0, 10.0)
    red, green, blue = picture[0, 0].astype(int)
    assert max(red, green, blue) - min(red, green, blue) < 8
    np.testing.assert_array_equal(picture[0, 1], picture[1, 0])
    np.testing.assert_array_equal(picture[1, 1], colour_table()[-1])


def test_a_data_uri_is_a_small_webp() -> None:
    image = np.random.default_rng(0).integers(0, 256, (300, 500, 3), dtype=np.uint8)
    uri = data_uri(image, 100)
    assert uri.startswith("data:image/webp;base64,")
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (60, 100, 3)


def test_shrinking_a_map_invents_no_value() -> None:
    values = np.arange(1000.0).reshape(20, 50)
    small = shrunk_map(values, 13)
    assert max(small.shape) <= 13
    assert np.isin(small, values).all()


def test_an_anaglyph_of_one_plane_at_the_screen_is_gray() -> None:
    left = np.random.default_rng(0).integers(0, 256, (10, 40, 3), dtype=np.uint8)
    right = np.roll(left, -5, axis=1)
    picture = anaglyph(left, right, 5)
    assert picture.shape == (10, 35, 3)
    np.testing.assert_array_equal(picture[..., 0], picture[..., 1])


def test_equal_images_differ_by_the_darkest_colour() -> None:
    image = np.full((4, 4, 3), 90, np.uint8)
    assert (difference(image, image) == colour_table()[0]).all()


def test_the_cloud_survives_a_scene_without_points() -> None:
    scene = make_scene([camera_at("<a>")], make_points([]))
    picture = cloud_picture(scene, ["<a>"])
    assert "nan" not in picture
    assert "<a>" not in picture
    assert 'class="camera used"' in picture
