"""Pictures of the page: data URIs are bounded, the cloud survives what is missing."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from builders import camera_at, make_points, make_scene

from gs_stereo.imaging.colour_maps import colour_table
from gs_stereo.report.cloud import cloud_picture
from gs_stereo.report.pictures import css_gradient, data_uri, difference, shrunk_map


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


def test_equal_images_differ_by_the_darkest_colour() -> None:
    image = np.full((4, 4, 3), 90, np.uint8)
    assert (difference(image, image) == colour_table()[0]).all()
    assert css_gradient().count("#") == 16


def test_the_cloud_survives_a_scene_without_points() -> None:
    scene = make_scene([camera_at("<a>")], make_points([]))
    picture = cloud_picture(scene, ["<a>"])
    assert "nan" not in picture
    assert "<a>" not in picture
    assert 'class="camera used"' in picture
