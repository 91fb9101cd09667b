"""What a training of StereoSpace minimises (arXiv 2512.10959): the denoiser's answer, the picture it means, its parallax.

L = L_denoise + w_pixel L_pixel + w_warp L_warp. The pixel terms look at the picture of the clean latent that the answer
implies; they count by the signal that is left at the drawn time, because at high noise that picture is a blur.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch.nn import functional

from gs_stereo.imaging.ssim import ssim_map

Pictures = Float[torch.Tensor, "b 3 h w"]
Maps = Float[torch.Tensor, "b 1 h w"]
_SSIM_SHARE = 0.85  # customary for photometric losses (Godard et al., CVPR 2017); the paper names none
_CONSISTENT_PX = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Parallax:
    """Signed disparities x_source - x_target of both pictures in pixels; NaN where there is no depth."""

    of_source: Maps
    of_target: Maps


def photometric(picture: Pictures, truth: Pictures) -> Float[torch.Tensor, "b"]:
    """0.85 (1 - SSIM) / 2 + 0.15 L1 of pictures in [0, 1], a number a sample."""
    unlike = (1 - ssim_map(picture, truth)).mean(dim=(1, 2, 3)) / 2
    return _SSIM_SHARE * unlike + (1 - _SSIM_SHARE) * (picture - truth).abs().mean(dim=(1, 2, 3))


def warp_consistency(picture: Pictures, source: Pictures, parallax: Parallax) -> Float[torch.Tensor, "b"]:
    """Mean |target at x - d - source at x| where both pictures show the point, a number a sample; 0 where none is."""
    back, inside = _sampled(torch.cat([picture, parallax.of_target], dim=1), parallax.of_source)
    # Signs are opposite by definition of the two maps, so that a point seen by both adds up to nothing.
    agree = (parallax.of_source - back[:, 3:]).abs() < _CONSISTENT_PX
    mask = (inside & agree).float()  # NaN compares as False
    difference = torch.nan_to_num(back[:, :3] - source).abs().mean(dim=1, keepdim=True)
    return (difference * mask).sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3)).clamp_min(1)


def _sampled(values: torch.Tensor, disparity: Maps) -> tuple[torch.Tensor, torch.Tensor]:
    """`values` at x - d of the same row, bilinear, and where that is in frame."""
    width = values.shape[-1]
    column = torch.arange(width, device=values.device, dtype=values.dtype) - disparity[:, 0]
    inside = (column >= 0) & (column <= width - 1)
    clamped = torch.nan_to_num(column).clamp(0, width - 1)
    left = clamped.floor().long().clamp_max(width - 2)
    share = (clamped - left)[:, None]
    gather = [
        torch.gather(values, 3, (left + step)[:, None].expand(-1, values.shape[1], -1, -1)) for step in (0, 1)
    ]
    return gather[0] * (1 - share) + gather[1] * share, inside[:, None]


def denoising(answer: torch.Tensor, target: torch.Tensor, weight: Float[torch.Tensor, "b"]) -> torch.Tensor:
    """Weighted squared error, mean over the batch."""
    return (functional.mse_loss(answer, target, reduction="none").mean(dim=(1, 2, 3)) * weight).mean()
