"""The label `fused`: every source proposes a disparity, the evidence judges each, the most trusted one is taken.

Proposals in the order of their precision: photos, a rendered stack, the splat, matchers. A later one is taken only
where its confidence is higher by a margin. Occlusion follows from the splat's own surfaces, warped into the right
image, and from what the splat shows to the right eye.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from gs_stereo.geometry.occlusion import hidden_by_warping, not_contradicted, visibility
from gs_stereo.labels.confidence import quantised
from gs_stereo.labels.config import LabelConfig
from gs_stereo.labels.evidence import EVIDENCE, OF_THE_PAIR, Case, gather
from gs_stereo.labels.fusion_config import FusionConfig
from gs_stereo.labels.silhouettes import sharpened
from gs_stereo.labels.sources import MATCHED, MULTIBASELINE, PHOTOS, POINTS, SILHOUETTES, SPLAT, LabelSources
from gs_stereo.labels.splat import RenderedEvidence, flag_word, rendered_evidence
from gs_stereo.labels.trust import TrustModel
from gs_stereo.types import LabelFlag, StereoLabel

_LEAST_POINTS = 20
_FLAGGED = ("left_right_px", "views_px", "experts_px")


@dataclass(frozen=True, kw_only=True)
class FusionRules:
    """Settings of the fusion, and the calibrated model."""

    fusion: FusionConfig
    labels: LabelConfig
    trust: TrustModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """One source's disparity. kind: what the trust model calls such a source."""

    kind: str
    disparity: Float[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """The proposals put together: disparity, confidence that it is right within 1 px, and who proposed it.

    source: index into `kinds`, -1 where nobody proposes anything.
    """

    disparity: Float[np.ndarray, "h w"]
    confidence: Float[np.ndarray, "h w"]
    source: Int[np.ndarray, "h w"]
    kinds: tuple[str, ...]

    @property
    def from_splat(self) -> Bool[np.ndarray, "h w"]:
        return np.asarray(self.source == self.kinds.index(SPLAT))


def fused_label(sources: LabelSources, rules: FusionRules) -> StereoLabel:
    """One label of all sources; NaN where the confidence is under `min_confidence` or the scale is off.

    Points hidden from the right eye keep their disparity, as in the label `splat`: the flags say so.
    """
    rendered = rendered_evidence(sources.pair, rules.labels)
    judged = judge(sources, rendered, rules)
    hidden, outside = blind_pixels(judged.disparity, rendered, silhouettes(sources, rendered), rules.fusion)
    case = _case(judged.disparity, sources, rendered, hidden | outside)
    evidence = {name: np.full(hidden.shape, np.nan) for name in _FLAGGED} | gather(case, _FLAGGED)
    labelled = judged.confidence >= max(rules.fusion.min_confidence, np.finfo(float).tiny)
    labelled &= np.isfinite(judged.disparity) & ~off_scale(judged.disparity, sources, rules.fusion)
    flags = rendered.flags & np.uint16(LabelFlag.LOW_ALPHA | LabelFlag.AMBIGUOUS_DEPTH)
    flags |= flag_word(
        {
            LabelFlag.OCCLUDED: hidden,
            LabelFlag.OUT_OF_FRAME: outside,
            LabelFlag.LEFT_RIGHT_INCONSISTENT: evidence["left_right_px"] > rules.labels.left_right_px,
            LabelFlag.MULTI_VIEW_INCONSISTENT: evidence["views_px"] > rules.labels.source_difference_px,
            LabelFlag.SOURCES_DISAGREE: evidence["experts_px"] > rules.labels.source_difference_px,
            LabelFlag.FROM_SPLAT: judged.from_splat & labelled,
        }
    )
    return StereoLabel(
        disparity=np.where(labelled, judged.disparity, np.nan).astype(np.float32),
        confidence=quantised(judged.confidence, labelled),
        flags=flags,
    )


def judge(sources: LabelSources, rendered: RenderedEvidence, rules: FusionRules) -> Judged:
    """Choose a proposal at every pixel by the trust model."""
    disparity = np.full(rendered.disparity.shape, np.nan)
    confidence, source = np.full(disparity.shape, -np.inf), np.full(disparity.shape, -1)
    proposed = list(proposals(sources, rendered))
    common = rules.trust.scaled(gather(proposal_case(proposed[0], sources, rendered), OF_THE_PAIR))
    for index, proposal in enumerate(proposed):
        case = proposal_case(proposal, sources, rendered)
        trusted = confidence_in(proposal.kind, case, common, rules)
        better = trusted > confidence + rules.fusion.switch_margin
        disparity = np.where(better, proposal.disparity, disparity)
        confidence = np.where(better, trusted, confidence)
        source = np.where(better, index, source)
    kinds = tuple(proposal.kind for proposal in proposed)
    return Judged(disparity=disparity, confidence=np.maximum(confidence, 0.0), source=source, kinds=kinds)


def proposals(sources: LabelSources, rendered: RenderedEvidence) -> Iterator[Proposal]:
    """What each source says, the most precise first."""
    for name in (PHOTOS, MULTIBASELINE):
        disparity = sources.view_disparity(name)
        if disparity is not None:
            yield Proposal(kind=name, disparity=disparity)
    yield Proposal(kind=SPLAT, disparity=rendered.disparity)
    for source in sources.matched.values():
        yield Proposal(kind=MATCHED, disparity=source.left.disparity.astype(np.float64))


def confidence_in(kind: str, case: Case, common: dict[str, np.ndarray], rules: FusionRules) -> Float[np.ndarray, "h w"]:
    """Confidence that a disparity is right within 1 px; -inf where there is none. common: `OF_THE_PAIR`, scaled."""
    own = gather(case, [name for name in EVIDENCE if name not in OF_THE_PAIR])
    judgement = rules.trust.judge_scaled(kind, common | rules.trust.scaled(own), case.disparity.shape)
    return np.where(np.isfinite(case.disparity), judgement.confidence, -np.inf)


def with_calibrated_confidence(label: StereoLabel, kind: str, sources: LabelSources, rules: FusionRules) -> StereoLabel:
    """A single source's label with the confidence that the trust model has in it. sources: that source alone."""
    rendered = rendered_evidence(sources.pair, rules.labels)
    proposal = next(proposal for proposal in proposals(sources, rendered) if proposal.kind == kind)
    case = proposal_case(proposal, sources, rendered)
    confidence = confidence_in(kind, case, rules.trust.scaled(gather(case, OF_THE_PAIR)), rules)
    return replace(label, confidence=quantised(confidence, np.isfinite(label.disparity)))


def proposal_case(proposal: Proposal, sources: LabelSources, rendered: RenderedEvidence) -> Case:
    """A proposal with the evidence about it; what the right eye cannot see is taken from both rendered depths."""
    blind = rendered.visibility.occluded | rendered.visibility.out_of_frame
    return _case(proposal.disparity, sources, rendered, blind)


def silhouettes(sources: LabelSources, rendered: RenderedEvidence) -> Float[np.ndarray, "h w"]:
    """The splat's disparity with sharp edges: the view's own map, or one made by the rendered left image."""
    known = sources.view_disparity(SILHOUETTES)
    return sharpened(rendered.disparity, sources.pair.left) if known is None else known


def blind_pixels(
    disparity: Float[np.ndarray, "h w"],
    rendered: RenderedEvidence,
    silhouettes: Float[np.ndarray, "h w"],
    config: FusionConfig,
) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Hidden and out-of-frame pixels.

    Hidden if the left view's own surfaces cover the point in the right image, or a surface that the right eye is shown
    and that the left view does not contradict. Neither alone finds both ends of every hidden band. The surfaces are
    the splat's with edges at those of the image: they are sharper than those of images matched by windows.
    """
    surface = np.where(np.isfinite(silhouettes), silhouettes, disparity)
    noise_px = config.tolerance_share * surface
    seen = visibility(surface, rendered.right_disparity, config.right_tolerance_px + noise_px)
    by_right = seen.occluded & not_contradicted(surface, seen, config.right_tolerance_px + noise_px)
    x_right = np.arange(disparity.shape[1]) + 0.5 - disparity
    outside = np.isfinite(x_right) & (x_right < 0)
    hidden = hidden_by_warping(surface, config.warp_tolerance_px + noise_px) | by_right
    return hidden & ~outside, outside


def off_scale(
    disparity: Float[np.ndarray, "h w"], sources: LabelSources, config: FusionConfig
) -> Bool[np.ndarray, "h w"]:
    """Where the whole view's depth is off against the sparse points by more than `max_scale_px` at this disparity."""
    points = sources.view_disparity(POINTS)
    ratio = np.zeros(0) if points is None else (disparity / points)[np.isfinite(disparity) & np.isfinite(points)]
    if len(ratio) < _LEAST_POINTS:
        return np.zeros(disparity.shape, bool)
    return np.asarray(abs(float(np.median(ratio)) - 1) * disparity > config.max_scale_px)


def _case(
    disparity: Float[np.ndarray, "h w"],
    sources: LabelSources,
    rendered: RenderedEvidence,
    blind: Bool[np.ndarray, "h w"],
) -> Case:
    return Case(disparity=disparity, sources=sources, rendered=rendered, blind=blind)
