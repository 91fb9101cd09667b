"""Rotations: known values, edge angles, and agreement of the representations."""

from __future__ import annotations

import numpy as np
import pytest

from gs_stereo.geometry.rotations import (
    axis_angle_from_matrix,
    matrix_from_axis_angle,
    matrix_from_quaternion,
    quaternion_from_matrix,
    slerp,
)


def angle_between(rotation_a: np.ndarray, rotation_b: np.ndarray) -> float:
    return float(np.linalg.norm(axis_angle_from_matrix(rotation_a @ rotation_b.T)))


QUARTER_ABOUT_Z = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
HALF_TURNS = [np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1])]


def test_quarter_turn_about_z_takes_x_to_y():
    half = np.sqrt(0.5)
    np.testing.assert_allclose(matrix_from_quaternion(np.array([half, 0, 0, half])), QUARTER_ABOUT_Z, atol=1e-15)
    np.testing.assert_allclose(matrix_from_axis_angle(np.array([0, 0, np.pi / 2])), QUARTER_ABOUT_Z, atol=1e-15)
    np.testing.assert_allclose(quaternion_from_matrix(QUARTER_ABOUT_Z), [half, 0, 0, half], atol=1e-12)


def test_a_quaternion_of_any_length_is_the_same_rotation():
    quat = np.array([0.3, -0.4, 0.5, 0.1])
    np.testing.assert_allclose(matrix_from_quaternion(-7.5 * quat), matrix_from_quaternion(quat), atol=1e-15)


@pytest.mark.parametrize("rotation", [np.eye(3), *HALF_TURNS])
def test_the_identity_and_half_turns_round_trip(rotation):
    np.testing.assert_allclose(matrix_from_quaternion(quaternion_from_matrix(rotation)), rotation, atol=1e-12)
    np.testing.assert_allclose(matrix_from_axis_angle(axis_angle_from_matrix(rotation)), rotation, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-5, 1.0, np.pi - 1e-6, np.pi])
def test_the_angle_of_a_rotation_is_found_at_every_size(angle):
    axis = np.array([1.0, -2.0, 2.0]) / 3.0
    rotation = matrix_from_axis_angle(angle * axis)
    assert angle_between(rotation, np.eye(3)) == pytest.approx(angle, abs=1e-8)


def test_slerp_moves_at_constant_speed_along_the_shorter_way():
    first = matrix_from_axis_angle(np.array([0.2, 0.1, -0.4]))
    second = matrix_from_axis_angle(np.array([-0.3, 1.9, 0.6]))
    whole = angle_between(first, second)
    assert whole < np.pi
    np.testing.assert_allclose(slerp(first, second, 0.0), first, atol=1e-12)
    np.testing.assert_allclose(slerp(first, second, 1.0), second, atol=1e-12)
    for share in (0.1, 0.25, 0.5, 0.9):
        between = slerp(first, second, share)
        assert angle_between(first, between) == pytest.approx(share * whole, abs=1e-9)
        assert angle_between(between, second) == pytest.approx((1 - share) * whole, abs=1e-9)
