"""The label `splat`: disparity of the rendered median depth, and what rendering alone says about every pixel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt16

from gs_stereo import __version__
from gs_stereo.errors import InputError
from gs_stereo.geometry.disparity import disparity_from_depth
from gs_stereo.geometry.occlusion import Visibility, visibility
from gs_stereo.labels.confidence import probability_within_one_px, quantised
from gs_stereo.labels.config import LabelConfig
from gs_stereo.types import LabelFlag, Provenance, StereoLabel, StereoPair


@dataclass(frozen=True, kw_only=True, eq=False)
class RenderedEvidence:
    """What both rendered depths say about the left pixels; every label is built on it.

    disparity: f b / median z of the left view, NaN where nothing was hit. right_disparity: the same of the right view,
    on right pixels. skew_px: how far the disparities of mean and median z are apart. flags: OCCLUDED, OUT_OF_FRAME,
    LOW_ALPHA and AMBIGUOUS_DEPTH bits.
    """

    disparity: Float[np.ndarray, "h w"]
    right_disparity: Float[np.ndarray, "h w"]
    skew_px: Float[np.ndarray, "h w"]
    visibility: Visibility
    flags: UInt16[np.ndarray, "h w"]


def splat_provenance(config: LabelConfig) -> Provenance:
    """The label comes from the fitted scene alone: no expert, no weights."""
    return Provenance(
        name="splat", version=__version__, licence="no expert weights", settings=config.model_dump(mode="json")
    )


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


def splat_label(pair: StereoPair, config: LabelConfig) -> StereoLabel:
    """Disparity of the median depth; no label (NaN) where `config.splat_rejects` flags are set.

    Occluded and out-of-frame pixels keep their disparity: the geometry is known, and the flags let a loss skip them.
    Confidence: alpha times P(|error| < 1 px) with the scales noise floor, distance of mean and median depth, and the
    difference to the depth that the right eye sees (`unchecked_px` where it sees none or something else).
    """
    evidence = rendered_evidence(pair, config)
    labelled = np.isfinite(evidence.disparity) & ~has_any(evidence.flags, config.splat_rejects)
    hidden = has_any(evidence.flags, ("occluded", "out_of_frame"))
    right = np.abs(evidence.visibility.right_difference_px)
    checked = np.where(np.isfinite(right) & ~hidden, right, config.unchecked_px)
    probability = probability_within_one_px(config.noise_floor_px, evidence.skew_px, checked) * pair.left_depth.alpha
    return StereoLabel(
        disparity=np.where(labelled, evidence.disparity, np.nan).astype(np.float32),
        confidence=quantised(probability, labelled),
        flags=evidence.flags | flag_word({LabelFlag.FROM_SPLAT: labelled}),
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
