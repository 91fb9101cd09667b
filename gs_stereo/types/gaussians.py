"""The scene as 3D Gaussians, in raw (trainable) parameters; activated in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Gaussians:
    """Parameters as they are optimised.

    quats_wxyz need not be unit. scales = exp(log_scales), opacities = sigmoid(opacity_logits).
    sh: real spherical harmonics, K = (degree + 1)^2 coefficients, gsplat's order and sign; colour = sh . basis + 0.5.
    """

    means: Float[torch.Tensor, "n 3"]
    quats_wxyz: Float[torch.Tensor, "n 4"]
    log_scales: Float[torch.Tensor, "n 3"]
    opacity_logits: Float[torch.Tensor, "n"]
    sh: Float[torch.Tensor, "n k 3"]

    def __len__(self) -> int:
        return len(self.means)

    @property
    def scales(self) -> Float[torch.Tensor, "n 3"]:
        return self.log_scales.exp()

    @property
    def opacities(self) -> Float[torch.Tensor, "n"]:
        return self.opacity_logits.sigmoid()

    @property
    def sh_degree(self) -> int:
        return round(self.sh.shape[1] ** 0.5) - 1

    @property
    def device(self) -> torch.device:
        return self.means.device

    def tensors(self) -> dict[str, torch.Tensor]:
        """The raw parameters by name, in a fixed order."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def select(self, index: torch.Tensor) -> Gaussians:
        """The Gaussians chosen by a boolean mask or an index."""
        return replace(self, **{name: tensor[index] for name, tensor in self.tensors().items()})

    def to(self, device: torch.device | str) -> Gaussians:
        return replace(self, **{name: tensor.to(device) for name, tensor in self.tensors().items()})
