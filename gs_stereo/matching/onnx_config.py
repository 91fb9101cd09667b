"""Settings of the ONNX matcher, and the YAML that describes an ONNX stereo model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from gs_stereo.config import MEANS, Config, load_yaml, parse_config, shipped
from gs_stereo.matching.settings import MatcherSettings


class OnnxModelDescription(Config):
    """How to feed an ONNX stereo model and read its answer. One YAML file a model; see configs/experts."""

    name: str = Field(min_length=1, description="Name written into every label")
    version: str = Field(default="unknown", description="Version of the weights, if they have one")
    licence: str = Field(min_length=1, description="Licence of the weights, written into every label")
    inputs: tuple[str, ...] = Field(
        min_length=1, max_length=2, description="Names of the left and right input; one name: both stacked as channels"
    )
    half_inputs: tuple[str, str] | None = Field(
        default=None, description="Names of inputs that take left and right at half the size as well, as CREStereo's"
    )
    output: str = Field(description="Name of the disparity output")
    output_channel: int = Field(default=0, ge=0, description="Channel of the output that holds the disparity")
    confidence_output: str | None = Field(default=None, description="Name of a confidence output in [0, 1], if any")
    layout: Literal["NCHW", "NHWC"] = Field(default="NCHW", description="Order of the axes of inputs and outputs")
    colour: Literal["RGB", "BGR", "grey"] = Field(default="RGB", description="Order of the colour channels")
    pixel_range: Literal["0-255", "0-1"] = Field(default="0-255", description="Pixel values before mean and std")
    mean: tuple[float, ...] = Field(default=(0.0,), description="Subtracted, a channel or all; in units of pixel_range")
    std: tuple[float, ...] = Field(default=(1.0,), description="Divided by, a channel or all; in units of pixel_range")
    size: tuple[int, int] | None = Field(
        default=None, description="Fixed (height, width); None: what the model file says, free if it says nothing"
    )
    pad_multiple: int = Field(default=1, ge=1, le=1024, description="Sides must be multiples of this (free size only)")
    pad_side: Literal["split", "right_bottom"] = Field(default="split", description="Where replicate padding goes")
    sign: Literal["positive", "negative"] = Field(default="positive", description="Sign of the output for near points")
    scale: float = Field(default=1.0, gt=0, description="|output| times this = disparity in pixels of the input")
    output_stride: int = Field(default=1, ge=1, le=64, description="Input pixels for one output pixel")

    @model_validator(mode="after")
    def _mean_and_std_fit_the_channels(self) -> OnnxModelDescription:
        counts = (1,) if self.colour == "grey" else (1, 3)
        if len(self.mean) not in counts or len(self.std) not in counts or min(self.std) <= 0:
            raise ValueError(f"mean and std take {' or '.join(map(str, counts))} values, std positive ones")
        return self

    @property
    def raw_pixels(self) -> bool:
        """Whether the model gets pixel values as they are."""
        return self.pixel_range == "0-255" and set(self.mean) == {0.0} and set(self.std) == {1.0}


class OnnxConfig(MatcherSettings):
    """Any ONNX stereo model through onnxruntime."""

    model: Path = Field(description="The .onnx file", json_schema_extra=MEANS)
    description: str = Field(
        default="foundationstereo", description="A YAML file that describes the model, or the name of a shipped one"
    )
    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        default="auto",
        description="auto: CUDA if onnxruntime offers it, else CPU; TensorRT only on request, as it builds engines",
    )
    device_index: int = Field(default=0, ge=0, description="Which GPU", json_schema_extra=MEANS)
    threads: int = Field(default=0, ge=0, description="CPU threads; 0 = all cores", json_schema_extra=MEANS)
    when_size_differs: Literal["auto", "resize", "tile"] = Field(
        default="auto",
        description="What a fixed size does to others; auto: resize, or tile if a side shrinks below smallest_scale",
    )
    # With SGBM in the place of the net, resizing to 0.9 / 0.8 / 0.5 raises bad-0.5 on Middlebury motorcycle from 12.9 %
    # to 15.1 / 16.7 / 29.3 %; tiles of these sizes keep it within 0.1.
    smallest_scale: float = Field(default=0.9, gt=0, le=1, description="auto tiles images that would shrink more")
    tile_overlap_px: int = Field(default=32, ge=0, description="Blended overlap of neighbouring tiles")
    max_disparity_px: float | None = Field(
        default=None, gt=0, description="Left margin of tiles. None: the caller's hint, else max_disparity_share"
    )
    max_disparity_share: float = Field(
        default=0.25, gt=0, lt=1, description="Left margin as a share of a tile's width when nobody knows better"
    )
    timeout_s: float = Field(
        default=900.0, gt=0, description="A single run of the model may take this long", json_schema_extra=MEANS
    )

    def external_files(self) -> Mapping[str, Path]:
        return {"(model)": self.model}

    def gpus(self) -> int:
        return int(self.provider in ("cuda", "tensorrt"))


def load_description(name_or_path: str) -> OnnxModelDescription:
    """Read the YAML at a path, or the shipped one of that name; ConfigError if there is none or it is wrong."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = shipped(f"configs/experts/{name_or_path}.yaml")
    return parse_config(OnnxModelDescription, load_yaml(path), where=str(path))
