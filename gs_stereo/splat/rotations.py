"""Rotation matrices of quaternions, in torch."""

from __future__ import annotations

import torch
from jaxtyping import Float


def rotation_matrices(quats_wxyz: Float[torch.Tensor, "n 4"]) -> Float[torch.Tensor, "n 3 3"]:
    """The rotation of each quaternion, which need not be unit."""
    w, x, y, z = torch.nn.functional.normalize(quats_wxyz, dim=-1).unbind(-1)
    rows = [
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
