"""Learned upsampling by convex combinations (Teed and Deng, RAFT, ECCV 2020)."""

import torch
from jaxtyping import Float
from torch.nn import functional


def convex_upsample(
    field: Float[torch.Tensor, "b 1 h w"], logits: Float[torch.Tensor, "b k h w"], factor: int
) -> Float[torch.Tensor, "b 1 fh fw"]:
    """Every fine pixel is a convex combination of the 3x3 coarse pixels around it; values are not rescaled.

    logits: channel (n * factor + i) * factor + j weighs neighbour n (row by row from the upper left) for the fine pixel
    (i, j) inside its coarse pixel. Out of frame counts as 0, as in RAFT's published code, so that its weights fit.
    """
    batch, _, height, width = field.shape
    weights = logits.view(batch, 9, factor * factor, height, width).softmax(1)
    neighbours = functional.unfold(field, 3, padding=1).view(batch, 9, 1, height, width)
    return functional.pixel_shuffle((weights * neighbours).sum(1), factor)
