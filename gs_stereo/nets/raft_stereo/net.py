"""RAFT-Stereo: all-pairs correlation along rows and recurrent updates of a disparity field.

Lipson, Teed and Deng, "RAFT-Stereo: Multilevel Recurrent Field Transforms for Stereo Matching", 3DV 2021. Written
from the paper; the names and shapes of the parameters are those of the authors' release, so its checkpoints load. Like
there, the field is a horizontal flow inside (the match of column x lies at x + flow); outside it is disparity = -flow.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from gs_stereo.config import Config
from gs_stereo.nets.config import RaftStereoConfig
from gs_stereo.nets.protocol import Disparity, Images, StereoNet
from gs_stereo.nets.raft_stereo.correlation import CorrelationPyramid
from gs_stereo.nets.raft_stereo.encoders import (
    TRUNK_CHANNELS,
    ContextEncoder,
    Map,
    MatchingEncoder,
    ResidualBlock,
    initialise,
)
from gs_stereo.nets.raft_stereo.update import Gates, UpdateBlock
from gs_stereo.nets.upsampling import convex_upsample


class RaftStereo(StereoNet):
    """The net. Training mode gives a disparity for each iteration, evaluation mode the last one.

    It searches the whole row: max_disparity_px is ignored. Batch normalisation keeps its statistics while training,
    as in the paper. An untrained net can answer with negative disparities; they are not clipped.
    """

    config_type: ClassVar[type[Config]] = RaftStereoConfig
    multiple: ClassVar[int] = 32
    config: RaftStereoConfig

    def __init__(self, config: RaftStereoConfig | None = None) -> None:
        super().__init__()
        self.config = config = RaftStereoConfig() if config is None else config
        hidden = config.hidden_channels
        self.factor = 2**config.downsample
        self.cnet = ContextEncoder(config.context_norm, config.downsample, hidden)
        samples = config.corr_levels * (2 * config.corr_radius + 1)
        self.update_block = UpdateBlock(config.gru_levels, hidden, samples, self.factor)
        self.context_zqr_convs = nn.ModuleList(
            nn.Conv2d(hidden, 3 * hidden, 3, padding=1) for _ in range(config.gru_levels)
        )
        if config.shared_backbone:
            block = ResidualBlock(TRUNK_CHANNELS, TRUNK_CHANNELS, "instance")
            self.conv2 = nn.Sequential(block, nn.Conv2d(TRUNK_CHANNELS, 256, 3, padding=1))
        else:
            self.fnet = MatchingEncoder(config.downsample)
            initialise(self.fnet)
        initialise(self.cnet)
        # Checkpoints hold all three resolutions, whatever `gru_levels` is; what is not used asks for no gradient.
        coarse = [self.update_block.gru32, self.cnet.layer5, self.cnet.outputs32]
        middle = [self.update_block.gru16, self.cnet.layer4, self.cnet.outputs16]
        for module in coarse * (self.config.gru_levels < 3) + middle * (self.config.gru_levels < 2):
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> RaftStereo:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def disparities(self, left: Images, right: Images, max_disparity_px: float | None) -> list[Disparity]:
        left, right = 2 * left - 1, 2 * right - 1
        left_features, right_features, context_features = self._features(left, right)
        maps = self.cnet(context_features, self.config.gru_levels)
        states = [torch.tanh(state) for state, _ in maps]
        contexts = [
            conv(torch.relu(context)).chunk(3, dim=1)
            for conv, (_, context) in zip(self.context_zqr_convs, maps, strict=True)
        ]
        pyramid = CorrelationPyramid(
            left_features.float(), right_features.float(), self.config.corr_levels, self.config.corr_radius
        )
        return self._iterate(pyramid, states, contexts)

    def _features(self, left: Images, right: Images) -> tuple[Map, Map, Map]:
        """Matching features of both images and the trunk of the left context."""
        both = torch.cat([left, right])
        if self.config.shared_backbone:
            trunk = self.cnet.trunk(both)
            first, second = self.conv2(trunk).chunk(2)
            return first, second, trunk[: len(left)]
        first, second = self.fnet(both).chunk(2)
        return first, second, self.cnet.trunk(left)

    def _iterate(self, pyramid: CorrelationPyramid, states: list[Map], contexts: list[Gates]) -> list[Disparity]:
        count = self.config.train_iterations if self.training else self.config.iterations
        batch, _, height, width = states[0].shape
        flow = states[0].new_zeros(batch, 1, height, width, dtype=torch.float32)
        columns = torch.arange(width, dtype=torch.float32, device=flow.device)
        answers = []
        for iteration in range(count):
            flow = flow.detach()
            correlation = pyramid.lookup(columns + flow)
            states = self._moved(states, contexts, flow, correlation)
            flow = flow + self.update_block.flow_head(states[0])[:, :1].float()
            if self.training or iteration == count - 1:
                logits = self.update_block.upsampling_logits(states[0])
                answers.append(convex_upsample(-self.factor * flow, logits.float(), self.factor))
        return answers

    def _moved(self, states: list[Map], contexts: list[Gates], flow: Map, correlation: Map) -> list[Map]:
        """One round of the recurrent units; slow-fast moves the coarse ones once or twice more."""
        block, levels = self.update_block, self.config.gru_levels
        if self.config.slow_fast and levels == 3:
            states = block.move_coarse(states, contexts, middle=False, coarse=True)
        if self.config.slow_fast and levels >= 2:
            states = block.move_coarse(states, contexts, middle=True, coarse=levels == 3)
        states = block.move_coarse(states, contexts, middle=levels >= 2, coarse=levels == 3)
        vertical = torch.zeros_like(flow)
        return block.move_fine(states, contexts, torch.cat([flow, vertical], dim=1), correlation)
