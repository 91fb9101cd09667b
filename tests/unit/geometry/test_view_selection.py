"""Spacing, order, nearest photo and the common image size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import camera_at

from gs_stereo.errors import InputError
from gs_stereo.geometry.projection import project
from gs_stereo.geometry.view_selection import (
    capture_spacing,
    common_size,
    fitted_to_size,
    nearest_photos,
    short_path,
    step_costs,
    views_looking_alike,
    views_with_parallax,
)
from gs_stereo.types import Camera


def camera(x: float, y: float = 0.0, z: float = 0.0, *, yaw_deg: float = 0.0, size=(640, 480)) -> Camera:
    principal = (size[0] / 2 + 3, size[1] / 2 - 2)
    look = {"focal_px": (500.0, 510.0), "principal_px": principal, "turn_deg": (0.0, -yaw_deg, 0.0)}
    return camera_at(f"{x}_{y}_{yaw_deg}", x, y, z, size=size, **look)


def test_spacing_is_the_median_distance_to_the_nearest_neighbour():
    assert capture_spacing([camera(0), camera(1), camera(2), camera(10)]) == pytest.approx(1.0)
    assert np.isnan(capture_spacing([camera(0)]))
    assert np.isnan(capture_spacing([]))


def test_short_path_finds_the_order_of_a_shuffled_line():
    places = np.random.default_rng(4).permutation(20)
    order = short_path([camera(float(place)) for place in places])
    along = places[order]
    assert list(along) in (list(range(20)), list(range(20))[::-1])


def test_short_path_keeps_the_order_of_a_walk():
    walk = [camera(np.cos(a), np.sin(a), yaw_deg=5 * a) for a in np.linspace(0, 5, 15)]
    assert list(short_path(walk)) == list(range(15))
    assert list(short_path([])) == []
    assert list(short_path(walk[:1])) == [0]


def test_turning_on_the_spot_counts_as_steps_by_angle():
    costs = step_costs([camera(0, yaw_deg=0), camera(0, yaw_deg=20), camera(0, yaw_deg=60)])
    assert costs[0, 1] < costs[1, 2] < costs[0, 2]
    np.testing.assert_allclose(costs, costs.T)


def test_nearest_photos_weigh_distance_by_depth_and_direction():
    photos = [camera(0.0), camera(1.0, yaw_deg=60.0), camera(9.0)]
    here = camera(0.8)
    assert [found.index for found in nearest_photos(here, photos, 10.0, 3)] == [0, 2, 1]
    assert [found.index for found in nearest_photos(here, photos, 0.1, 2)] == [1, 0]
    found = nearest_photos(here, photos, float("nan"), 1)[0]
    assert found.index == 1
    assert found.distance == pytest.approx(0.2)
    assert np.degrees(found.angle_rad) == pytest.approx(60.0)
    assert nearest_photos(here, [], 1.0, 1) == []


def test_views_with_parallax_are_near_but_not_at_the_view_and_see_its_content():
    view = camera(0.0)
    here, right, far = camera(0.001), camera(0.2), camera(0.6)
    away, aside = camera(-0.3, yaw_deg=180.0), camera(9.0)
    assert views_with_parallax(view, [here, far, away, right, aside], 2.0, 3) == [3, 1]
    assert views_with_parallax(view, [far, right], 2.0, 1) == [1]
    assert views_with_parallax(view, [here, right, far, away, aside], 2.0, 3, parallax=0.25) == [2, 1], "0.3 and 0.1"
    with pytest.raises(InputError, match="positive depth"):
        views_with_parallax(view, [far], float("nan"), 1)


def test_views_looking_alike_are_near_but_elsewhere():
    cameras = [camera(0.0), camera(0.0), camera(0.3), camera(0.2), camera(0.2, yaw_deg=50.0), camera(3.0)]
    assert views_looking_alike(cameras, [2.0] * 6, 2)[0] == [3, 2], "not the same place, turned away, or far off"
    assert views_looking_alike(cameras, [0.5] * 6, 2)[0] == [3], "half of the depth is far off"
    assert views_looking_alike(cameras[:3], [float("nan"), 0.0, 1.0], 2) == [[], [], [0, 1]]
    assert views_looking_alike([], [], 2) == []


def test_common_size_follows_what_is_given():
    cameras = [camera(0, size=(640, 480)), camera(1, size=(640, 480)), camera(2, size=(480, 640))]
    assert common_size(cameras) == (640, 480)
    assert common_size(cameras, width=320) == (320, 240)
    assert common_size(cameras, height=120) == (160, 120)
    assert common_size(cameras, width=100, height=100) == (100, 100)
    assert common_size(cameras[1:]) == (480, 640), "the smaller of two equally common sizes"


@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (300, 300), (640, 200), (101, 333)])
def test_fitting_crops_about_the_centre_and_keeps_pixels_square(size):
    source = camera(0.3, yaw_deg=11.0)
    fitted = fitted_to_size(source, *size)
    assert (fitted.width, fitted.height) == size
    assert fitted.cam_from_world.tobytes() == source.cam_from_world.tobytes()
    assert fitted.intrinsics[0, 0] / fitted.intrinsics[1, 1] == pytest.approx(500 / 510)
    # One factor about the two image centres, and the crop lies within the source.
    scale = fitted.intrinsics[0, 0] / source.intrinsics[0, 0]
    assert scale == pytest.approx(max(size[0] / 640, size[1] / 480))
    points = np.random.default_rng(0).uniform([-1, -1, 2], [1, 1, 4], size=(50, 3))
    before, _ = project(source, points)
    after, _ = project(fitted, points)
    expected = (before - [320, 240]) * scale + np.array(size) / 2
    np.testing.assert_allclose(after, expected, atol=1e-9)


def test_fitting_to_the_own_size_changes_no_bit():
    source = replace(camera(0.3), intrinsics=np.array([[0.1, 0, 0.7], [0, 0.3, 1 / 3], [0, 0, 1]]))
    assert fitted_to_size(source, 640, 480) is source


def test_fitting_to_the_same_aspect_is_resizing():
    source = camera(0.0)
    np.testing.assert_allclose(fitted_to_size(source, 320, 240).intrinsics, source.resized(320, 240).intrinsics)
