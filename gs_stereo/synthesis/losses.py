"""Losses of a model that makes second eyes: denoising, the clean picture, and its consistency with exact depth.

L = L_denoise + 1.0 L_pixels + 0.3 L_warp (StereoSpace, arXiv 2512.10959).
"""

from __future__ import annotations

import torch
from jaxtyping import Float

from gs_stereo.synthesis.schedule import Latent, Schedule
from gs_stereo.training.photometric import Images, Maps, Mask, ssim_map, warp_right

PerSample = Float[torch.Tensor, "b"]
_MOST_DISAGREEMENT_PX = 1.0


def denoising_loss(
    answer: Latent,
    target: Latent,
    alpha_bar: Float[torch.Tensor, "b 1 1 1"],
    schedule: Schedule,
    min_snr_gamma: float | None,
) -> Float[torch.Tensor, ""]:
    """Squared error of what the denoiser answers, weighted a sample by min-SNR, or not."""
    error = (answer - target).square().mean(dim=(1, 2, 3))
    if min_snr_gamma is None:
        return error.mean()
    return (error * schedule.min_snr_weight(alpha_bar.reshape(-1), min_snr_gamma)).mean()


def pixel_loss(picture: Images, target: Images, ssim_share: float) -> PerSample:
    """ssim_share (1 - SSIM) + (1 - ssim_share) L1 of pictures in [0, 1], a sample."""
    structure = (1 - ssim_map(picture, target)).mean(dim=(1, 2, 3))
    absolute = (picture - target).abs().mean(dim=(1, 2, 3))
    return ssim_share * structure + (1 - ssim_share) * absolute


def warp_loss(target_picture: Images, source: Images, of_source_px: Maps, mask: Mask) -> PerSample:
    """Mean over the mask of the difference between the source and the target picture warped into it, a sample."""
    warped, _ = warp_right(target_picture, of_source_px)
    weight = mask.to(source)
    error = ((warped - source).abs().mean(dim=1, keepdim=True) * weight).sum(dim=(1, 2, 3))
    return error / weight.sum(dim=(1, 2, 3)).clamp_min(1)


def seen_by_both(of_source_px: Maps, of_target_px: Maps) -> tuple[Maps, Mask]:
    """The source's disparity without NaN, and where source and target see the same surface, by both disparities.

    Both are signed the way of their own picture, so that they cancel: |d_s(x) + d_t(x - d_s)| < 1 px.
    """
    known = torch.isfinite(of_source_px)
    disparity = torch.where(known, of_source_px, 0.0)
    there, inside = warp_right(torch.nan_to_num(of_target_px, nan=torch.inf), disparity)
    return disparity, known & inside & ((disparity + there).abs() < _MOST_DISAGREEMENT_PX)
