"""Settings of the training of a stereo net. No torch here, so that the command line can show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.imaging.sensor_config import SensorConfig
from gs_stereo.training.config import LoopConfig


class AugmentConfig(Config):
    """What is done to a training pair, each with its own draw. Zero switches a part off."""

    min_scale_log2: float = Field(default=-0.3, ge=-2, le=0, description="Smallest resize, as a power of 2")
    max_scale_log2: float = Field(default=0.5, ge=0, le=2, description="Largest resize, as a power of 2")
    stretch_log2: float = Field(default=0.15, ge=0, le=1, description="Horizontal against vertical resize, power of 2")
    brightness: float = Field(default=0.3, ge=0, le=0.9, description="Gain of both images, 1 +- this")
    contrast: float = Field(default=0.3, ge=0, le=0.9, description="Contrast of both images, 1 +- this")
    saturation: float = Field(default=0.5, ge=0, le=1, description="Colour strength of both images, 1 +- this")
    gamma: float = Field(
        default=0.3, ge=0, le=0.9, description="Exponent of both images, between 1 / (1 + this) and 1 + this"
    )
    grey_share: float = Field(default=0.15, ge=0, le=1, description="Share of pairs turned to grey")
    asymmetric: float = Field(
        default=0.4, ge=0, le=1, description="Colour changes of the right image alone, relative to those of both"
    )
    noise: float = Field(default=0.03, ge=0, le=0.5, description="Largest standard deviation of noise, of [0, 1]")
    blur_px: float = Field(default=1.0, ge=0, le=10, description="Largest sigma of blur, drawn for each image alone")
    blur_share: float = Field(default=0.3, ge=0, le=1, description="Share of images that are blurred")
    vertical_px: float = Field(
        default=0.5, ge=0, le=5, description="Largest vertical shift of the right image: rectification is never perfect"
    )
    eraser_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of pairs whose right image loses rectangles: learned occlusion"
    )
    eraser_px: int = Field(default=80, ge=4, le=1000, description="Largest side of such a rectangle")
    flip_share: float = Field(default=0.0, ge=0, le=1, description="Share of pairs turned upside down")
    sensor: SensorConfig | None = Field(
        default=None,
        description="What a camera does to its images (train --rig); in place of noise, blur and vertical shift",
    )


class LossConfig(Config):
    """How predictions are judged."""

    gamma: float = Field(default=0.8, gt=0, le=1, description="Weight of each stage relative to the next finer one")
    max_disparity_px: float = Field(
        default=192.0, gt=0, le=4096, description="Pixels with a larger label are left out (after augmentation)"
    )
    min_confidence: float = Field(default=0.0, ge=0, le=1, description="Labels with less confidence are left out")
    weigh_by_confidence: bool = Field(default=True, description="False: every label that is used counts the same")
    hidden_weight: float = Field(
        default=1.0, ge=0, le=1, description="Weight of labels whose match is out of sight: they can only be guessed"
    )
    saturation_px: float | None = Field(
        default=None,
        gt=0,
        description="Larger errors count by their logarithm only, so that hopeless pixels do not drown the others",
    )
    photometric: float = Field(
        default=0.0, ge=0, description="Weight of the photometric loss on pixels without a trusted label; 0 = off"
    )
    ssim_share: float = Field(default=0.85, ge=0, le=1, description="SSIM against L1 in the photometric loss")


class TrainConfig(LoopConfig):
    """One training run of a stereo net."""

    net: str = Field(default="lite", description="Name of the net: lite, raft_stereo, or a plug-in")
    variant: str = Field(default="full", description="Named settings of the net, for example realtime")
    net_settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the net laid on its variant")
    start: Path | None = Field(
        default=None,
        description="Start weights: a folder published by train, an official RAFT-Stereo .pth, or lite (the shipped "
        "net); None = scratch",
    )
    crop_height: int = Field(default=256, ge=32, le=4096, description="Height of the training crops")
    crop_width: int = Field(default=320, ge=32, le=4096, description="Width of the training crops")
    loss: LossConfig = Field(default=LossConfig(), description="Supervised and photometric loss")
    augment: AugmentConfig = Field(default=AugmentConfig(), description="Augmentation of the pairs")
    validation_share: float = Field(default=0.05, ge=0, lt=1, description="Share of the views held out")
    validation_pairs: int = Field(default=16, ge=1, le=10000, description="Most held-out pairs that are looked at")
