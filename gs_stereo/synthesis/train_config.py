"""Settings of the training of a model that makes second eyes. No torch here, so that the command line can show them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from gs_stereo.config import Config
from gs_stereo.training.config import LoopConfig


class SmallModelConfig(Config):
    """A model of our own, trained from scratch. What the published weights do differently is said with each setting."""

    widths: tuple[PositiveInt, ...] = Field(
        default=(96, 64, 64), min_length=2, description="Channels of the U-Nets' levels"
    )
    attention: tuple[bool, ...] = Field(default=(False, True, True), description="Levels with (shared) self-attention")
    layers: int = Field(default=1, ge=1, le=8, description="ResNet blocks of a level")
    heads: int = Field(default=2, ge=1, le=64, description="Of the attention")
    norm_groups: int = Field(default=8, ge=1, le=64, description="Of the group norms; divides all widths")
    patch_px: int = Field(default=4, ge=1, le=16, description="A latent cell holds patch x patch pixels, losslessly")
    prediction: Literal["clean", "velocity"] = Field(
        default="clean", description="What the denoiser answers; published weights: velocity"
    )
    rows_only: bool = Field(
        default=True,
        description="Self-attention looks along rows, with rotary positions: views are rectified; published weights: "
        "everywhere",
    )
    linear_output: bool = Field(
        default=True, description="No norm before the last convolution, so that details pass; published weights: norm"
    )
    concat_source: bool = Field(
        default=True, description="The denoiser's input holds the source too; published weights: attention only"
    )
    warped: bool = Field(
        default=False,
        description="The denoiser's input holds the source moved by depth, and its holes, and it blends both (warped "
        "conditioning, a competing class): such a model needs depth to make a picture; published weights: no",
    )
    baseline_unit: Literal["median_depth", "metres"] = Field(
        default="median_depth",
        description="What a baseline of 1 means. median_depth: the median depth of the source picture, so that B moves "
        "its middle depth by B x focal length; published weights: metres",
    )
    baseline_scale: float = Field(
        default=10.0, gt=0, description="The rays' moments are fed times this; published weights: 1"
    )
    side_px: int = Field(default=160, ge=32, le=2048, description="It works at about side x side pixels")
    rows_px: int | None = Field(
        default=None,
        ge=32,
        le=2048,
        description="And with at most so many rows: trained with one height, it reads the focal length off how much "
        "a picture of that height sees; None: any",
    )
    reach: float = Field(default=0.1, gt=0, description="Largest baseline that it is trained for")
    steps: int = Field(default=4, ge=1, le=1000, description="Steps of the sampler")
    sampler: Literal["mean", "ddim"] = Field(
        default="mean",
        description="mean: of the answers of all steps, each with fresh noise over the last one; ddim: deterministic, "
        "as for the published weights",
    )

    @model_validator(mode="after")
    def _fit(self) -> SmallModelConfig:
        if len(self.attention) != len(self.widths):
            raise ValueError("attention must say one thing for each of widths")
        if self.warped and self.prediction != "clean":
            raise ValueError("warped blends clean pictures; set model.prediction=clean with it")
        if any(width % self.norm_groups or width % self.heads for width in self.widths):
            raise ValueError("each of widths must be a multiple of norm_groups and of heads")
        return self


class SynthesisLossConfig(Config):
    """L = denoising + pixels x photometric + warp x warp consistency (arXiv 2512.10959)."""

    min_snr_gamma: float | None = Field(
        default=5.0, gt=0, description="Denoising error weighted by min-SNR; None: every time counts the same"
    )
    noise_offset: float = Field(default=0.05, ge=0, le=1, description="Of a noise that is constant over a channel")
    time_exponent: float = Field(
        default=1.0, ge=0.1, le=10, description="Times are drawn as 1000 u^(1/this): 1 = uniform, 2 = more noise"
    )
    pixels: float = Field(default=1.0, ge=0, description="Weight of the photometric loss on the clean picture")
    ssim_share: float = Field(default=0.85, ge=0, le=1, description="SSIM against L1 in it")
    warp: float = Field(default=0.3, ge=0, description="Weight of the warp consistency by exact depth")
    pixels_by_signal: bool = Field(
        default=True, description="Both weighted by the share of signal at the time; at much noise there is only a blur"
    )
    drop_condition: float = Field(default=0.1, ge=0, lt=1, description="Share of batches without prompt and source")
    own_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of batches whose noise lies over the net's own one-step answer, as its sampler meets it, "
        "and no longer over the truth; what is asked for stays the truth",
    )


class SynthesisTrainConfig(LoopConfig):
    """One training run of a model that makes second eyes."""

    model: SmallModelConfig = Field(default=SmallModelConfig(), description="The model, where none is started from")
    start: Path | None = Field(default=None, description="Folder of weights to start from; None = scratch")
    loss: SynthesisLossConfig = Field(default=SynthesisLossConfig(), description="What is minimised")
    width: int = Field(default=192, ge=32, le=2048, description="Width of the training pictures")
    height: int = Field(default=128, ge=32, le=2048, description="Height of the training pictures")
    targets: int = Field(default=3, ge=1, le=16, description="Targets of one source in a step; a pair has one")
    same_share: float = Field(default=0.06, ge=0, le=1, description="Share of targets that are the source itself")
    smallest_scale: float = Field(
        default=1.0, gt=0, le=1, description="Pictures are resized by a factor between this and 1 before cropping"
    )
    flip_share: float = Field(default=0.5, ge=0, le=1, description="Share of draws that are mirrored left to right")
    upright_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of batches whose pictures stand upright: width and height swapped"
    )
    colour_share: float = Field(default=0.5, ge=0, le=1, description="Share of draws with permuted and scaled colours")
    stack_weight: float = Field(default=10.0, gt=0, description="How often data with stacks is drawn against pairs")
    average_decay: float = Field(default=0.999, ge=0, lt=1, description="Of the moving average of the weights, kept")
    cpu_bfloat16: bool = Field(default=False, description="Mixed precision on a CPU too; pays with AMX or AVX512-BF16")
    validation_share: float = Field(default=0.05, ge=0, lt=1, description="Share of the views held out")
    validation_views: int = Field(default=24, ge=1, le=10000, description="Most held-out views that are looked at")
