"""Semi-global matches of the images themselves, as evidence beside the learned one.

Semi-global matching (Hirschmueller, PAMI 2008) needs no training and is at home in every kind of scene; where it
speaks and passes its own left-right check it is mostly right. The net sees its matches twice: as votes in the volume
at 1/4, and as a second candidate when it refines at 1/2. What is left to learn is when to follow them, and what to
put where they are silent or wrong: far less than matching from nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch.nn import functional

from gs_stereo.mvs.sgbm import semi_global_disparity
from gs_stereo.mvs.sgbm_config import SgbmConfig

Images = Float[torch.Tensor, "b 3 h w"]
_SETTINGS = SgbmConfig(paths="3", left_right_px=None, own_left_right_px=1, uniqueness_percent=5)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """disparity_px: semi-global matches at full resolution, 0 where there is none. valid: where there is one."""

    disparity_px: Float[torch.Tensor, "b 1 h w"]
    valid: Bool[torch.Tensor, "b 1 h w"]

    def votes(self, planes: int, cell_px: int, plane_px: int) -> Float[torch.Tensor, "b 1 d hc wc"]:
        """The share of a cell's pixels that vote for each plane, linear between planes; 0 where none votes."""
        plane = functional.pixel_unshuffle(self.disparity_px / plane_px, cell_px).clamp(0, planes - 1)
        weight = functional.pixel_unshuffle(self.valid.float(), cell_px) / cell_px**2
        votes = [((1 - (plane - k).abs()).clamp_min(0) * weight).sum(1) for k in range(planes)]
        return torch.stack(votes, dim=1)[:, None]

    def halved(self) -> HalfPrior:
        """The same for cells of 2x2 pixels, pixel by pixel and as one candidate."""
        weight = self.valid.float()
        share = functional.avg_pool2d(weight, 2)
        mean = functional.avg_pool2d(self.disparity_px * weight, 2) / share.clamp_min(0.25)
        return HalfPrior(
            pixels_px=functional.pixel_unshuffle(self.disparity_px, 2),
            valid=functional.pixel_unshuffle(weight, 2),
            candidate_px=mean,
            known=(share > 0).float(),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class HalfPrior:
    """A prior at half resolution, disparities still in full-resolution pixels.

    pixels_px, valid: the four pixels of a cell. candidate_px: the mean of those that are valid; known: 1 if any is.
    """

    pixels_px: Float[torch.Tensor, "b 4 h w"]
    valid: Float[torch.Tensor, "b 4 h w"]
    candidate_px: Float[torch.Tensor, "b 1 h w"]
    known: Float[torch.Tensor, "b 1 h w"]


def semi_global_prior(left: Images, right: Images, range_px: float) -> Prior:
    """Semi-global matches of a batch of images in [0, 1], 0 to `range_px`. No gradient; computed on the CPU."""
    pairs = list(zip(_as_bytes(left), _as_bytes(right), strict=True))
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:  # OpenCV releases the interpreter lock
        answers = list(pool.map(lambda pair: semi_global_disparity(pair[0], pair[1], _SETTINGS, range_px), pairs))
    disparity = torch.from_numpy(np.stack(answers))[:, None].to(left.device)
    valid = torch.isfinite(disparity)
    return Prior(disparity_px=torch.where(valid, disparity, 0.0), valid=valid)


def _as_bytes(images: Images) -> np.ndarray:
    """(B, H, W, 3) uint8."""
    scaled = (images.detach().float() * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy())
