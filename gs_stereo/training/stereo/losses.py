"""Losses of a stereo net: supervised by labels, and photometric where there is no label to trust."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch.nn import functional

from gs_stereo.nets.lite.confidence import overclaimed
from gs_stereo.nets.protocol import NetAnswer
from gs_stereo.training.photometric import Images, Maps, Mask, ssim_map, warp_right
from gs_stereo.training.stereo.config import LossConfig
from gs_stereo.training.stereo.data import Batch

_RIGHT_PX = 1.0  # as the confidence of a shard is defined


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


def confidence_loss(answer: NetAnswer, batch: Batch, config: LossConfig) -> Float[torch.Tensor, ""]:
    """Cross entropy of the net's confidence and whether its last disparity is within 1 px of a trusted label."""
    assert answer.logit is not None
    right = ((answer.disparities[-1].detach() - batch.disparity).abs() < _RIGHT_PX).float()
    weight = trusted_labels(batch, config) * (batch.confidence if config.weigh_by_confidence else 1.0)
    surprise = functional.binary_cross_entropy_with_logits(answer.logit.float(), right, weight, reduction="sum")
    return surprise / weight.sum().clamp_min(1.0)


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
    return overclaimed(disparity_px) > tolerance_px
