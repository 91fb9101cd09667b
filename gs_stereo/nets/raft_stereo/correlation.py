"""All-pairs correlation along rows, its pyramid, and the lookup around the current disparity (paper, section 3.2)."""

import torch
from jaxtyping import Float
from torch.nn import functional

Features = Float[torch.Tensor, "b c h w"]


class CorrelationPyramid:
    """Scalar products of every left pixel with every right pixel of its row, the right columns averaged by 2, 4, 8."""

    def __init__(self, left: Features, right: Features, levels: int, radius: int) -> None:
        products = torch.matmul(left.permute(0, 2, 3, 1), right.permute(0, 2, 1, 3)) / left.shape[1] ** 0.5
        self._radius = radius
        self._levels = [products.float()]
        for _ in range(levels - 1):
            finer = self._levels[-1]
            flat = finer.reshape(-1, 1, finer.shape[-1])
            self._levels.append(functional.avg_pool1d(flat, 2).view(*finer.shape[:-1], -1))

    def lookup(self, column: Float[torch.Tensor, "b 1 h w"]) -> Float[torch.Tensor, "b k h w"]:
        """Products at `column` + (-radius .. radius) of every level, linear between columns, 0 out of frame.

        column: where each left pixel's match is, in columns of the finest level.
        """
        samples = [self._sampled(level, column[:, 0] / 2**number) for number, level in enumerate(self._levels)]
        return torch.cat(samples, dim=-1).permute(0, 3, 1, 2).contiguous()

    def _sampled(
        self, level: Float[torch.Tensor, "b h w1 w2"], centre: Float[torch.Tensor, "b h w1"]
    ) -> Float[torch.Tensor, "b h w1 s"]:
        first = centre.floor()
        share = (centre - first)[..., None]
        width = level.shape[-1]
        offsets = torch.arange(-self._radius, self._radius + 2, device=level.device)
        columns = first.clamp(-width - offsets.numel(), 2 * width + offsets.numel()).long()[..., None] + offsets
        inside = (columns >= 0) & (columns < width)
        values = level.gather(-1, columns.clamp(0, width - 1)).masked_fill(~inside, 0.0)
        return torch.lerp(values[..., :-1], values[..., 1:], share)
