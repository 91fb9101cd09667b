"""Distortion: inverse of itself, equal to OpenCV and pycolmap, and pinhole images that fit their camera."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import intrinsics_to_opencv, pixel_centres
from gs_stereo.io.colmap_model import ColmapCamera
from gs_stereo.sfm.lens import (
    Lens,
    colmap_from_lens,
    distort,
    lens_from_colmap,
    pinhole_intrinsics_inside,
    undistort,
    undistorter,
)

K = np.array([[300.0, 0, 161], [0, 310.0, 118], [0, 0, 1]])


def lens(*coefficients: float) -> Lens:
    values = np.zeros(8)
    values[: len(coefficients)] = coefficients
    return Lens(width=320, height=240, intrinsics=K, coefficients=values)


SMALL = st.floats(-0.1, 0.1)


@given(st.lists(SMALL, min_size=8, max_size=8), st.floats(-0.4, 0.4), st.floats(-0.3, 0.3))
def test_distortion_is_that_of_opencv(values: list[float], x: float, y: float) -> None:
    tangential_is_small = [*values[:2], values[2] / 10, values[3] / 10, *values[4:]]
    ours = distort(lens(*tangential_is_small), np.array([[x, y]]))
    k = intrinsics_to_opencv(K)
    points = np.array([[[x, y, 1.0]]])
    theirs, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), k, np.array(tangential_is_small))
    np.testing.assert_allclose(ours, theirs[0] + 0.5, atol=1e-9)


@pytest.mark.parametrize("model", ["SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", "PINHOLE", "SIMPLE_PINHOLE"])
def test_every_model_projects_as_in_pycolmap(model: str) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    count = len(pycolmap.Camera.create_from_model_name(1, model, 300.0, 320, 240).params)
    one_focal = model in ("SIMPLE_RADIAL", "RADIAL", "SIMPLE_PINHOLE")
    head = [300.0, 161.0, 118.0] if one_focal else [300.0, 310.0, 161.0, 118.0]
    tail = [0.05, -0.03, 0.002, -0.001, 0.01, 0.02, -0.01, 0.005][: count - len(head)]
    params = np.array(head + tail)
    theirs = pycolmap.Camera(model=model, width=320, height=240, params=params)
    ours = lens_from_colmap(ColmapCamera(model=model, width=320, height=240, params=params))
    rays = np.random.default_rng(0).uniform(-0.4, 0.4, (20, 2))
    expected = np.array([theirs.img_from_cam(np.append(ray, 1.0)) for ray in rays]).reshape(-1, 2)
    np.testing.assert_allclose(distort(ours, rays), expected, atol=1e-9)
    np.testing.assert_allclose(distort(lens_from_colmap(colmap_from_lens(ours)), rays), expected, atol=1e-9)


@pytest.mark.parametrize("coefficients", [(0.2,), (-0.2, 0.05), (0.05, -0.08, -0.001, 0.0002, 0.01, 0.1, 0.02, 0.0)])
def test_undistort_inverts_distort(coefficients: tuple[float, ...]) -> None:
    rays = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 2))
    np.testing.assert_allclose(undistort(lens(*coefficients), distort(lens(*coefficients), rays)), rays, atol=1e-9)


def test_undistort_beyond_the_fold_is_nan() -> None:
    folded = lens(-2.0)
    assert np.isnan(undistort(folded, np.array([[319.0, 239.0]]))).all()


@pytest.mark.parametrize("coefficients", [(0.2,), (-0.3,), (-0.3, 0.1, 0.002, -0.003), (0.1, 0.0, 0.01, 0.01)])
def test_pinhole_view_is_the_widest_without_black_border(coefficients: tuple[float, ...]) -> None:
    bent = lens(*coefficients)
    k = pinhole_intrinsics_inside(bent)

    def worst_excess_px(zoom: float) -> float:
        centres = pixel_centres(320, 240).reshape(-1, 2)
        seen = distort(bent, (centres - k[:2, 2]) / (k[[0, 1], [0, 1]] * zoom))
        return float(np.max([0.5 - seen, seen - np.array([319.5, 239.5])]))

    assert worst_excess_px(1.0) <= 1e-5
    assert worst_excess_px(0.999) > 0.01


def test_no_distortion_changes_nothing() -> None:
    np.testing.assert_array_equal(pinhole_intrinsics_inside(lens()), K)


def test_prisms_are_refused() -> None:
    with pytest.raises(InputError, match="undistort"):
        lens_from_colmap(ColmapCamera(model="THIN_PRISM_FISHEYE", width=10, height=10, params=np.ones(12)))


FISHEYES = {
    "SIMPLE_FISHEYE": [150.0, 160.0, 120.0],
    "FISHEYE": [150.0, 155.0, 160.0, 120.0],
    "SIMPLE_RADIAL_FISHEYE": [150.0, 160.0, 120.0, 0.05],
    "RADIAL_FISHEYE": [150.0, 160.0, 120.0, 0.05, -0.01],
    "OPENCV_FISHEYE": [150.0, 155.0, 160.0, 120.0, 0.05, -0.01, 0.002, -0.001],
}


@pytest.mark.parametrize("model", FISHEYES)
def test_fisheyes_agree_with_colmap_and_survive_the_round_trip(model: str) -> None:
    import pycolmap

    given = ColmapCamera(model=model, width=320, height=240, params=np.array(FISHEYES[model]))
    found = lens_from_colmap(given)
    rays = np.random.default_rng(0).uniform(-1.5, 1.5, (200, 2))
    theirs = pycolmap.Camera(model=model, width=320, height=240, params=FISHEYES[model])
    expected = theirs.img_from_cam(np.column_stack([rays, np.ones(200)]))
    np.testing.assert_allclose(distort(found, rays), expected, atol=1e-9)
    np.testing.assert_allclose(undistort(found, expected), rays, atol=1e-6)
    np.testing.assert_allclose(distort(lens_from_colmap(colmap_from_lens(found)), rays), expected, atol=1e-9)


def test_a_fisheye_photo_becomes_a_pinhole_image() -> None:
    """A photo whose value is its own ray, as below; its corners are beyond 60 degrees."""
    bent = lens_from_colmap(ColmapCamera(model="FISHEYE", width=320, height=240, params=np.array(FISHEYES["FISHEYE"])))
    k = pinhole_intrinsics_inside(bent)
    centres = pixel_centres(320, 240)
    rays = undistort(bent, centres.reshape(-1, 2)).reshape(centres.shape)
    photo = np.concatenate([rays, rays[..., :1]], axis=-1).astype(np.float32)
    expected = (centres - k[:2, 2]) / k[[0, 1], [0, 1]]
    flat = undistorter(bent, k, 320, 240)(photo)
    assert np.abs(expected).max() > 1.0, "wider than 90 degrees"
    error_px = np.abs(flat[..., :2] - expected)[2:-2, 2:-2] * k[0, 0]
    assert error_px.max() < 0.1


def test_hopeless_distortion_is_refused() -> None:
    with pytest.raises(InputError, match="too strong"):
        pinhole_intrinsics_inside(lens(-200.0))


@pytest.mark.parametrize("photo_scale", [1, 2, 3])
def test_undistorted_image_fits_its_camera(photo_scale: int) -> None:
    """A photo whose value is its own ray: after undistortion every pixel shows the ray of its pinhole camera."""
    shown = lens(-0.2, 0.05, 0.001, -0.002).scaled(0.25, 80, 60)
    bent = shown.scaled(photo_scale, 80 * photo_scale, 60 * photo_scale)
    k = pinhole_intrinsics_inside(shown)
    centres = pixel_centres(bent.width, bent.height)
    rays = undistort(bent, centres.reshape(-1, 2)).reshape(centres.shape)
    photo = np.concatenate([rays, rays[..., :1]], axis=-1).astype(np.float32)
    flat = undistorter(bent, k, 80, 60)(photo)
    expected = (pixel_centres(80, 60) - k[:2, 2]) / k[[0, 1], [0, 1]]
    assert flat.shape == (60, 80, 3)
    error_px = np.abs(flat[..., :2] - expected)[2:-2, 2:-2] * shown.intrinsics[0, 0]
    assert error_px.max() < 0.04  # cv2.remap rounds sample positions to 1/32 px
