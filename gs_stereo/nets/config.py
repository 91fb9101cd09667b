"""Settings of the nets. No torch here, so that the command line can show them."""

from typing import Annotated, Literal

from pydantic import Field

from gs_stereo.config import Config

Channels = Annotated[int, Field(ge=1, le=256)]


class LiteConfig(Config):
    """Shape of the compact net (`nets/lite`); the defaults have under 1.5 M parameters."""

    max_disparity_px: int = Field(
        default=192,
        ge=16,
        le=2048,
        description="Range of the bare net when none is named, rounded up to 16; matchers look at the images",
    )
    groups: int = Field(default=8, ge=1, le=32, description="Channels of the correlation volume")
    volume_channels: tuple[Channels, Channels, Channels] = Field(
        default=(8, 24, 48), description="Channels of the 3D convolutions at 1/4, 1/8 and 1/16 of the resolution"
    )
    wide_channels: int = Field(
        default=0, ge=0, le=128, description="Channels of 3D convolutions at 1/32, for large blank surfaces; 0 = none"
    )
    refine_channels: int = Field(default=32, ge=8, le=128, description="Channels of the refinement at 1/2")
    refine_steps: int = Field(default=2, ge=1, le=8, description="Refinement steps, all with the same weights")
    refine_radius: int = Field(default=3, ge=1, le=8, description="Half-resolution pixels searched to either side")
    confidence: bool = Field(default=False, description="Also say how likely each disparity is within 1 px")


class RaftStereoConfig(Config):
    """Shape and iterations of RAFT-Stereo (Lipson et al., 3DV 2021). The defaults are the published full model."""

    hidden_channels: int = Field(default=128, ge=8, le=256, description="Channels of each recurrent unit")
    downsample: int = Field(default=2, ge=2, le=3, description="The disparity field has 1 / 2^downsample of the size")
    gru_levels: int = Field(default=3, ge=1, le=3, description="Resolutions with a recurrent unit")
    corr_levels: int = Field(default=4, ge=1, le=4, description="Levels of the correlation pyramid")
    corr_radius: int = Field(default=4, ge=1, le=8, description="Samples to either side at each level")
    shared_backbone: bool = Field(default=False, description="One encoder for matching and context (real-time model)")
    slow_fast: bool = Field(default=False, description="Update the coarse recurrent units more often than the fine")
    context_norm: Literal["batch", "instance"] = Field(default="batch", description="Normalisation of the context")
    train_iterations: int = Field(default=16, ge=1, le=64, description="Updates while training")
    iterations: int = Field(default=32, ge=1, le=256, description="Updates when predicting")


VARIANTS: dict[str, dict[str, dict[str, object]]] = {
    "raft_stereo": {
        "full": {},
        "realtime": {
            "downsample": 3,
            "gru_levels": 2,
            "shared_backbone": True,
            "slow_fast": True,
            "iterations": 7,
            "train_iterations": 7,
        },
    },
    "lite": {"full": {"wide_channels": 48, "confidence": True}},
}
"""Named settings of each net. `full` is for new ones; the fields' defaults are those of weights from before them."""
