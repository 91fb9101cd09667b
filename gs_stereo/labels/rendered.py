"""What both rendered depths say about the left pixels; every label is built on it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt16

from gs_stereo.errors import InputError
from gs_stereo.geometry.disparity import disparity_from_depth
from gs_stereo.geometry.occlusion import Visibility, visibility
from gs_stereo.labels.config import LabelConfig
from gs_stereo.types import LabelFlag, StereoPair


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedEvidence:
    """What both eyes' rendered depths say about the left pixels.

    disparity: f b / median z of the left view, NaN where nothing was hit. right_disparity: the same of the right view,
    on right pixels. skew_px: how far the disparities of mean and median z are apart. flags: OCCLUDED, OUT_OF_FRAME,
    LOW_ALPHA and AMBIGUOUS_DEPTH bits.
    """

    disparity: Float[np.ndarray, "h w"]
    right_disparity: Float[np.ndarray, "h w"]
    skew_px: Float[np.ndarray, "h w"]
    visibility: Visibility
    flags: UInt16[np.ndarray, "h w"]


def rendered_evidence(pair: StereoPair, config: LabelConfig) -> RenderedEvidence:
    """Compare the depth of both eyes; see `visibility` for occlusion and frame."""
    shape = pair.left.shape[:2]
    if any(depth.median.shape != shape for depth in (pair.left_depth, pair.right_depth)):
        raise InputError(f"The depth maps of pair {pair.sample_id!r} are not {shape} like its images; render it again.")
    focal_times_baseline, left = pair.rig.focal_times_baseline, pair.left_depth
    disparity = disparity_from_depth(left.median.astype(np.float64), focal_times_baseline)
    right_disparity = disparity_from_depth(pair.right_depth.median.astype(np.float64), focal_times_baseline)
    # Not the variance: half a percent of weight far behind a wall makes it large and moves neither mean nor median.
    skew = np.abs(left.expected - left.median) / np.where(left.median > 0, left.median, np.nan)
    seen = visibility(disparity, right_disparity, config.occlusion_tolerance_px)
    flags = flag_word(
        {
            LabelFlag.OCCLUDED: seen.occluded,
            LabelFlag.OUT_OF_FRAME: seen.out_of_frame,
            LabelFlag.LOW_ALPHA: ~(left.alpha >= config.min_alpha),
            LabelFlag.AMBIGUOUS_DEPTH: skew > config.max_relative_depth_skew,
        }
    )
    return RenderedEvidence(
        disparity=disparity,
        right_disparity=right_disparity,
        skew_px=disparity * skew,
        visibility=seen,
        flags=flags,
    )


def flag_word(masks: dict[LabelFlag, np.ndarray]) -> UInt16[np.ndarray, "h w"]:
    """The bits of all masks in one array."""
    word = np.zeros(next(iter(masks.values())).shape, dtype=np.uint16)
    for flag, mask in masks.items():
        word[mask] |= np.uint16(flag)
    return word


def has_any(flags: UInt16[np.ndarray, "*shape"], names: Iterable[str]) -> np.ndarray:
    """True where at least one of the named flags is set."""
    bits = sum(LabelFlag[name.upper()] for name in set(names))
    return (flags & np.uint16(bits)) != 0
