"""3D convolutions that gather evidence in the correlation volume: a U-shaped net at 1/4, 1/8 and 1/16.

At each level the left image's features open and close channels pixel by pixel (guided excitation, Bangunharcana et
al., IROS 2021), so that evidence spreads within surfaces and stops at their edges.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from gs_stereo.matching.nets.lite.features import CHANNELS, Pyramid
from gs_stereo.matching.nets.lite.volume import Scores, Volume


def conv3d(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3x3 convolution, batch normalisation, ReLU. (Instance statistics would depend on the range.)"""
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)
    )


class Guide(nn.Module):
    """Weights every channel of the volume by what the left image shows there, the same on all planes."""

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(features, channels, 1)

    def forward(self, volume: Volume, features: Float[torch.Tensor, "b f h w"]) -> Volume:
        return volume * torch.sigmoid(self.gate(features))[:, :, None]


class Aggregation(nn.Module):
    """(B, groups, D, H/4, W/4) -> scores (B, D, H/4, W/4). D, H/4 and W/4 are multiples of 4."""

    def __init__(self, groups: int, channels: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = channels
        _, c4, c8, c16 = CHANNELS
        self.enter = conv3d(groups, fine)
        self.guide4 = Guide(c4, fine)
        self.down8 = nn.Sequential(conv3d(fine, middle, stride=2), conv3d(middle, middle))
        self.guide8 = Guide(c8, middle)
        self.down16 = nn.Sequential(conv3d(middle, coarse, stride=2), conv3d(coarse, coarse), conv3d(coarse, coarse))
        self.guide16 = Guide(c16, coarse)
        self.lateral8 = nn.Conv3d(coarse, middle, 1)
        self.up8 = conv3d(middle, middle)
        self.lateral4 = nn.Conv3d(middle, fine, 1)
        self.up4 = conv3d(fine, fine)
        self.score = nn.Conv3d(fine, 1, 3, padding=1)

    def forward(self, volume: Volume, left: Pyramid) -> Scores:
        volume = volume.contiguous(memory_format=torch.channels_last_3d)  # on CPUs over twice as fast with few channels
        level4 = self.guide4(self.enter(volume), left.quarter)
        level8 = self.guide8(self.down8(level4), left.eighth)
        level16 = self.guide16(self.down16(level8), left.sixteenth)
        level8 = self.up8(level8 + _doubled(self.lateral8(level16)))
        level4 = self.up4(level4 + _doubled(self.lateral4(level8)))
        scores: Scores = self.score(level4)[:, 0]
        return scores


def _doubled(volume: Volume) -> Volume:
    return functional.interpolate(volume, scale_factor=2.0, mode="trilinear", align_corners=False)
