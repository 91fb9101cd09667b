"""How likely a disparity is right, learned from what the refinement saw and from what the answer looks like."""

from typing import cast

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

Map = Float[torch.Tensor, "b c h w"]
Disparity = Float[torch.Tensor, "b 1 h w"]

SIGNS = 8
"""Channels beside the refinement's: share of the peak (1), cosines (2), prior (2), relief (2), hiding (1)."""
_CHANNELS = 24


class ConfidenceHead(nn.Module):
    """Logit of P(error under 1 px) for every half-resolution cell.

    Nothing it learns reaches the disparity: its inputs are cut off from the gradient. Its bias begins at four in five.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, _CHANNELS, 3, padding=1)
        self.body = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=2, dilation=2)
        self.logit = nn.Conv2d(_CHANNELS, 1, 1)
        nn.init.zeros_(self.logit.weight)
        nn.init.constant_(cast(torch.Tensor, self.logit.bias), 1.4)

    def forward(self, evidence: list[Map]) -> Map:
        seen = torch.cat([each.detach() for each in evidence], dim=1).contiguous(memory_format=torch.channels_last)
        hidden = functional.relu(self.enter(seen))
        hidden = hidden + functional.relu(self.body(hidden))
        logit: Map = self.logit(hidden).float()
        return logit


def overclaimed(disparity: Disparity) -> Disparity:
    """By how much the nearest pixel of the row that lands on the same right column is nearer, in px, not under 0.

    A pixel that another one hides from the right eye has a positive value; disparities in pixels of this very map.
    """
    batch, _, height, width = disparity.shape
    columns = torch.arange(width, dtype=disparity.dtype, device=disparity.device)
    landing = (columns - disparity).round().long().clamp(-1, width) + 1  # 0 and width + 1: out of frame
    nearest = disparity.new_zeros(batch, 1, height, width + 2).scatter_reduce(3, landing, disparity, "amax")
    return nearest.gather(3, landing) - disparity
