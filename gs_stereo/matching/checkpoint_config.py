"""Settings of the experts that are trained nets: `lite` comes with the package, `checkpoint` is a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from gs_stereo.config import Config


class NetExpertConfig(Config):
    """How a trained net is asked."""

    net_settings: tuple[str, ...] = Field(
        default=(), description="Settings of the net that are no shapes, as name=value, for example iterations=16"
    )
    scale: float = Field(
        default=1.0, gt=0, le=4, description="Match at this share of the resolution; disparities are scaled back"
    )
    max_disparity_px: float | None = Field(
        default=None, gt=0, le=4096, description="Range searched; None: the caller's hint, else the net's own"
    )
    left_right_px: float | None = Field(
        default=None,
        gt=0,
        description="Drop pixels whose two directions differ by more; None = no check, half the time",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: CUDA if it is there")


class CheckpointConfig(NetExpertConfig):
    """A net trained by `gsstereo train`, or an official RAFT-Stereo checkpoint."""

    checkpoint: Path = Field(description="Folder with net.json and weights.safetensors, or a RAFT-Stereo .pth")
