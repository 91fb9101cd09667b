"""Settings of the experts that are trained nets: `lite` comes with the package, `checkpoint` is a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from gs_stereo.matching.settings import MatcherSettings
from gs_stereo.nets.shipped import LITE_FOLDER, net_files


class NetExpertConfig(MatcherSettings):
    """How a trained net is asked."""

    # Processes share the cores, and the bytes of labels do not depend on how many there are.
    torch_threads: ClassVar[int | None] = 1

    net_settings: tuple[str, ...] = Field(
        default=(), description="Settings of the net that are no shapes, as name=value, for example iterations=16"
    )
    scale: float | None = Field(
        default=None,
        gt=0,
        le=4,
        description="Match at this share of the resolution; disparities are scaled back. None: what suits the net",
    )
    max_disparity_px: float | None = Field(
        default=None, gt=0, le=4096, description="Range searched; None: the caller's hint, else what the images show"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: CUDA if it is there")

    def external_files(self) -> Mapping[str, Path]:
        return net_files(LITE_FOLDER)

    def gpus(self) -> int:
        return int(self.device == "cuda")

    def processes(self) -> int | None:
        import torch

        return 1 if self.device != "cpu" and torch.cuda.is_available() else None


class CheckpointConfig(NetExpertConfig):
    """A net trained by `gsstereo train`, or an official RAFT-Stereo checkpoint."""

    torch_threads: ClassVar[int | None] = None

    checkpoint: Path = Field(description="Folder with net.json and weights.safetensors, or a RAFT-Stereo .pth")

    def external_files(self) -> Mapping[str, Path]:
        return net_files(self.checkpoint)

    def processes(self) -> int | None:
        return 1
