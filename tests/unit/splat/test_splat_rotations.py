"""Rotations of quaternions in torch: equal to those in numpy, at any length."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gs_stereo.geometry.rotations import matrix_from_quaternion
from gs_stereo.splat.rotations import rotation_matrices


@pytest.mark.parametrize("length", [1e-15, 0.5, 1.0, 1e6])
def test_equals_numpy_at_any_length(length: float) -> None:
    quats = np.random.default_rng(4).normal(size=(20, 4)) * length
    expected = np.stack([matrix_from_quaternion(quat) for quat in quats])
    np.testing.assert_allclose(rotation_matrices(torch.tensor(quats)).numpy(), expected, atol=1e-14)
    np.testing.assert_allclose(rotation_matrices(torch.tensor(quats).float()).numpy(), expected, atol=1e-6)


def test_zero_quaternion_is_the_identity() -> None:
    torch.testing.assert_close(rotation_matrices(torch.zeros(1, 4))[0], torch.eye(3))


def test_gradients_equal_finite_differences() -> None:
    quats = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(rotation_matrices, quats)
