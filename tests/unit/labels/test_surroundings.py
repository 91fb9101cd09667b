"""Depth by neighbouring views and by sparse points, on a plane that is known in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from builders import camera_at, make_points

from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.geometry.projection import unproject
from gs_stereo.labels.surroundings import (
    DepthView,
    inverse_depth_from_neighbours,
    inverse_depth_from_points,
    median_known,
)
from gs_stereo.types import Camera

WIDTH, HEIGHT, FOCAL = 60, 40, 50.0
LEFT = camera_at("left", size=(WIDTH, HEIGHT), focal_px=FOCAL)


def plane_depth(camera: Camera) -> np.ndarray:
    """z of the plane z = 4 + 0.2 x in the world, for cameras that look along world z."""
    centre = camera.centre_in_world
    x = (pixel_centres(WIDTH, HEIGHT)[..., 0] - WIDTH / 2) / FOCAL
    return np.asarray((4 + 0.2 * centre[0] - centre[2]) / (1 - 0.2 * x))


def view(camera: Camera) -> DepthView:
    return DepthView(camera=camera, depth=plane_depth(camera))


NEIGHBOURS = [view(LEFT.shifted(offset)) for offset in (-0.4, 0.3, 0.5)]


def test_neighbours_confirm_a_right_depth_and_correct_a_wrong_one() -> None:
    true = 1 / plane_depth(LEFT)
    answer = inverse_depth_from_neighbours(view(LEFT), NEIGHBOURS)
    assert np.isfinite(answer).mean() > 0.95
    known = np.isfinite(answer)
    np.testing.assert_allclose(answer[known], true[known], rtol=0.01)  # nearest pixels of a slope
    near = DepthView(camera=LEFT, depth=0.97 * plane_depth(LEFT))
    corrected = inverse_depth_from_neighbours(near, NEIGHBOURS)
    known = np.isfinite(corrected)
    assert np.abs(corrected - true)[known].max() < 0.5 * np.abs(1 / near.depth - true).max()


def test_a_blocked_neighbour_says_nothing() -> None:
    blocked = [replace(neighbour, depth=0.5 * neighbour.depth) for neighbour in NEIGHBOURS]
    assert np.isnan(inverse_depth_from_neighbours(view(LEFT), blocked)).all()
    assert np.isnan(inverse_depth_from_neighbours(view(LEFT), [])).all()


def test_points_mark_their_surroundings_and_hidden_ones_do_not() -> None:
    depth = plane_depth(LEFT)
    image_xy = np.array([[20.5, 10.5], [40.5, 30.5]])
    z = np.array([depth[10, 20] * 1.02, depth[30, 40] * 1.5])
    points = make_points(unproject(LEFT, image_xy, z))
    answer = inverse_depth_from_points(view(LEFT), points)
    assert np.isfinite(answer).sum() == 25
    np.testing.assert_allclose(answer[10, 20], 1 / z[0], rtol=1e-6)
    np.testing.assert_allclose(answer[9, 21] - answer[10, 20], 1 / depth[9, 21] - 1 / depth[10, 20], atol=1e-6)


def test_the_median_of_what_is_known() -> None:
    nan = np.nan
    maps = [np.array([1.0, 1.0, nan, nan]), np.array([2.0, nan, nan, 5.0]), np.array([9.0, 3.0, nan, nan])]
    np.testing.assert_array_equal(median_known(maps), [2.0, 2.0, nan, 5.0])
