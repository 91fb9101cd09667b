"""What losses on pictures are made of: a picture seen from its other eye, and structural similarity."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch.nn import functional

from gs_stereo.imaging.ssim import ssim_from_moments

Maps = Float[torch.Tensor, "b 1 h w"]
Images = Float[torch.Tensor, "b 3 h w"]
Mask = Bool[torch.Tensor, "b 1 h w"]
_SSIM_WINDOW = 3


def warp_right(right: Images, disparity_px: Maps) -> tuple[Images, Mask]:
    """The right image seen from the left, bilinear, and where the match lies in frame.

    disparity_px: x_left - x_right of the left image's pixels; negative where the other eye is to the left.
    """
    width = right.shape[-1]
    columns = torch.arange(width, dtype=disparity_px.dtype, device=disparity_px.device)
    position = columns - disparity_px
    inside = (position >= 0) & (position <= width - 1)
    first = position.detach().floor().clamp(0, max(width - 2, 0))
    index = first.long().expand(-1, right.shape[1], -1, -1)
    share = (position.clamp(0, width - 1) - first).expand_as(index)
    one, two = right.gather(3, index), right.gather(3, (index + 1).clamp(max=width - 1))
    return torch.lerp(one, two, share), inside


def ssim_map(first: Images, second: Images) -> Images:
    """SSIM in 3x3 windows, borders by the pixels that are there."""

    def mean(image: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(image, _SSIM_WINDOW, 1, _SSIM_WINDOW // 2, count_include_pad=False)

    mean_1, mean_2 = mean(first), mean(second)
    variance_1 = (mean(first.square()) - mean_1.square()).clamp_min(0)
    variance_2 = (mean(second.square()) - mean_2.square()).clamp_min(0)
    ssim: Images = ssim_from_moments(mean_1, mean_2, variance_1 + variance_2, mean(first * second) - mean_1 * mean_2)
    return ssim
