"""What every training run is told. No torch here, so that the command line can show it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from gs_stereo.config import Config


class LoopConfig(Config):
    """The loop of a training run; what is trained adds its own settings."""

    steps: int = Field(default=5000, ge=1, description="Optimizer steps")
    batch_size: int = Field(default=4, ge=1, le=1024, description="Pairs in one step, over all devices")
    learning_rate: float = Field(default=4e-4, gt=0, le=1, description="Peak of the one-cycle schedule")
    warm_up_share: float = Field(default=0.05, ge=0, lt=1, description="Share of the steps in which the rate rises")
    weight_decay: float = Field(default=1e-5, ge=0, le=1, description="Of AdamW")
    clip_norm: float = Field(default=1.0, gt=0, description="Largest norm of the gradient")
    validate_every: int = Field(default=500, ge=1, description="Steps between two validations")
    record_every: int = Field(default=20, ge=1, description="Steps between two lines of the log")
    checkpoint_every: int = Field(default=200, ge=1, description="Steps between two checkpoints")
    loader_workers: int = Field(default=0, ge=0, le=64, description="Processes that read and augment; 0 = none")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: CUDA if it is there")
    devices: int = Field(default=1, ge=1, le=64, description="Processes, one a device (distributed data parallel)")
    mixed_precision: bool = Field(default=True, description="bfloat16 on CUDA")
    cpu_bfloat16: bool = Field(default=False, description="bfloat16 on a CPU: pays where it has AMX")
    tensorboard: bool = Field(default=False, description="Also write TensorBoard events (needs tensorboard)")


class DataSource(Config):
    """One data set to train on."""

    path: Path = Field(description="Data set folder, shard, or a scene that holds exactly one data set")
    weight: float = Field(default=1.0, gt=0, description="How often it is drawn, relative to the others")
