"""Settings of making a second eye. No torch here, so that the command line can show them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from gs_stereo.config import Config


class SynthesisConfig(Config):
    """Which model makes the other eye, how, and at which baseline. What is None is as the model was trained."""

    weights: Path | None = Field(
        default=None,
        description="Local folder of prs-eth/stereospace-v1-0 or of train-synthesis; None: the small model that comes "
        "with the package, a demonstration",
    )
    baselines: tuple[float, ...] | None = Field(
        default=None,
        min_length=1,
        description="To the generated eye, in the model's unit (published weights: metres; small model: median depths "
        "of the photo); positive = to the right of the photo, negative = to the left",
    )
    target_disparity_px: float | None = Field(
        default=None,
        gt=0,
        le=2048,
        description="Instead of baselines: the 98th percentile of the disparity, measured on a first try and scaled",
    )
    framing: Literal["whole", "square"] = Field(
        default="whole", description="whole: all of the photo; square: its middle, as the weights were trained"
    )
    side_px: int | None = Field(
        default=None, ge=64, le=2048, multiple_of=16, description="The model works at about side x side pixels"
    )
    size: Literal["model", "photo"] = Field(
        default="model",
        description="Of the pairs. model: the size it works at; photo: the photo as it is, beside the generated eye "
        "made as large, but no sharper",
    )
    focal_px: float | None = Field(
        default=None, gt=0, description="Focal length of the photos in pixels; None: EXIF, else 54 degrees of view"
    )
    steps: int | None = Field(default=None, ge=1, le=1000, description="Steps of the sampler")
    guidance: float | None = Field(default=None, ge=0, le=20, description="Classifier-free guidance; 1 = off")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: CUDA if it is there")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Of the nets; the CPU wants float32"
    )

    @model_validator(mode="after")
    def _whole(self) -> SynthesisConfig:
        if self.size == "photo" and self.framing == "square":
            raise ValueError("a square has lost the sides of the photo; set framing=whole with size=photo")
        if self.baselines and self.target_disparity_px:
            raise ValueError("a target disparity chooses the baseline; give one of the two")
        return self
