"""Settings of the basic labels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from gs_stereo.config import Config

TRUST_MODEL_FILE = Path(__file__).with_name("trust.yaml")
"""The calibrated model behind every confidence; see `labels.trust`."""

FlagName = Literal[
    "occluded",
    "out_of_frame",
    "low_alpha",
    "ambiguous_depth",
    "left_right_inconsistent",
    "multi_view_inconsistent",
    "sources_disagree",
]


class LabelConfig(Config):
    """When a pixel gets a label, which flags it carries, and how far to trust it."""

    min_alpha: float = Field(default=0.8, ge=0.5, le=1, description="Less rendered opacity sets low_alpha")
    max_relative_depth_skew: float = Field(
        default=0.03,
        gt=0,
        description="A larger distance of mean and median z along the ray, over the median, sets ambiguous_depth",
    )
    occlusion_tolerance_px: float = Field(
        default=0.5,
        gt=0,
        description="A right surface nearer by more than this disparity hides the point and sets occluded",
    )
    left_right_px: float = Field(
        default=1.0, gt=0, description="A larger difference of the two directions sets left_right_inconsistent"
    )
    source_difference_px: float = Field(
        default=2.0, gt=0, description="A larger difference of matcher and splat sets sources_disagree"
    )
    noise_floor_px: float = Field(
        default=0.3, gt=0, description="Error scale of a pixel on which every check agrees; enters the confidence"
    )
    unchecked_px: float = Field(
        default=0.7, gt=0, description="Error scale added where no second view checks a pixel; enters the confidence"
    )
    splat_rejects: tuple[FlagName, ...] = Field(
        default=("low_alpha", "ambiguous_depth"),
        description="Flags that take a splat label away; an occluded point keeps its disparity, the geometry is known",
    )
    matched_rejects: tuple[FlagName, ...] = Field(
        default=("occluded", "out_of_frame", "low_alpha", "left_right_inconsistent"),
        description="Flags that take a matcher's label away: where there is no match, a matcher guesses",
    )
