"""The label of a matcher: its disparity, checked against both rendered depths and its own other direction."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.geometry.occlusion import visibility
from gs_stereo.labels.confidence import probability_within_one_px, quantised
from gs_stereo.labels.config import LabelConfig, LabelSettings
from gs_stereo.labels.judgement import Proposal, calibrated
from gs_stereo.labels.observations import MATCHED, MatchedPair, Observations, ViewDepth
from gs_stereo.labels.protocol import LabelSource
from gs_stereo.labels.rendered import RenderedEvidence, flag_word, has_any, rendered_evidence
from gs_stereo.labels.trust import load_trust
from gs_stereo.matching.both_sides import predict_both
from gs_stereo.matching.experts import ExpertsConfig, external_files, make_matcher
from gs_stereo.matching.protocol import StereoMatcher
from gs_stereo.metrics.consistency import left_right_difference
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.types import DisparityPrediction, LabelFlag, Provenance, StereoImages, StereoLabel, StereoPair

_SURE_OF_RANGE_PERCENTILE = 99.9
_RANGE_MARGIN_PX = 8.0
_DOUBTED_SPLAT = ("low_alpha", "ambiguous_depth")


class MatcherSource(LabelSource):
    """Any stereo matcher as a label source."""

    needs_depth = False

    def __init__(self, settings: LabelSettings, name: str) -> None:
        self._rules, self._experts, self._name = settings.rules, settings.experts, name

    def external_files(self) -> Mapping[str, Path]:
        return external_files(self._name, self._experts)

    def processes(self) -> int | None:
        return self._experts.of(self._name).processes()

    def gpus(self) -> int:
        return self._experts.of(self._name).gpus()

    def provenance(self) -> Provenance:
        return matcher_of(self._name, self._experts).provenance

    def label(self, pair: StereoImages, views: Mapping[str, ViewDepth]) -> StereoLabel:
        answer = ask(self._name, pair, self._experts)
        if isinstance(pair, StereoPair):
            return self.label_matched(pair, answer)
        return two_way_label(pair, answer, self._rules)

    def label_matched(self, pair: StereoPair, answer: MatchedPair) -> StereoLabel:
        """The label of an answer; its confidence is calibrated if the trust model knows the matcher."""
        rendered = rendered_evidence(pair, self._rules)
        label = matched_label(pair, answer, self._rules, rendered)
        if self._name not in load_trust().experts:
            return label
        proposal = Proposal(kind=MATCHED, disparity=answer.left.disparity.astype(np.float64))
        alone = Observations(pair=pair, matched={self._name: answer})
        return calibrated(label, proposal, alone, rendered, load_trust())


def matcher_of(name: str, experts: ExpertsConfig) -> StereoMatcher:
    """The matcher called `name`, made once a process, and again when its files change. It ends with the process."""
    stamps = [(path.stat().st_mtime_ns, path.stat().st_size) for path in external_files(name, experts).values()]
    return worker_state.get(f"matcher {name}", (experts.of(name), *stamps), lambda: make_matcher(name, experts))


def ask(name: str, pair: StereoImages, experts: ExpertsConfig) -> MatchedPair:
    """A matcher's disparity of both eyes."""
    largest_px = _largest_disparity_px(pair)
    with _torch_threads(experts.of(name).torch_threads):
        left, right = predict_both(matcher_of(name, experts), pair.left, pair.right, largest_px)
    return MatchedPair(left=left, right=right)


@contextmanager
def _torch_threads(count: int | None) -> Iterator[None]:
    """Let torch use `count` threads; None: as many as it does."""
    if count is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _largest_disparity_px(pair: StereoImages) -> float:
    """The search range that the rendered depth asks for; a quarter of the width where there is no depth."""
    width = pair.left.shape[1]
    if not isinstance(pair, StereoPair):
        return width / 4
    depths = pair.left_depth.median[np.isfinite(pair.left_depth.median) & (pair.left_depth.median > 0)]
    if depths.size == 0:
        return width / 4
    nearest = np.percentile(depths, 100 - _SURE_OF_RANGE_PERCENTILE)
    return float(min(pair.rig.focal_times_baseline / nearest + _RANGE_MARGIN_PX, width))


def matched_label(
    pair: StereoPair, answer: MatchedPair, config: LabelConfig, rendered: RenderedEvidence | None = None
) -> StereoLabel:
    """The matcher's disparity with flags; no label (NaN) where it has none or `config.matched_rejects` flags are set.

    Occlusion and frame come from the rendered depths; where the splat has no depth, from the matcher's disparity
    against the right depth. A disparity of the right image, where there is one, decides the left-right flag.
    Confidence: P(|error| < 1 px) with the scales noise floor, left-right difference and half the difference to the
    splat (`unchecked_px` for each that is missing), times the matcher's own confidence if it has one.
    """
    prediction, disparity = answer.left, _usable(pair, answer.left)
    evidence = rendered_evidence(pair, config) if rendered is None else rendered
    doubted = has_any(evidence.flags, _DOUBTED_SPLAT)
    splat_difference = np.where(doubted, np.nan, np.abs(disparity - evidence.disparity))
    two_way = np.full(disparity.shape, np.nan)
    if answer.right is not None:
        two_way = left_right_difference(disparity, answer.right.disparity)
    inconsistent = np.isfinite(disparity) & ~(two_way <= config.left_right_px)
    flags = _visibility_flags(disparity, evidence, config) | flag_word(
        {
            LabelFlag.LEFT_RIGHT_INCONSISTENT: inconsistent & (answer.right is not None),
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


def two_way_label(pair: StereoImages, answer: MatchedPair, config: LabelConfig) -> StereoLabel:
    """The label of images without rendered depth: what the matcher's two directions agree on.

    The matcher's own right disparity says what the right eye cannot see. Confidence: P(|error| < 1 px) with the scales
    noise floor, left-right difference and `unchecked_px`, because nothing but the images stands for it.
    """
    disparity = _usable(pair, answer.left)
    unknown = np.full(disparity.shape, np.nan)
    right = unknown if answer.right is None else np.asarray(answer.right.disparity, np.float64)
    two_way = left_right_difference(disparity, right)
    seen = visibility(disparity, right, config.occlusion_tolerance_px)
    inconsistent = np.isfinite(disparity) & ~(two_way <= config.left_right_px)
    labelled = np.isfinite(disparity) & ~inconsistent & ~seen.out_of_frame
    flags = flag_word(
        {
            LabelFlag.OCCLUDED: seen.occluded,
            LabelFlag.OUT_OF_FRAME: seen.out_of_frame,
            LabelFlag.LEFT_RIGHT_INCONSISTENT: inconsistent,
        }
    )
    probability = probability_within_one_px(config.noise_floor_px, two_way, config.unchecked_px)
    return StereoLabel(
        disparity=np.where(labelled, disparity, np.nan).astype(np.float32),
        confidence=quantised(probability, labelled),
        flags=flags,
    )


def _usable(pair: StereoImages, prediction: DisparityPrediction) -> Float[np.ndarray, "h w"]:
    """The predicted disparity in float64; NaN where it is negative or infinite."""
    disparity = prediction.disparity.astype(np.float64)
    if disparity.shape != pair.left.shape[:2]:
        raise InputError(
            f"The matcher answered {disparity.shape} for the pair {pair.sample_id!r} of {pair.left.shape[:2]}; "
            "a matcher must keep the size of its input."
        )
    return np.where(np.isfinite(disparity) & (disparity >= 0), disparity, np.nan)


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
