"""The browser's frame: poses survive the way there and back, the scale fits every scene, up is the cameras' up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from builders import camera_at

from gs_stereo.geometry.projection import project
from gs_stereo.types import Camera
from gs_stereo.viewer.frame import BrowserView, display_frame

POINTS = np.array([[0.0, 0.0, 40.0], [3.0, 0.0, 40.0], [0.0, -3.0, 40.0]])


def camera(axis_angle: tuple[float, float, float], centre: tuple[float, float, float]) -> Camera:
    return camera_at("a", *centre, size=(400, 300), focal_px=300.0, turn_deg=tuple(np.degrees(axis_angle)))


def seen_from(original: Camera, aspect: float, origin: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Camera:
    """There and back through numbers as a browser keeps them."""
    frame = display_frame([original], POINTS + np.array(origin), origin)
    wxyz, position = frame.pose(original)
    assert np.abs(position).max() < 10
    fov = 2 * math.atan(original.height / 2 / original.intrinsics[1, 1])
    return frame.camera_at(BrowserView(wxyz=wxyz, position=position, vertical_fov_rad=fov, aspect=aspect), 400)


@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (450000.0, 5600000.0, 120.0)])
def test_a_camera_comes_back_from_the_browser_as_it_was(origin: tuple[float, float, float]) -> None:
    original = camera((0.3, -1.2, 0.5), (5.0, -2.0, 9.0)).around((-origin[0], -origin[1], -origin[2]))
    back = seen_from(original, aspect=16 / 9, origin=origin)
    assert (back.width, back.height) == (400, 300)
    np.testing.assert_allclose(back.cam_from_world, original.cam_from_world, atol=1e-12 if not any(origin) else 1e-6)
    np.testing.assert_allclose(back.intrinsics, original.intrinsics, atol=1e-9)


def test_an_upright_window_keeps_its_field_across() -> None:
    original = camera((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    aspect = 0.5
    back = seen_from(original, aspect)
    edge = np.array([math.tan(math.atan(0.5)) * aspect, 0.0, 1.0])  # half of the window's width at z = 1
    np.testing.assert_allclose(project(back, edge)[0], [back.width, back.height / 2])


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
def test_the_typical_distance_is_one_on_screen_in_every_unit(unit: float) -> None:
    frame = display_frame([camera((0, 0, 0), (0, 0, 0))], POINTS * unit)
    distances = np.linalg.norm(POINTS * unit, axis=1) * frame.display_per_unit
    assert np.median(distances) == pytest.approx(1.0)


def test_up_is_the_mean_of_the_cameras_and_safe_without_any() -> None:
    tilted = [camera((0, 0, 0.2), (0, 0, 0)), camera((0, 0, -0.2), (1, 0, 0))]
    np.testing.assert_allclose(display_frame(tilted, POINTS).up_in_world, [0, -1, 0], atol=1e-12)
    opposite = [camera((0, 0, 0), (0, 0, 0)), camera((0, 0, math.pi), (1, 0, 0))]
    np.testing.assert_allclose(display_frame(opposite, POINTS).up_in_world, [0, -1, 0])
    empty = display_frame([], np.zeros((0, 3)))
    assert empty.display_per_unit == 1.0
    assert np.isfinite(empty.focus_in_world).all()
