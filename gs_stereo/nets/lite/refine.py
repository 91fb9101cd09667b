"""Refinement at half resolution: compare again around the current disparity, correct it, and upsample to full size."""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from gs_stereo.nets.lite.confidence import overclaimed
from gs_stereo.nets.lite.features import CHANNELS
from gs_stereo.nets.lite.prior import HalfPrior
from gs_stereo.nets.lite.volume import unit_groups

Map = Float[torch.Tensor, "b c h w"]
Disparity = Float[torch.Tensor, "b 1 h w"]
_GROUPS = 2
_SURROUNDINGS = 9
_SCALE_PX = 8.0
_PRIOR_SCALES_PX = (1.0, 8.0)
_PRIOR_RADIUS = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """What a pair shows at half resolution: context of the left image, features of both, and the prior."""

    context: Map
    left: Float[torch.Tensor, "b g c h w"]
    right: Float[torch.Tensor, "b g c h w"]
    prior: HalfPrior
    at_prior: Map


@dataclass(frozen=True, kw_only=True, eq=False)
class Refined:
    """disparity_px: at half resolution, in full-resolution pixels. weights: to upsample it. hidden: the last layer."""

    disparity_px: Disparity
    weights: Float[torch.Tensor, "b 36 h w"]
    hidden: Map


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

    Sees cosines around the current match and around that of the prior, how far the two are apart, the relief of the
    current disparity (its difference from the mean of the surroundings, so that nothing depends on the distance to
    the camera), features and colours of the left image. Answers with a share of the way to the prior and a correction.
    """

    def __init__(self, channels: int, radius: int) -> None:
        super().__init__()
        features = CHANNELS[0]
        self.radius = radius
        seen = _GROUPS * (2 * radius + 1 + 2 * _PRIOR_RADIUS + 1) + 4 * (len(_PRIOR_SCALES_PX) + 1) + 2
        self.context = nn.Conv2d(features + 12, channels, 3, padding=1)
        self.evidence = nn.Conv2d(seen, channels, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=d, dilation=d) for d in (1, 2, 4, 1))
        self.correction = nn.Conv2d(channels, 2, 3, padding=1)
        self.weights = nn.Conv2d(channels, 9 * 4, 1)
        nn.init.zeros_(self.correction.weight)

    def prepare(self, image: Float[torch.Tensor, "b 3 h2 w2"], left: Map, right: Map, prior: HalfPrior) -> Scene:
        """What does not change from step to step, from the full image and the half-resolution features of both."""
        seen = torch.cat([left, functional.pixel_unshuffle(2 * image - 1, 2)], dim=1)
        context = self.context(seen.contiguous(memory_format=torch.channels_last))
        left_units, right_units = unit_groups(left, _GROUPS), unit_groups(right, _GROUPS)
        at_prior = local_correlation(left_units, right_units, prior.candidate_px / 2, _PRIOR_RADIUS) * prior.known
        return Scene(context=context, left=left_units, right=right_units, prior=prior, at_prior=at_prior)

    def forward(self, scene: Scene, disparity_px: Disparity) -> Refined:
        """One step on from a disparity at half resolution, in full-resolution pixels."""
        prior = scene.prior
        here = local_correlation(scene.left, scene.right, disparity_px / 2, self.radius)
        away = (prior.pixels_px - disparity_px) * prior.valid
        distances = [torch.tanh(away / scale) for scale in _PRIOR_SCALES_PX]
        evidence = torch.cat([here, scene.at_prior, prior.valid, *distances, _relief(disparity_px)], dim=1)
        evidence = evidence.contiguous(memory_format=torch.channels_last)
        hidden = functional.relu(scene.context + self.evidence(evidence), inplace=True)
        for layer in self.body:
            hidden = hidden + functional.relu(layer(hidden), inplace=True)
        correction, towards = self.correction(hidden).float().split(1, dim=1)
        jump = torch.sigmoid(towards) * prior.known * (prior.candidate_px - disparity_px)
        corrected = disparity_px + jump + correction
        return Refined(disparity_px=corrected, weights=self.weights(hidden).float(), hidden=hidden)

    def signs(self, scene: Scene, disparity_px: Disparity) -> list[Map]:
        """What a final disparity looks like: the match, the prior's view, its relief, pixels that hide each other."""
        prior = scene.prior
        match = local_correlation(scene.left, scene.right, disparity_px / 2, 0)
        away = torch.tanh((prior.candidate_px - disparity_px).abs() / _PRIOR_SCALES_PX[0]) * prior.known
        hidden = torch.tanh(overclaimed(disparity_px / 2))
        return [match, away, prior.known, _relief(disparity_px).abs(), hidden]


def _relief(disparity_px: Disparity) -> Float[torch.Tensor, "b 2 h w"]:
    """Difference from the near and the wider surroundings, squashed."""
    near, wide = (
        functional.avg_pool2d(disparity_px, size, 1, size // 2, count_include_pad=False) for size in (3, _SURROUNDINGS)
    )
    return torch.tanh(torch.cat([disparity_px - near, disparity_px - wide], dim=1) / _SCALE_PX)
