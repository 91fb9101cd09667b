"""Rotations as 3x3 matrices, quaternions (wxyz) and axis-angle vectors. numpy float64.

Quaternions that come in need not be unit; those that go out are unit with w >= 0. An axis-angle vector points along
the axis and its length is the angle in radians.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

_NEARLY_PARALLEL = 1e-12


def rotation_rows(w: Any, x: Any, y: Any, z: Any) -> tuple[Any, Any, Any]:
    """The three rows of the rotation of a unit quaternion, whose parts are numbers, arrays or tensors alike."""
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )


def matrix_from_quaternion(quat_wxyz: Float[np.ndarray, "4"]) -> Float[np.ndarray, "3 3"]:
    """Rotation matrix of a quaternion of any length but 0."""
    return np.array(rotation_rows(*(np.asarray(quat_wxyz, dtype=np.float64) / np.linalg.norm(quat_wxyz))))


def quaternion_from_matrix(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "4"]:
    """Unit quaternion with w >= 0.

    Shepperd's method: 4 q q^T is linear in the rotation, and its row with the largest diagonal is q up to scale.
    """
    r = np.asarray(rotation, dtype=np.float64)
    outer = np.empty((4, 4))
    outer[0, 0] = 1 + np.trace(r)
    outer[0, 1:] = outer[1:, 0] = [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]]
    outer[1:, 1:] = r + r.T + (1 - np.trace(r)) * np.eye(3)
    row = outer[np.argmax(np.diag(outer))]
    quat: Float[np.ndarray, "4"] = row / np.linalg.norm(row)
    return np.negative(quat) if quat[0] < 0 else quat


def matrix_from_axis_angle(axis_angle: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """Rotation by |axis_angle| radians about its direction."""
    half = 0.5 * np.asarray(axis_angle, dtype=np.float64)
    half_angle = np.linalg.norm(half)
    # sinc is sin(pi x) / (pi x) and defined at 0, so that a zero rotation needs no branch.
    return matrix_from_quaternion(np.concatenate([[np.cos(half_angle)], half * np.sinc(half_angle / np.pi)]))


def axis_angle_from_matrix(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """Axis-angle vector with an angle in [0, pi]."""
    quat = quaternion_from_matrix(rotation)
    sine = float(np.linalg.norm(quat[1:]))
    if sine < _NEARLY_PARALLEL:
        return 2.0 * quat[1:]
    return np.asarray(quat[1:] * (2.0 * np.arctan2(sine, quat[0]) / sine))


def slerp(
    rotation_a: Float[np.ndarray, "3 3"], rotation_b: Float[np.ndarray, "3 3"], share: float
) -> Float[np.ndarray, "3 3"]:
    """The orientation `share` of the way from a (0) to b (1), at constant speed along the shorter way."""
    step = axis_angle_from_matrix(rotation_b @ rotation_a.T)
    return np.asarray(matrix_from_axis_angle(share * step) @ rotation_a)
