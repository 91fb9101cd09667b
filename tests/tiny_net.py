"""A net without weights that solves `builders.shifted_pair`, and its place in the registry."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from gs_stereo.config import Config
from gs_stereo.nets.protocol import NETS, StereoNet

TINY_NET = "tiny_blocks"


class TinyConfig(Config):
    """Settings of `TinyNet`."""

    planes: int = 16


class TinyNet(StereoNet):
    """Block matching as a net: its one parameter is the sharpness of the softmax over whole disparities."""

    config_type: ClassVar[type[Config]] = TinyConfig
    multiple: ClassVar[int] = 4
    config: TinyConfig

    def __init__(self, config: TinyConfig | None = None) -> None:
        super().__init__()
        self.config = TinyConfig() if config is None else config
        self.sharpness = nn.Parameter(torch.tensor(400.0))

    def disparities(
        self, left: torch.Tensor, right: torch.Tensor, max_disparity_px: float | None
    ) -> list[torch.Tensor]:
        costs = []
        for shift in range(self.config.planes):
            moved = functional.pad(right, (shift, 0, 0, 0), mode="replicate")[..., : right.shape[-1]]
            costs.append(functional.avg_pool2d((left - moved).abs().mean(1, keepdim=True), 5, 1, 2))
        weights = torch.cat(costs, dim=1).mul(-self.sharpness).softmax(1)
        planes = torch.arange(self.config.planes, dtype=weights.dtype).view(1, -1, 1, 1)
        return [(weights * planes).sum(1, keepdim=True)]


def tiny_net_entry() -> tuple[dict[str, str], str, str]:
    """Arguments of monkeypatch.setitem that put `TinyNet` into the registry."""
    assert isinstance(NETS.builtin, dict)
    return NETS.builtin, TINY_NET, "tiny_net:TinyNet"
