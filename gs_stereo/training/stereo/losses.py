"""Losses of a stereo net: supervised by labels, and photometric where there is no label to trust."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float

from gs_stereo.training.photometric import Images, Maps, Mask, ssim_map, warp_right
from gs_stereo.training.stereo.config import LossConfig
from gs_stereo.training.stereo.data import Batch


def total_loss(predictions: Sequence[Maps], batch: Batch, config: LossConfig) -> Float[torch.Tensor, ""]:
    """Supervised loss on trusted labels plus, if wanted, the photometric one on the other pixels."""
    trusted = trusted_labels(batch, config)
    seen = torch.where(batch.hidden, config.hidden_weight, 1.0)
    weight = trusted * seen * (batch.confidence if config.weigh_by_confidence else 1.0)
    loss = sequence_loss(predictions, batch.disparity, weight, config)
    if config.photometric > 0:
        open_pixels = ~trusted & ~batch.hidden
        loss = loss + config.photometric * photometric_loss(
            predictions[-1], batch.left, batch.right, open_pixels, config.ssim_share
        )
    return loss


def trusted_labels(batch: Batch, config: LossConfig) -> Mask:
    """Where the label is used: it exists, is in range and confident enough."""
    return batch.valid & (batch.disparity <= config.max_disparity_px) & (batch.confidence >= config.min_confidence)


def sequence_loss(
    predictions: Sequence[Maps], target_px: Maps, weight: Maps, config: LossConfig
) -> Float[torch.Tensor, ""]:
    """Weighted mean absolute error of every stage in px; stage i of n counts gamma^(n - 1 - i) (RAFT, eq. 7).

    weight: 0 = no label. The sum of all weights divides, at least 1, so that a batch with hardly a label has
    hardly a say.
    """
    total = weight.sum().clamp_min(1.0)
    last = len(predictions) - 1
    errors = [
        config.gamma ** (last - i) * (saturated((each - target_px).abs(), config.saturation_px) * weight).sum()
        for i, each in enumerate(predictions)
    ]
    return torch.stack(errors).sum() / total


def saturated(error_px: Maps, limit_px: float | None) -> Maps:
    """The error up to the limit s, s (1 + log(error / s)) beyond it: continuous with its slope."""
    if limit_px is None:
        return error_px
    beyond = limit_px * (1 + torch.log(error_px.clamp_min(limit_px) / limit_px))
    return torch.where(error_px <= limit_px, error_px, beyond)


def photometric_loss(
    disparity_px: Maps, left: Images, right: Images, mask: Mask, ssim_share: float
) -> Float[torch.Tensor, ""]:
    """Difference of the left and the warped right image, averaged over `mask` (Godard et al., CVPR 2017).

    Occlusion-aware in two ways: `mask` leaves out pixels that are known to be hidden, and a pixel does not count
    where another pixel to its right claims the same match with a larger disparity, or the match is out of frame.
    """
    warped, inside = warp_right(right, disparity_px)
    absolute = (left - warped).abs().mean(1, keepdim=True)
    structure = (1 - ssim_map(left, warped).mean(1, keepdim=True)) / 2
    error = ssim_share * structure + (1 - ssim_share) * absolute
    weight = (mask & inside & ~hidden_by_others(disparity_px.detach())).float()
    return (error * weight).sum() / weight.sum().clamp_min(1.0)


def hidden_by_others(disparity_px: Maps, tolerance_px: float = 1.0) -> Mask:
    """True where a nearer pixel of the same row lands on the same column of the right image."""
    batch, _, height, width = disparity_px.shape
    columns = torch.arange(width, dtype=disparity_px.dtype, device=disparity_px.device)
    landing = (columns - disparity_px).round().long().clamp(-1, width) + 1  # 0 and width + 1: out of frame
    nearest = disparity_px.new_zeros(batch, 1, height, width + 2).scatter_reduce_(3, landing, disparity_px, "amax")
    return nearest.gather(3, landing) > disparity_px + tolerance_px
