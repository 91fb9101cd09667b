"""Residual encoders of RAFT-Stereo: one for matching, one for context at three resolutions (paper, section 3.1).

Attribute names are those of the published checkpoints.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

Map = Float[torch.Tensor, "b c h w"]
Norm = Literal["batch", "instance"]
TRUNK_CHANNELS = 128


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """Batch normalisation, or instance normalisation without parameters."""
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the shortcut is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm1 = make_norm(norm, outputs)
        self.norm2 = make_norm(norm, outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.norm3 = make_norm(norm, outputs)  # in checkpoints under both names
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), self.norm3)

    def forward(self, x: Map) -> Map:
        y = functional.relu(self.norm1(self.conv1(x)))
        y = functional.relu(self.norm2(self.conv2(y)))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


def _stage(inputs: int, outputs: int, norm: Norm, stride: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(inputs, outputs, norm, stride), ResidualBlock(outputs, outputs, norm))


class Trunk(nn.Module):
    """Down to 1 / 2^downsample of the resolution, 128 channels."""

    def __init__(self, norm: Norm, downsample: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 1 + (downsample > 2), 3)
        self.norm1 = make_norm(norm, 64)
        self.layer1 = _stage(64, 64, norm, 1)
        self.layer2 = _stage(64, 96, norm, 1 + (downsample > 1))
        self.layer3 = _stage(96, TRUNK_CHANNELS, norm, 1 + (downsample > 0))

    def trunk(self, images: Float[torch.Tensor, "b 3 h w"]) -> Map:
        """Features before the heads."""
        features: Map = self.layer3(self.layer2(self.layer1(functional.relu(self.norm1(self.conv1(images))))))
        return features


class MatchingEncoder(Trunk):
    """256 matching features at 1 / 2^downsample."""

    def __init__(self, downsample: int) -> None:
        super().__init__("instance", downsample)
        self.conv2 = nn.Conv2d(TRUNK_CHANNELS, 256, 1)

    def forward(self, images: Float[torch.Tensor, "b 3 h w"]) -> Map:
        features: Map = self.conv2(self.trunk(images))
        return features


class ContextEncoder(Trunk):
    """For each recurrent unit two maps, its initial state and its context, at 1, 1/2 and 1/4 of the field's size."""

    def __init__(self, norm: Norm, downsample: int, hidden: int) -> None:
        super().__init__(norm, downsample)
        self.layer4 = _stage(TRUNK_CHANNELS, TRUNK_CHANNELS, norm, 2)
        self.layer5 = _stage(TRUNK_CHANNELS, TRUNK_CHANNELS, norm, 2)
        self.outputs08 = nn.ModuleList(_head(norm, hidden) for _ in range(2))
        self.outputs16 = nn.ModuleList(_head(norm, hidden) for _ in range(2))
        self.outputs32 = nn.ModuleList(nn.Conv2d(TRUNK_CHANNELS, hidden, 3, padding=1) for _ in range(2))

    def forward(self, features: Map, levels: int) -> list[list[Map]]:
        """[finest, ..., coarsest], each [state, context], from the features of the trunk."""
        maps = [[head(features) for head in self.outputs08]]
        for layer, heads in ((self.layer4, self.outputs16), (self.layer5, self.outputs32)):
            if len(maps) < levels:
                features = layer(features)
                maps.append([head(features) for head in heads])
        return maps


def _head(norm: Norm, hidden: int) -> nn.Sequential:
    block = ResidualBlock(TRUNK_CHANNELS, TRUNK_CHANNELS, norm)
    return nn.Sequential(block, nn.Conv2d(TRUNK_CHANNELS, hidden, 3, padding=1))


def initialise(module: nn.Module) -> None:
    """Kaiming initialisation of every convolution."""
    for each in module.modules():
        if isinstance(each, nn.Conv2d):
            nn.init.kaiming_normal_(each.weight, mode="fan_out", nonlinearity="relu")
