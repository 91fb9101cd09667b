"""Tiny stereo pairs with known disparity, data sets of them, and a net without weights that solves them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gs_stereo.config import Config
from gs_stereo.datasets.write import DatasetInfo, ShardSample, ShardWriting, write_dataset
from gs_stereo.nets.protocol import NETS, StereoNet
from gs_stereo.types import Provenance

TINY_NET = "tiny_blocks"


def shifted_pair(size: tuple[int, int], shift_px: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth uint8 noise (H, W, 3) and the same moved left by `shift_px`: the disparity is `shift_px` everywhere."""
    height, width = size
    noise = np.random.default_rng(seed).integers(0, 256, (height, width + shift_px, 3), dtype=np.uint8)
    wide = cv2.GaussianBlur(noise, (0, 0), 1.2)
    return wide[:, :width].copy(), wide[:, shift_px:].copy()


def write_shifted_pairs(
    folder: Path, count: int, size: tuple[int, int] = (48, 64), *, licence: str = "Apache-2.0", scene: str = "noise"
) -> Path:
    """A data set of `count` pairs, two samples a view; a tenth of the pixels has no label."""
    folder.mkdir(parents=True)
    info = DatasetInfo(
        scene=scene,
        split="train",
        label="exact",
        provenance=Provenance(name="exact", version="1", licence=licence),
        generator="tests",
    )
    samples = (_sample(index, size) for index in range(count))
    write_dataset(folder, samples, info, sample_count=count, writing=ShardWriting(samples_per_shard=4))
    return folder


def _sample(index: int, size: tuple[int, int]) -> ShardSample:
    shift = 3 + index % 5
    left, right = shifted_pair(size, shift, index)
    disparity = np.full(size, shift, np.float32)
    disparity[: size[0] // 10] = np.nan
    flags = np.zeros(size, np.uint16)
    flags[:, :shift] = 2  # out of frame
    return ShardSample(
        sample_id=f"pair-{index}",
        view_id=f"view-{index // 2}",
        left=left,
        right=right,
        disparity=disparity,
        confidence=np.full(size, 255, np.uint8),
        flags=flags,
        intrinsics=np.array([[50.0, 0, size[1] / 2], [0, 50, size[0] / 2], [0, 0, 1]]),
        baseline=0.1,
        cam_from_world=np.eye(4),
    )


class TinyConfig(Config):
    """Settings of `TinyNet`."""

    planes: int = 16


class TinyNet(StereoNet):
    """Block matching as a net: its one parameter is the sharpness of the softmax over whole disparities."""

    config_type: ClassVar[type[Config]] = TinyConfig
    multiple: ClassVar[int] = 4
    config: TinyConfig

    def __init__(self, config: TinyConfig | None = None) -> None:
        super().__init__()
        self.config = TinyConfig() if config is None else config
        self.sharpness = nn.Parameter(torch.tensor(400.0))

    def disparities(
        self, left: torch.Tensor, right: torch.Tensor, max_disparity_px: float | None
    ) -> list[torch.Tensor]:
        costs = []
        for shift in range(self.config.planes):
            moved = functional.pad(right, (shift, 0, 0, 0), mode="replicate")[..., : right.shape[-1]]
            costs.append(functional.avg_pool2d((left - moved).abs().mean(1, keepdim=True), 5, 1, 2))
        weights = torch.cat(costs, dim=1).mul(-self.sharpness).softmax(1)
        planes = torch.arange(self.config.planes, dtype=weights.dtype).view(1, -1, 1, 1)
        return [(weights * planes).sum(1, keepdim=True)]


def tiny_net_entry() -> tuple[dict[str, str], str, str]:
    """Arguments of monkeypatch.setitem that put `TinyNet` into the registry."""
    assert isinstance(NETS.builtin, dict)
    return NETS.builtin, TINY_NET, "stereo_pairs:TinyNet"
