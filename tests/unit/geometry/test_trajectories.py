"""Virtual views stay between the photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import camera_at
from hypothesis import given
from hypothesis import strategies as st

from gs_stereo.errors import InputError
from gs_stereo.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from gs_stereo.geometry.trajectories import (
    between,
    interpolated_cameras,
    neighbours,
    perturbed_camera,
    pose_from_rotation_and_centre,
)
from gs_stereo.types import Camera


def camera(x: float, y: float = 0.0, *, yaw_deg: float = 0.0, width: int = 64) -> Camera:
    look = {"focal_px": 60.0, "principal_px": (32.0, 24.0), "turn_deg": (0.0, -yaw_deg, 0.0)}
    return camera_at(f"{x}", x, y, size=(width, 48), **look)


def _is_rigid(pose: np.ndarray) -> bool:
    rotation = pose[:3, :3]
    orthogonal = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    return orthogonal and np.linalg.det(rotation) > 0 and np.array_equal(pose[3], [0, 0, 0, 1])


def test_pose_has_the_centre_and_rotation_it_was_made_of():
    rotation = matrix_from_axis_angle(np.array([0.3, -0.2, 1.0]))
    made = replace(camera(0), cam_from_world=pose_from_rotation_and_centre(rotation, np.array([1.0, 2.0, 3.0])))
    np.testing.assert_allclose(made.centre_in_world, [1, 2, 3], atol=1e-12)
    np.testing.assert_array_equal(made.cam_from_world[:3, :3], rotation)


def test_halfway_between_two_cameras():
    middle = between(camera(0.0, yaw_deg=0), camera(2.0, 1.0, yaw_deg=30), 0.5, "middle")
    np.testing.assert_allclose(middle.centre_in_world, [1.0, 0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(middle.cam_from_world[:3, :3], camera(0, yaw_deg=15).cam_from_world[:3, :3], atol=1e-12)
    assert middle.name == "middle"
    assert _is_rigid(middle.cam_from_world)


def test_the_closer_camera_gives_the_intrinsics():
    assert between(camera(0, width=64), camera(1, width=128), 0.4, "a").width == 64
    assert between(camera(0, width=64), camera(1, width=128), 0.6, "a").width == 128


def test_interpolated_views_are_spread_evenly_and_never_are_photos():
    views = interpolated_cameras([camera(float(x)) for x in range(5)], 8)
    np.testing.assert_allclose([view.centre_in_world[0] for view in views], np.arange(8) * 0.5 + 0.25, atol=1e-12)
    assert [view.name for view in views] == [f"interpolate_{number:05d}" for number in range(8)]


def test_interpolation_leaves_out_jumps():
    left = [camera(float(x)) for x in range(5)]
    right = [camera(100.0 + x) for x in range(5)]
    x = np.array([view.centre_in_world[0] for view in interpolated_cameras([*left, *right], 40)])
    assert ((x < 4.0) | (x > 100.0)).all()
    assert (x < 4.0).sum() == 20


def test_interpolation_between_cameras_at_one_place_is_defined():
    views = interpolated_cameras([camera(1.0), camera(1.0)], 3)
    for view in views:
        np.testing.assert_allclose(view.cam_from_world, camera(1.0).cam_from_world, atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(0, 8), st.floats(0, 3), st.floats(0, 3))
def test_perturbed_views_stay_in_the_hull_and_within_the_magnitude(seed, index, position, rotation):
    grid = [camera(float(x), float(y), yaw_deg=4.0 * x) for x in range(3) for y in range(3)]
    near = [grid[other] for other in neighbours(grid)[index]]
    view = perturbed_camera(grid[index], near, (position, rotation), np.random.default_rng(seed))
    centre = view.centre_in_world
    assert (centre[:2] >= -1e-9).all()
    assert (centre[:2] <= 2 + 1e-9).all()
    assert abs(centre[2]) < 1e-9
    # Six nearest neighbours of a 3 x 3 grid are at most sqrt(5) away and at most 8 degrees turned.
    assert np.linalg.norm(centre - grid[index].centre_in_world) <= position * np.sqrt(5) + 1e-9
    turn = np.linalg.norm(axis_angle_from_matrix(view.cam_from_world[:3, :3] @ grid[index].cam_from_world[:3, :3].T))
    assert turn <= rotation * np.radians(8.0) + 1e-9
    assert _is_rigid(view.cam_from_world)


def test_perturbation_follows_its_generator():
    cameras = [camera(float(x), yaw_deg=3.0 * x) for x in range(4)]
    views = [perturbed_camera(cameras[1], cameras[2:], (0.5, 0.5), np.random.default_rng(seed)) for seed in (5, 5, 6)]
    assert views[0].cam_from_world.tobytes() == views[1].cam_from_world.tobytes()
    assert not np.array_equal(views[0].cam_from_world, views[2].cam_from_world)
    assert not np.array_equal(views[0].cam_from_world, cameras[1].cam_from_world)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_cameras_are_an_input_error(count):
    cameras = [camera(0.0)][:count]
    with pytest.raises(InputError, match="at least two"):
        interpolated_cameras(cameras, 3)
    with pytest.raises(InputError, match="at least two"):
        neighbours(cameras)


def test_neighbours_are_the_nearest_others():
    near = neighbours([camera(float(x)) for x in range(10)])
    assert near.shape == (10, 6)
    assert list(near[0]) == [1, 2, 3, 4, 5, 6]
    assert set(near[5][:2]) == {4, 6}
    assert neighbours([camera(0.0), camera(1.0)]).tolist() == [[1], [0]]
