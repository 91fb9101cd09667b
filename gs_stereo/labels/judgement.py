"""How far a disparity is trusted: the evidence about it, and what the calibrated model makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int

from gs_stereo.labels.confidence import quantised
from gs_stereo.labels.evidence import EVIDENCE, OF_THE_PAIR, Case, gather
from gs_stereo.labels.observations import Observations
from gs_stereo.labels.rendered import RenderedEvidence
from gs_stereo.labels.trust import TrustModel
from gs_stereo.types import StereoLabel


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """One source's disparity. kind: what the trust model calls such a source."""

    kind: str
    disparity: Float[np.ndarray, "h w"]


def case_of(proposal: Proposal, observations: Observations, rendered: RenderedEvidence) -> Case:
    """A proposal with the evidence about it; what the right eye cannot see is taken from both rendered depths."""
    blind = rendered.visibility.occluded | rendered.visibility.out_of_frame
    return Case(disparity=proposal.disparity, observations=observations, rendered=rendered, blind=blind)


def confidence_in(
    kind: str,
    case: Case,
    common: Mapping[str, Float32[np.ndarray, "h w"]],
    trust: TrustModel,
    pixels: Int[np.ndarray, "n"],
) -> Float[np.ndarray, "n"]:
    """Confidence that a disparity is right within 1 px, at some pixels. common: `OF_THE_PAIR`, scaled."""
    own = gather(case, [name for name in EVIDENCE if name not in OF_THE_PAIR])
    scaled = trust.scaled({name: values.take(pixels) for name, values in own.items()})
    shared = {name: values.take(pixels) for name, values in common.items()}
    return trust.judge_scaled(kind, shared | scaled, pixels.shape).confidence


def calibrated(
    label: StereoLabel, proposal: Proposal, observations: Observations, rendered: RenderedEvidence, trust: TrustModel
) -> StereoLabel:
    """A single source's label with the confidence that the trust model has in it. observations: that source alone."""
    case = case_of(proposal, observations, rendered)
    pixels, confidence = np.flatnonzero(np.isfinite(case.disparity)), np.full(case.disparity.shape, -np.inf)
    common = trust.scaled(gather(case, OF_THE_PAIR))
    confidence.flat[pixels] = confidence_in(proposal.kind, case, common, trust, pixels)
    return replace(label, confidence=quantised(confidence, np.isfinite(label.disparity)))
