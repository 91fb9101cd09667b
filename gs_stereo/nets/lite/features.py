"""Feature pyramids of both images by one small encoder-decoder.

Instance normalisation everywhere: what is learned does not hang on the brightness and contrast of the training
images, and training and prediction compute the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

CHANNELS = (24, 48, 64, 96)
"""Channels at 1/2, 1/4, 1/8 and 1/16 of the resolution."""

Map = Float[torch.Tensor, "b c h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pyramid:
    """Features at 1/2, 1/4, 1/8 and 1/16 of the resolution; the last has seen most of the image."""

    half: Map
    quarter: Map
    eighth: Map
    sixteenth: Map

    def split(self) -> tuple[Pyramid, Pyramid]:
        """The two halves of the batch."""
        first, second = zip(*(level.chunk(2) for level in vars(self).values()), strict=True)
        return Pyramid(**dict(zip(vars(self), first, strict=True))), Pyramid(
            **dict(zip(vars(self), second, strict=True))
        )


class _Normalised(torch.autograd.Function):
    """Instance normalisation with scale and offset whose backward takes three passes: torch's own is slow on CPUs."""

    @staticmethod
    def forward(ctx: Any, x: Map, weight: torch.Tensor, bias: torch.Tensor, epsilon: float) -> Map:
        batch, channels, height, width = x.shape
        answer, mean, inverse = torch.native_group_norm(
            x, weight, bias, batch, channels, height * width, channels, epsilon
        )
        ctx.save_for_backward(x, weight, mean, inverse)
        return answer

    @staticmethod
    def backward(ctx: Any, *gradients: Map) -> tuple[Map, torch.Tensor, torch.Tensor, None]:
        x, weight, mean, inverse = ctx.saved_tensors
        batch, channels, height, width = x.shape
        count = height * width
        rows, values = gradients[0].reshape(batch * channels, 1, count), x.reshape(batch * channels, count, 1)
        total = rows.sum(2).view(batch, channels)
        with_x = torch.bmm(rows, values).view(batch, channels)
        along = (with_x - mean * total) * inverse  # sum of gradient times normalised value
        slope = -inverse.square() * along * weight / count
        offset = -inverse * weight * total / count - slope * mean
        factor, slope, offset = (each[..., None, None] for each in (inverse * weight, slope, offset))
        return torch.addcmul(offset + factor * gradients[0], slope, x), along.sum(0), total.sum(0), None


class InstanceNorm(nn.GroupNorm):
    """Groups of one channel: on CPUs torch is several times as fast at them as at its own instance normalisation.

    As exact as that as long as the channels are not last in memory.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Map) -> Map:
        if not torch.is_grad_enabled():
            return super().forward(x)
        answer: Map = _Normalised.apply(x.float().contiguous(), self.weight, self.bias, self.eps)
        return answer


def conv_norm(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, instance normalisation, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, InstanceNorm(outputs), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Two convolutions added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_norm(channels, channels)
        self.second = conv_norm(channels, channels)

    def forward(self, x: Map) -> Map:
        return x + self.second(self.first(x))


class Merge(nn.Module):
    """Brings a coarse map to the next finer level and joins the two."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(coarse, fine, 1)
        self.joined = conv_norm(fine, fine)

    def forward(self, coarse: Map, fine: Map) -> Map:
        raised = functional.interpolate(self.lateral(coarse), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.joined(fine + raised)


class FeatureNet(nn.Module):
    """(B, 3, H, W) in [0, 1] -> Pyramid; H and W are multiples of 16."""

    def __init__(self) -> None:
        super().__init__()
        c2, c4, c8, c16 = CHANNELS
        self.down2 = nn.Sequential(conv_norm(3, c2, stride=2), conv_norm(c2, c2))
        self.down4 = nn.Sequential(conv_norm(c2, c4, stride=2), Residual(c4))
        self.down8 = nn.Sequential(conv_norm(c4, c8, stride=2), Residual(c8))
        self.down16 = nn.Sequential(conv_norm(c8, c16, stride=2), Residual(c16), Residual(c16))
        self.up8 = Merge(c16, c8)
        self.up4 = Merge(c8, c4)
        self.up2 = Merge(c4, c2)

    def forward(self, images: Float[torch.Tensor, "b 3 h w"]) -> Pyramid:
        half = self.down2(2 * images - 1)
        quarter = self.down4(half)
        eighth = self.down8(quarter)
        sixteenth = self.down16(eighth)
        eighth = self.up8(sixteenth, eighth)
        quarter = self.up4(eighth, quarter)
        return Pyramid(half=self.up2(quarter, half), quarter=quarter, eighth=eighth, sixteenth=sixteenth)
