"""The label of a matcher: its disparity, checked against both rendered depths and its own other direction."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.geometry.occlusion import visibility
from gs_stereo.labels.confidence import probability_within_one_px, quantised
from gs_stereo.labels.config import LabelConfig
from gs_stereo.labels.splat import RenderedEvidence, flag_word, has_any, rendered_evidence
from gs_stereo.metrics.consistency import left_right_difference
from gs_stereo.types import DisparityPrediction, LabelFlag, StereoLabel, StereoPair

_DOUBTED_SPLAT = ("low_alpha", "ambiguous_depth")


def matched_label(
    pair: StereoPair,
    prediction: DisparityPrediction,
    config: LabelConfig,
    prediction_right: DisparityPrediction | None = None,
) -> StereoLabel:
    """The matcher's disparity with flags; no label (NaN) where it has none or `config.matched_rejects` flags are set.

    Occlusion and frame come from the rendered depths; where the splat has no depth, from the matcher's disparity
    against the right depth. prediction_right: disparity of the right image (>= 0), for the left-right flag.
    Confidence: P(|error| < 1 px) with the scales noise floor, left-right difference and half the difference to the
    splat (`unchecked_px` for each that is missing), times the matcher's own confidence if it has one.
    """
    disparity = _usable(pair, prediction)
    evidence = rendered_evidence(pair, config)
    doubted = has_any(evidence.flags, _DOUBTED_SPLAT)
    splat_difference = np.where(doubted, np.nan, np.abs(disparity - evidence.disparity))
    two_way = _two_way_difference(disparity, prediction_right)
    inconsistent = np.isfinite(disparity) & ~(two_way <= config.left_right_px)
    flags = _visibility_flags(disparity, evidence, config) | flag_word(
        {
            LabelFlag.LEFT_RIGHT_INCONSISTENT: inconsistent & (prediction_right is not None),
            LabelFlag.SOURCES_DISAGREE: splat_difference > config.source_difference_px,
        }
    )
    labelled = np.isfinite(disparity) & ~has_any(flags, config.matched_rejects)
    scales = (np.where(np.isfinite(px), px, config.unchecked_px) for px in (two_way, 0.5 * splat_difference))
    probability = probability_within_one_px(config.noise_floor_px, *scales)
    if prediction.confidence is not None:
        probability = probability * prediction.confidence
    return StereoLabel(
        disparity=np.where(labelled, disparity, np.nan).astype(np.float32),
        confidence=quantised(probability, labelled),
        flags=flags,
    )


def _usable(pair: StereoPair, prediction: DisparityPrediction) -> Float[np.ndarray, "h w"]:
    """The predicted disparity in float64; NaN where it is negative or infinite."""
    disparity = prediction.disparity.astype(np.float64)
    if disparity.shape != pair.left.shape[:2]:
        raise InputError(
            f"The matcher answered {disparity.shape} for the pair {pair.sample_id!r} of {pair.left.shape[:2]}; "
            "a matcher must keep the size of its input."
        )
    return np.where(np.isfinite(disparity) & (disparity >= 0), disparity, np.nan)


def _two_way_difference(
    disparity: Float[np.ndarray, "h w"], prediction_right: DisparityPrediction | None
) -> Float[np.ndarray, "h w"]:
    if prediction_right is None:
        return np.full(disparity.shape, np.nan)
    return left_right_difference(disparity, prediction_right.disparity)


def _visibility_flags(
    disparity: Float[np.ndarray, "h w"], evidence: RenderedEvidence, config: LabelConfig
) -> np.ndarray:
    """The rendered flags, with the matcher's disparity standing in where the splat has none."""
    without_splat = ~np.isfinite(evidence.disparity)
    if not without_splat.any():
        return evidence.flags
    seen = visibility(disparity, evidence.right_disparity, config.occlusion_tolerance_px)
    return evidence.flags | flag_word(
        {
            LabelFlag.OCCLUDED: without_splat & seen.occluded,
            LabelFlag.OUT_OF_FRAME: without_splat & seen.out_of_frame,
        }
    )
