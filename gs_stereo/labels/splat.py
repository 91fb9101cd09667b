"""The label `splat`: disparity of the rendered depth, its median unless the settings want the mean."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from gs_stereo.geometry.disparity import disparity_from_depth
from gs_stereo.labels.confidence import probability_within_one_px, quantised
from gs_stereo.labels.config import LabelConfig, LabelSettings
from gs_stereo.labels.judgement import Proposal, calibrated
from gs_stereo.labels.observations import SPLAT, Observations, ViewDepth
from gs_stereo.labels.protocol import LabelSource, own_provenance
from gs_stereo.labels.rendered import RenderedEvidence, flag_word, has_any, rendered_evidence
from gs_stereo.labels.trust import load_trust
from gs_stereo.types import LabelFlag, Provenance, StereoLabel, StereoPair


class SplatSource(LabelSource):
    """The fitted scene alone: no expert, no weights."""

    def __init__(self, settings: LabelSettings) -> None:
        self._rules = settings.rules

    def provenance(self) -> Provenance:
        return own_provenance(SPLAT, self._rules.model_dump(mode="json"))

    def label(self, pair: StereoPair, views: Mapping[str, ViewDepth]) -> StereoLabel:
        rendered = rendered_evidence(pair, self._rules)
        label = splat_label(pair, self._rules, rendered)
        proposal = Proposal(kind=SPLAT, disparity=_disparity(pair, self._rules, rendered))
        return calibrated(label, proposal, Observations(pair=pair), rendered, load_trust())


def splat_label(pair: StereoPair, config: LabelConfig, rendered: RenderedEvidence | None = None) -> StereoLabel:
    """Disparity of the rendered depth; no label (NaN) where `config.splat_rejects` flags are set.

    Occluded and out-of-frame pixels keep their disparity: the geometry is known, and the flags let a loss skip them.
    Confidence: alpha times P(|error| < 1 px) with the scales noise floor, distance of mean and median depth, and the
    difference to the depth that the right eye sees (`unchecked_px` where it sees none or something else).
    rendered: the evidence of the pair, if it has been gathered.
    """
    evidence = rendered_evidence(pair, config) if rendered is None else rendered
    labelled = np.isfinite(evidence.disparity) & ~has_any(evidence.flags, config.splat_rejects)
    hidden = has_any(evidence.flags, ("occluded", "out_of_frame"))
    right = np.abs(evidence.visibility.right_difference_px)
    checked = np.where(np.isfinite(right) & ~hidden, right, config.unchecked_px)
    probability = probability_within_one_px(config.noise_floor_px, evidence.skew_px, checked) * pair.left_depth.alpha
    return StereoLabel(
        disparity=np.where(labelled, _disparity(pair, config, evidence), np.nan).astype(np.float32),
        confidence=quantised(probability, labelled),
        flags=evidence.flags | flag_word({LabelFlag.FROM_SPLAT: labelled}),
    )


def _disparity(pair: StereoPair, config: LabelConfig, evidence: RenderedEvidence) -> Float[np.ndarray, "h w"]:
    if config.splat_depth == "median":
        return evidence.disparity
    return disparity_from_depth(pair.left_depth.expected.astype(np.float64), pair.rig.focal_times_baseline)
