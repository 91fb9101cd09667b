"""Rotation matrices of quaternions, in torch."""

import torch
from jaxtyping import Float

from gs_stereo.geometry.rotations import rotation_rows

_SHORTEST = 1e-30
"""Quaternions of any length are turned to unit ones, down to where a float32 cannot hold the length."""


def rotation_matrices(quats_wxyz: Float[torch.Tensor, "n 4"]) -> Float[torch.Tensor, "n 3 3"]:
    """The rotation of each quaternion, which need not be unit; a zero quaternion is the identity. Differentiable."""
    unit = torch.nn.functional.normalize(quats_wxyz, dim=-1, eps=_SHORTEST)
    return torch.stack([torch.stack(row, dim=-1) for row in rotation_rows(*unit.unbind(-1))], dim=-2)
