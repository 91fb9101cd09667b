"""Settings of the evaluation of synthesizers. No torch here, so that the command line can show them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.matching.experts import ExpertsConfig, idle_expert
from gs_stereo.synthesis.judges.config import IsqoeConfig, Met3rConfig
from gs_stereo.synthesis.search import SearchConfig


class EvaluateSynthesisConfig(Config):
    """On what synthesizers are compared, and how."""

    steps: tuple[int, ...] = Field(
        default=(), description="Steps of the samplers to compare; (): one step, and as many as the model wants"
    )
    guidance: float | None = Field(default=None, ge=0, le=20, description="Classifier-free guidance; None: the model's")
    seeds: int = Field(default=1, ge=1, le=100, description="Seeds of each view, for the spread")
    limit: int | None = Field(default=None, ge=1, description="Only the first stacks or pairs; None: all")
    targets: int | None = Field(
        default=None,
        ge=1,
        description="Stacks: so many targets of each source, the farthest and others at random; None: every other view",
    )
    side_px: int = Field(default=512, ge=64, le=4096, description="Pairs: everything is judged at side x side pixels")
    depth: Path | Literal["exact", "none"] = Field(
        default="none",
        description="Pairs: depth for warping. exact: that of the pair's true disparity, an oracle; or a folder of "
        "NAME.npy, .pfm or .png (16 bits), in any unit",
    )
    search: SearchConfig = Field(default=SearchConfig(), description="Pairs: how the baseline is searched")
    matcher: str = Field(default="sgbm", description="Pairs: the matcher of the search, by its name")
    experts: ExpertsConfig = Field(default=ExpertsConfig(), description="Settings of the matchers.")
    isqoe: IsqoeConfig | None = Field(default=None, description="Pairs: also judged by iSQoE; needs your checkout")
    met3r: Met3rConfig | None = Field(default=None, description="Pairs: also judged by MEt3R; needs your checkout")
    cache: Path | None = Field(
        default=None, description="Folder in which what models make is kept, so that an interrupted run goes on"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: CUDA if it is there")
    precision: Literal["float32", "bfloat16", "float16"] = Field(default="float32", description="Of the nets")

    def idle(self, given: Mapping[str, Any]) -> str | None:
        return idle_expert(given.get("experts", {}), (self.matcher,)) or super().idle(given)
