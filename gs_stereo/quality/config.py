"""The thresholds of the verdict, in one place. Each pair is (look closer, fail).

Chosen by measurement on datasets of three captures and two rendered rooms, on true pairs of KITTI and Middlebury, and
on copies of all of them that were spoiled on purpose. In what rendering guarantees (rows, eyes, disparity, scale) the
good rendered datasets stay below a fifth of `look closer`, and the spoiled ones exceed `fail`.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from gs_stereo.config import Config


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("the first number (look closer) must not exceed the second (fail)")
    return pair


Limits = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""(look closer above, fail above)."""


class QualityConfig(Config):
    """When a dataset passes, deserves a closer look, or fails. Shares are of samples unless said otherwise."""

    max_samples: int = Field(
        default=256, ge=1, description="Measure at most this many samples, drawn at random with the run's seed."
    )
    min_matches: int = Field(default=20, ge=4, description="Feature matches or points that a sample must have to count")
    min_confidence: float = Field(
        default=0.5, ge=0, le=1, description="Only label pixels this confident are compared with the images"
    )
    row_offset_px: Limits = Field(default=(0.5, 1.0), description="Median vertical distance of left-right matches")
    row_offset_samples: Limits = Field(
        default=(0.05, 0.15), description="Share of samples whose rows are off by more than the first row_offset_px"
    )
    swapped_samples: Limits = Field(
        default=(0.02, 0.1), description="Share of samples whose matches lie to the right in the right image"
    )
    disparity_factor: Limits = Field(
        default=(0.02, 0.04), description="|label disparity / disparity of the matches - 1|, median over samples"
    )
    disparity_shift_px: Limits = Field(
        default=(0.35, 0.75), description="|label disparity - disparity of the matches|, median over samples"
    )
    wrong_disparity_samples: Limits = Field(
        default=(0.1, 0.25), description="Share of samples whose own factor or shift is beyond the second limit"
    )
    points_factor: Limits = Field(
        default=(0.02, 0.05), description="|label depth / depth of the triangulated points - 1|, median over samples"
    )
    points_spread: Limits = Field(
        default=(0.08, 0.2), description="Spread of that ratio within a sample (1.4826 MAD), median over samples"
    )
    edge_width_px: Limits = Field(
        default=(1.5, 2.2),
        description="Width (sigma) of the sharpest edges, median over samples, where no photos compare",
    )
    extra_blur_px: float = Field(
        default=0.8,
        gt=0,
        description="A view is blurred if a blur of more than this sigma would turn edges of the sharpest quarter of "
        "the dataset, or of its other eye, into its own",
    )
    extra_blur_to_photo_px: float = Field(
        default=0.6, gt=0, description="The same for how much softer than their photos (same content) the views are"
    )
    softer_than_photos_px: Limits = Field(
        default=(0.8, 1.6), description="Blur (sigma) of the views beside their photos, median over samples"
    )
    blurred_samples: Limits = Field(default=(0.08, 0.25), description="Share of samples with a blurred eye")
    blank_contrast: float = Field(
        default=4.0, gt=0, description="A view is blank if its brightness varies less than this (8-bit levels)"
    )
    blank_samples: Limits = Field(default=(0.01, 0.1), description="Share of samples with a blank eye")
    duplicate_samples: Limits = Field(
        default=(0.05, 0.3), description="Share of samples that repeat an earlier one: same pose or same picture"
    )
    unlabelled: Limits = Field(default=(0.5, 0.85), description="Share of pixels without a label")
    doubtful: Limits = Field(
        default=(0.25, 0.5),
        description="Share of labels with less than min_confidence. Sound data sets have less than 0.09, labels of a "
        "splat that was not held in place by photos 0.6",
    )
    disparity_share: tuple[float, float] = Field(
        default=(0.015, 0.3), description="Median disparity over the width outside this range deserves a closer look"
    )
    warp_error: Limits = Field(
        default=(0.35, 0.6),
        description="Share of confident, visible pixels whose warped right pixel looks different from the left one",
    )
    multi_view_conflict: Limits = Field(
        default=(0.3, 0.6), description="Share of label points that a neighbouring view's label contradicts"
    )
