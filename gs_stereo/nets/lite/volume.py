"""The correlation volume and reading a disparity from it.

Plane k of a volume compares left column x with right column x - k. Features are normalised within each group
(group-wise correlation, Guo et al., CVPR 2019, with cosines), so every plane is on one scale: nothing in the net
depends on how many planes there are, and the range is chosen when it runs.
"""

import torch
from jaxtyping import Float
from torch.nn import functional

Features = Float[torch.Tensor, "b c h w"]
Volume = Float[torch.Tensor, "b g d h w"]
Scores = Float[torch.Tensor, "b d h w"]
_EPSILON = 1e-4  # of a squared length; flat features give cosines near 0 instead of amplified noise


def unit_groups(features: Features, groups: int) -> Float[torch.Tensor, "b g c h w"]:
    """Channels in groups, each scaled to length 1 at every pixel; in float32, which mixed precision needs too."""
    batch, channels, height, width = features.shape
    grouped = features.float().view(batch, groups, channels // groups, height, width)
    return grouped * torch.rsqrt(grouped.square().sum(2, keepdim=True) + _EPSILON)


def correlation_volume(left: Features, right: Features, planes: int, groups: int) -> Volume:
    """Cosines of left pixels with right pixels 0 .. planes - 1 columns to the left; 0 where that is out of frame."""
    left_units, right_units = unit_groups(left, groups), unit_groups(right, groups)
    width = left.shape[-1]
    columns = []
    for shift in range(planes):
        kept = max(width - shift, 0)
        cosines = (left_units[..., width - kept :] * right_units[..., :kept]).sum(2)
        columns.append(functional.pad(cosines, (width - kept, 0)))
    return torch.stack(columns, dim=2)


def expected_plane(scores: Scores) -> Float[torch.Tensor, "b 1 h w"]:
    """The mean plane under softmax over all planes."""
    planes = torch.arange(scores.shape[1], dtype=scores.dtype, device=scores.device).view(1, -1, 1, 1)
    return (scores.softmax(1) * planes).sum(1, keepdim=True)  # mixed precision would round a product of matrices


def peak_share(scores: Scores, radius: int = 1) -> Float[torch.Tensor, "b 1 h w"]:
    """The probability, under softmax, of the best plane and `radius` planes to either side."""
    share = functional.pad(scores.softmax(1), (0, 0, 0, 0, radius, radius))
    best = share.argmax(1, keepdim=True)
    return sum(
        (share.gather(1, best + k) for k in range(-radius, radius + 1)), torch.zeros_like(best, dtype=share.dtype)
    )


def peak_plane(scores: Scores, radius: int = 2) -> Float[torch.Tensor, "b 1 h w"]:
    """The mean plane under softmax over the best plane and `radius` planes to either side of it.

    A second surface elsewhere in the range then does not pull the answer off the first.
    """
    last = scores.shape[1] - 1
    best = scores.detach().argmax(1, keepdim=True)
    offsets = torch.arange(-radius, radius + 1, device=scores.device).view(1, -1, 1, 1)
    planes = best + offsets
    near = scores.gather(1, planes.clamp(0, last))
    near = near.masked_fill((planes < 0) | (planes > last), -torch.inf)
    return (near.softmax(1) * planes).sum(1, keepdim=True)
