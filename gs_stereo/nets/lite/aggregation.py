"""3D convolutions that gather evidence in the correlation volume: a U-shaped net at 1/4, 1/8 and 1/16.

At each level the left image's features open and close channels pixel by pixel (guided excitation, Bangunharcana et
al., IROS 2021), so that evidence spreads within surfaces and stops at their edges.
"""

from typing import cast

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from gs_stereo.nets.lite.features import CHANNELS, Pyramid
from gs_stereo.nets.lite.volume import Scores, Volume


class Conv3d(nn.Conv3d):
    """A 3D convolution that takes oneDNN on CPUs at every size: torch itself is six times as slow for small volumes."""

    def convolve(self, volume: Volume, weight: torch.Tensor, bias: torch.Tensor | None) -> Volume:
        """The convolution with other weights than its own."""
        answer: Volume
        if torch.is_autocast_enabled(volume.device.type):
            half = torch.get_autocast_dtype(volume.device.type)
            volume, weight = volume.to(half), weight.to(half)
            bias = None if bias is None else bias.to(half)
        if volume.device.type == "cpu" and torch.backends.mkldnn.is_available():
            answer = torch.ops.aten.mkldnn_convolution(
                volume, weight, bias, self.padding, self.stride, self.dilation, self.groups
            )
        else:
            answer = functional.conv3d(volume, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        return answer

    def forward(self, volume: Volume) -> Volume:
        return self.convolve(volume, self.weight, self.bias)


class ConvNorm3d(nn.Sequential):
    """3x3x3 convolution, batch normalisation, ReLU. (Instance statistics would depend on the range.)

    Outside training the normalisation is a fixed scale and offset, and the convolution does it by the way.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(Conv3d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm3d(outputs))

    def forward(self, volume: Volume) -> Volume:
        return functional.relu(super().forward(volume) if self.training else self._folded(volume), inplace=True)

    def _folded(self, volume: Volume) -> Volume:
        convolution, norm = cast(Conv3d, self[0]), cast(nn.BatchNorm3d, self[1])
        mean, variance = cast(torch.Tensor, norm.running_mean), cast(torch.Tensor, norm.running_var)
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        weight = convolution.weight * scale.view(-1, 1, 1, 1, 1)
        return convolution.convolve(volume, weight, norm.bias - mean * scale)


class Guide(nn.Module):
    """Weights every channel of the volume by what the left image shows there, the same on all planes."""

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(features, channels, 1)

    def forward(self, volume: Volume, features: Float[torch.Tensor, "b f h w"]) -> Volume:
        return volume * torch.sigmoid(self.gate(features))[:, :, None]


class Wide(nn.Module):
    """What lies farther apart than the rest of the net sees, at 1/32: evidence reaches the middle of blank surfaces.

    Begins as nothing, so that it can be added to a trained net.
    """

    def __init__(self, outside: int, channels: int) -> None:
        super().__init__()
        self.down32 = ConvNorm3d(outside, channels, stride=2)
        self.body = nn.Sequential(ConvNorm3d(channels, channels), ConvNorm3d(channels, channels))
        self.back = nn.Conv3d(channels, outside, 1)
        nn.init.zeros_(self.back.weight)
        nn.init.zeros_(cast(torch.Tensor, self.back.bias))

    def forward(self, volume: Volume) -> Volume:
        small = self.down32(volume)
        size = cast(list[int], volume.shape[2:])
        return functional.interpolate(
            self.back(small + self.body(small)), size=size, mode="trilinear", align_corners=False
        )


class Aggregation(nn.Module):
    """(B, groups, D, H/4, W/4) -> scores (B, D, H/4, W/4). D, H/4 and W/4 are multiples of 4."""

    def __init__(self, groups: int, channels: tuple[int, int, int], wide_channels: int) -> None:
        super().__init__()
        fine, middle, coarse = channels
        _, c4, c8, c16 = CHANNELS
        self.enter = ConvNorm3d(groups, fine)
        self.guide4 = Guide(c4, fine)
        self.down8 = nn.Sequential(ConvNorm3d(fine, middle, stride=2), ConvNorm3d(middle, middle))
        self.guide8 = Guide(c8, middle)
        self.down16 = nn.Sequential(
            ConvNorm3d(middle, coarse, stride=2), ConvNorm3d(coarse, coarse), ConvNorm3d(coarse, coarse)
        )
        self.guide16 = Guide(c16, coarse)
        self.wide = Wide(coarse, wide_channels) if wide_channels else None
        self.lateral8 = nn.Conv3d(coarse, middle, 1)
        self.up8 = ConvNorm3d(middle, middle)
        self.lateral4 = nn.Conv3d(middle, fine, 1)
        self.up4 = ConvNorm3d(fine, fine)
        self.score = Conv3d(fine, 1, 3, padding=1)

    def forward(self, volume: Volume, left: Pyramid) -> Scores:
        volume = volume.contiguous(memory_format=torch.channels_last_3d)  # on CPUs over twice as fast with few channels
        level4 = self.guide4(self.enter(volume), left.quarter)
        level8 = self.guide8(self.down8(level4), left.eighth)
        level16 = self.guide16(self.down16(level8), left.sixteenth)
        if self.wide is not None:
            level16 = level16 + self.wide(level16)
        level8 = self.up8(level8 + _doubled(self.lateral8(level16)))
        level4 = self.up4(level4 + _doubled(self.lateral4(level8)))
        scores: Scores = self.score(level4)[:, 0].float()
        return scores


def _doubled(volume: Volume) -> Volume:
    return functional.interpolate(volume, scale_factor=2.0, mode="trilinear", align_corners=False)
