"""The constant part of spherical harmonics: how plain colours become coefficients and back.

A colour is sh . basis(direction) + 0.5; the basis' first function is the constant 1 / (2 sqrt(pi)).
"""

import math

import torch
from jaxtyping import Float

SH_CONSTANT = 0.5 / math.sqrt(math.pi)


def coefficient_count(degree: int) -> int:
    """Coefficients per channel up to a degree: (degree + 1)^2."""
    return (degree + 1) ** 2


def dc_from_rgb(rgb: Float[torch.Tensor, "*n 3"]) -> Float[torch.Tensor, "*n 3"]:
    """The first coefficient that shows colours in [0, 1] from every side."""
    return (rgb - 0.5) / SH_CONSTANT


def rgb_from_dc(dc: Float[torch.Tensor, "*n 3"]) -> Float[torch.Tensor, "*n 3"]:
    """The inverse of `dc_from_rgb`."""
    return dc * SH_CONSTANT + 0.5
