"""Settings of the FoundationStereo expert, which runs in the user's own checkout and environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from gs_stereo.config import MEANS
from gs_stereo.matching.settings import MatcherSettings

_CODE_FOLDERS = ("core", "depth_anything", "dinov2")


class FoundationStereoConfig(MatcherSettings):
    """FoundationStereo (Wen et al., CVPR 2025) in a child process; its licence is non-commercial."""

    expert_repo: Path = Field(
        description="Your checkout of FoundationStereo or Fast-FoundationStereo", json_schema_extra=MEANS
    )
    expert_python: str = Field(
        description="The Python of the environment that you made for it, a path or a command", json_schema_extra=MEANS
    )
    checkpoint: Path = Field(description="The .pth file; its cfg.yaml lies beside it", json_schema_extra=MEANS)
    scale: float = Field(
        default=1.0, gt=0, le=1, description="Match at this share of the resolution; disparities are scaled back"
    )
    valid_iters: int = Field(default=32, ge=1, le=1000, description="Refinement steps")
    hierarchical: bool = Field(default=False, description="Half resolution first; for images wider than about 1000 px")
    mixed_precision: bool = Field(default=True, description="float16 on a GPU; the CPU always computes in float32")
    max_disparity_px: int | None = Field(
        default=None, ge=16, le=4096, description="Range of the cost volume at the scaled size; None: that of cfg.yaml"
    )
    batch_size: int = Field(default=1, ge=1, le=256, description="Pairs of one size in one run of the net")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: CUDA if its torch offers it")
    allow_unsafe_pickle: bool = Field(
        default=False, description="Load checkpoints that can run any code; only for files whose source you trust"
    )
    start_timeout_s: float = Field(
        default=900.0, gt=0, description="Starting and loading the weights may take this long", json_schema_extra=MEANS
    )
    pair_timeout_s: float = Field(
        default=900.0, gt=0, description="One pair and direction may take this long", json_schema_extra=MEANS
    )
    silence_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="The child says every second that it is alive; longer silence means it is not",
        json_schema_extra=MEANS,
    )

    @property
    def cfg(self) -> Path:
        """The description of the net, which is published beside its weights."""
        return self.checkpoint.parent / "cfg.yaml"

    def gpus(self) -> int:
        return int(self.device == "cuda")

    def external_files(self) -> Mapping[str, Path]:
        """The weights, their cfg.yaml, and the code of the checkout, so that an edit or another commit counts."""
        files = {"(checkpoint)": self.checkpoint, "(cfg.yaml)": self.cfg}
        code = (path for folder in _CODE_FOLDERS for path in sorted((self.expert_repo / folder).rglob("*.py")))
        code_files = {f"(checkout) {path.relative_to(self.expert_repo)}": path for path in code}
        return {name: path for name, path in (files | code_files).items() if path.is_file()}
