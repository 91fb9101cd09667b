"""`lite`: a compact stereo net that trains and runs on a CPU.

1. One encoder gives features of both images (1/2 to 1/16); semi-global matching gives a prior.
2. Group-wise cosines at 1/4 over the whole range and the votes of the prior, aggregated by a guided 3D U-net.
3. The disparity is the mean under softmax around the best plane.
4. At 1/2, a few steps choose between it and the prior and correct it; convex combinations bring it to full size.
5. A small head says how likely the answer is within a pixel.

The range is an argument: nothing in the weights knows how many planes there are.
"""

import math
from typing import ClassVar

import torch
from torch.nn import functional

from gs_stereo.config import Config
from gs_stereo.errors import ConfigError
from gs_stereo.nets.config import LiteConfig
from gs_stereo.nets.lite.aggregation import Aggregation
from gs_stereo.nets.lite.confidence import SIGNS, ConfidenceHead
from gs_stereo.nets.lite.features import CHANNELS, FeatureNet
from gs_stereo.nets.lite.prior import semi_global_prior
from gs_stereo.nets.lite.refine import Refiner
from gs_stereo.nets.lite.volume import correlation_volume, expected_plane, peak_plane, peak_share
from gs_stereo.nets.lite.working_scale import visible_range_px, working_scale
from gs_stereo.nets.protocol import Disparity, Images, NetAnswer, StereoNet
from gs_stereo.nets.upsampling import convex_upsample

_PLANE_PX = 4
_RANGE_STEP_PX = 16


class LiteStereo(StereoNet):
    """The compact net. Training mode gives 2 + refine_steps disparities, evaluation mode the last one."""

    config_type: ClassVar[type[Config]] = LiteConfig
    multiple: ClassVar[int] = 16
    config: LiteConfig

    def __init__(self, config: LiteConfig | None = None) -> None:
        super().__init__()
        self.config = config = LiteConfig() if config is None else config
        if CHANNELS[1] % config.groups:
            raise ConfigError(f"The net lite has {CHANNELS[1]} matching channels; groups must divide them.")
        self.features = FeatureNet()
        self.aggregation = Aggregation(config.groups + 1, config.volume_channels, config.wide_channels)
        self.refiner = Refiner(config.refine_channels, config.refine_radius)
        self.confidence = ConfidenceHead(config.refine_channels + SIGNS) if config.confidence else None

    def disparities(self, left: Images, right: Images, max_disparity_px: float | None) -> list[Disparity]:
        return self.answer_to(left, right, max_disparity_px).disparities

    def visible_range_px(self, left: Images, right: Images) -> float:
        return visible_range_px(left, right)

    def working_scale(self, size: tuple[int, int], range_px: float | None) -> float:
        return working_scale(size, self._range_px(range_px, size[1]))

    def _range_px(self, wanted: float | None, width: int) -> float:
        """A disparity cannot exceed the width."""
        return min(self.config.max_disparity_px if wanted is None else wanted, width)

    def answer_to(self, left: Images, right: Images, max_disparity_px: float | None) -> NetAnswer:
        left_pyramid, right_pyramid = self.features(torch.cat([left, right])).split()
        range_px = self._range_px(max_disparity_px, left.shape[-1])
        planes = max(1, math.ceil((range_px + 1) / _RANGE_STEP_PX)) * (_RANGE_STEP_PX // _PLANE_PX)
        prior = semi_global_prior(left, right, _PLANE_PX * planes - 1)
        cosines = correlation_volume(left_pyramid.quarter, right_pyramid.quarter, planes, self.config.groups)
        votes = prior.votes(planes, _PLANE_PX, _PLANE_PX)
        scores = self.aggregation(torch.cat([cosines, votes], dim=1), left_pyramid)
        peak = _PLANE_PX * peak_plane(scores)
        answers = []
        if self.training:
            answers = [_enlarged(_PLANE_PX * expected_plane(scores), 4), _enlarged(peak, 4)]
        scene = self.refiner.prepare(left, left_pyramid.half, right_pyramid.half, prior.halved())
        current = _enlarged(peak, 2)
        for step in range(self.config.refine_steps):
            refined = self.refiner(scene, current.detach())
            current = refined.disparity_px
            if self.training or step == self.config.refine_steps - 1:
                answers.append(convex_upsample(current, refined.weights, 2))
        if self.confidence is None:
            return NetAnswer(disparities=answers)
        sure = _enlarged(peak_share(scores.detach()), 2)
        logit = self.confidence([refined.hidden, sure, *self.refiner.signs(scene, current.detach())])
        return NetAnswer(disparities=answers, logit=convex_upsample(logit, refined.weights.detach(), 2))


def _enlarged(disparity_px: Disparity, factor: int) -> Disparity:
    return functional.interpolate(disparity_px, scale_factor=float(factor), mode="bilinear", align_corners=False)
