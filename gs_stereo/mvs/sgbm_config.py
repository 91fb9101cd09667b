"""Settings of the built-in matchers."""

from typing import Literal

from pydantic import Field

from gs_stereo.config import Config


class SgbmConfig(Config):
    """OpenCV's semi-global block matching (Hirschmueller, PAMI 2008), defaults measured on Middlebury pairs."""

    max_disparity_px: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Largest disparity searched; rounded up to a multiple of 16. None: the caller's hint, else "
        "max_disparity_share of the width",
    )
    max_disparity_share: float = Field(
        default=0.25, gt=0, le=1, description="Range as a share of the width when nobody knows better"
    )
    block_size: int = Field(default=3, ge=1, le=21, description="Side of the matched block in pixels, odd")
    p1: float = Field(default=8.0, gt=0, description="Cost of a disparity step of 1 px, times channels * block_size^2")
    p2: float = Field(default=32.0, gt=0, description="Cost of a larger step, times channels * block_size^2; above p1")
    paths: Literal["8", "5", "3"] = Field(
        default="3", description="Aggregation paths: 3 (a third of the time, as good), 5 (MODE_SGBM) or 8 (MODE_HH)"
    )
    uniqueness_percent: int = Field(
        default=10, ge=0, le=100, description="The best cost must beat the second best by this margin"
    )
    prefilter_cap: int = Field(default=63, ge=1, le=63, description="Horizontal gradients are clipped to +- this value")
    speckle_window_px: int = Field(default=100, ge=0, description="Smaller islands of disparity are dropped; 0 = off")
    speckle_range_px: int = Field(default=2, ge=1, description="Largest step inside an island")
    left_right_px: float | None = Field(
        default=1.0, gt=0, description="Drop pixels whose two directions differ by more; None = no check, half the time"
    )
    own_left_right_px: int = Field(
        default=-1, ge=-1, description="OpenCV's own check, against its right disparity of whole pixels; -1 = off"
    )
    keep_out_of_frame: bool = Field(
        default=False, description="Keep matches that lie left of the right image, in its replicated border"
    )
