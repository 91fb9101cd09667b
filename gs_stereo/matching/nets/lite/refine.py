"""Refinement at half resolution: compare again around the current disparity, correct it, and upsample to full size."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from gs_stereo.matching.nets.lite.features import CHANNELS
from gs_stereo.matching.nets.lite.volume import unit_groups
from gs_stereo.matching.nets.upsampling import convex_upsample

Map = Float[torch.Tensor, "b c h w"]
Disparity = Float[torch.Tensor, "b 1 h w"]
_GROUPS = 2
_SURROUNDINGS = 9
_SCALE_PX = 8.0


def local_correlation(
    left: Float[torch.Tensor, "b g c h w"], right: Float[torch.Tensor, "b g c h w"], shift: Disparity, radius: int
) -> Map:
    """Products of left pixels with right pixels at x - shift + k, k = -radius .. radius, linear between columns.

    Columns out of frame repeat the border. The gradient goes to the features, not to `shift`.
    """
    batch, groups, channels, height, width = right.shape
    position = torch.arange(width, dtype=shift.dtype, device=shift.device) - shift.detach()
    first = position.floor()
    share = position - first
    column = first.long()
    flat = right.reshape(batch, groups * channels, height, width)
    products = []
    for offset in range(-radius, radius + 2):
        index = (column + offset).clamp(0, width - 1).expand(-1, groups * channels, -1, -1)
        products.append((left * flat.gather(3, index).view_as(left)).sum(2))
    between = [torch.lerp(one, two, share) for one, two in itertools.pairwise(products)]
    return torch.cat(between, dim=1)


class Refiner(nn.Module):
    """One refinement step; the same weights serve every step.

    Sees cosines around the current match, the relief of the current disparity (its difference from the mean of the
    surroundings, so that nothing depends on the distance to the camera), features and colours of the left image.
    """

    def __init__(self, channels: int, radius: int) -> None:
        super().__init__()
        features = CHANNELS[0]
        self.radius = radius
        self.context = nn.Conv2d(features + 12, channels, 3, padding=1)
        self.evidence = nn.Conv2d(_GROUPS * (2 * radius + 1) + 2, channels, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=d, dilation=d) for d in (1, 2, 4, 1))
        self.correction = nn.Conv2d(channels, 1, 3, padding=1)
        self.weights = nn.Conv2d(channels, 9 * 4, 1)
        nn.init.zeros_(self.correction.weight)

    def prepare(self, image: Float[torch.Tensor, "b 3 h2 w2"], features: Map) -> Map:
        """What does not change from step to step, from the full image and its half-resolution features."""
        context: Map = self.context(torch.cat([features, functional.pixel_unshuffle(2 * image - 1, 2)], dim=1))
        return context

    def forward(
        self, context: Map, left: Map, right: Map, disparity_px: Disparity
    ) -> tuple[Disparity, Float[torch.Tensor, "b 36 h w"]]:
        """The corrected disparity at half resolution, in full-resolution pixels, and weights to upsample it."""
        cosines = local_correlation(
            unit_groups(left, _GROUPS), unit_groups(right, _GROUPS), disparity_px / 2, self.radius
        )
        hidden = functional.relu(context + self.evidence(torch.cat([cosines, _relief(disparity_px)], dim=1)))
        for layer in self.body:
            hidden = hidden + functional.relu(layer(hidden))
        return disparity_px + self.correction(hidden), self.weights(hidden)


def _relief(disparity_px: Disparity) -> Float[torch.Tensor, "b 2 h w"]:
    """Difference from the near and the wider surroundings, squashed."""
    near, wide = (
        functional.avg_pool2d(disparity_px, size, 1, size // 2, count_include_pad=False) for size in (3, _SURROUNDINGS)
    )
    return torch.tanh(torch.cat([disparity_px - near, disparity_px - wide], dim=1) / _SCALE_PX)


def upsample_half(
    disparity_px: Disparity, weights: Float[torch.Tensor, "b 36 h w"]
) -> Float[torch.Tensor, "b 1 h2 w2"]:
    """To full resolution, convex combinations of 3x3 neighbours."""
    return convex_upsample(disparity_px, weights, 2)
