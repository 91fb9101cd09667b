"""The label `fused`: every source proposes a disparity, the evidence judges each, the most trusted one is taken.

Proposals in the order of their precision: photos, a rendered stack, the splat, matchers, planes for what has no
texture. A later one is taken only where its confidence is higher by a margin. Occlusion follows from the splat's own
surfaces, warped into the right image, and from what the splat shows to the right eye.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from gs_stereo.geometry.occlusion import hidden_by_warping, not_contradicted, visibility
from gs_stereo.labels.confidence import quantised
from gs_stereo.labels.config import FusionConfig, LabelConfig, LabelSettings
from gs_stereo.labels.evidence import OF_THE_PAIR, Case, gather
from gs_stereo.labels.judgement import Proposal, case_of, confidence_in
from gs_stereo.labels.matcher import ask, matcher_of
from gs_stereo.labels.observations import (
    MATCHED,
    MULTIBASELINE,
    PHOTOS,
    POINTS,
    SILHOUETTES,
    SPLAT,
    SURFACES,
    Observations,
    ViewDepth,
)
from gs_stereo.labels.protocol import LabelSource, ViewNeeds, own_provenance
from gs_stereo.labels.rendered import RenderedEvidence, flag_word, rendered_evidence
from gs_stereo.labels.silhouettes import sharpened
from gs_stereo.labels.trust import TrustModel, load_trust
from gs_stereo.matching.experts import external_files
from gs_stereo.types import LabelFlag, Provenance, StereoLabel, StereoPair

_LEAST_POINTS = 20
_DOUBT_SHARE, _DOUBT_WINDOW_PX = 0.3, 11
"""Share of its disparity that a wholly doubted surface may waver. Found on three hard samples: from 0.2 to 0.6, and
with windows of 5 to 15 pixels, hidden pixels are found about as well."""
_FLAGGED = ("left_right_px", "views_px", "experts_px", "hole")


@dataclass(frozen=True, kw_only=True)
class FusionRules:
    """Settings of the fusion, and the calibrated model."""

    fusion: FusionConfig
    labels: LabelConfig
    trust: TrustModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """The proposals put together: disparity, confidence that it is right within 1 px, and who proposed it.

    source: index into `kinds`, -1 where nobody proposes anything.
    """

    disparity: Float[np.ndarray, "h w"]
    confidence: Float[np.ndarray, "h w"]
    source: Int[np.ndarray, "h w"]
    kinds: tuple[str, ...]

    def is_from(self, kind: str) -> Bool[np.ndarray, "h w"]:
        """Pixels of one kind of source."""
        return np.isin(self.source, [index for index, other in enumerate(self.kinds) if other == kind])


class FusedSource(LabelSource):
    """The likeliest of photos, splat and matchers at every pixel."""

    own_settings = ("fused", "multiview")

    def __init__(self, settings: LabelSettings) -> None:
        self._settings = settings
        experts = settings.fused.experts
        self.matchers = tuple(name for name in experts if name not in (SPLAT, MULTIBASELINE))
        self.needs = ViewNeeds(
            photos=settings.fused.photo_count if settings.fused.photos else 0,
            surfaces=settings.fused.surfaces,
            surroundings=True,
            silhouettes=True,
            stack=MULTIBASELINE in experts,
        )

    def external_files(self) -> Mapping[str, Path]:
        experts = self._settings.experts
        return {key: path for name in self.matchers for key, path in external_files(name, experts).items()}

    def processes(self) -> int | None:
        wanted = [self._settings.experts.of(name).processes() for name in self.matchers]
        return min((count for count in wanted if count is not None), default=None)

    def gpus(self) -> int:
        return max((self._settings.experts.of(name).gpus() for name in self.matchers), default=0)

    def provenance(self) -> Provenance:
        experts = [matcher_of(name, self._settings.experts).provenance for name in self.matchers]
        trust = load_trust()
        settings = {
            "fused": self._settings.fused.model_dump(mode="json"),
            "experts": [asdict(expert) for expert in experts],
            "trust": {
                "version": trust.version,
                "trained_on": list(trust.trained_on),
                "experts": list(trust.experts),
            },
        }
        own = own_provenance("fused", settings)
        weights = [expert.weights_sha256 for expert in experts if expert.weights_sha256]
        return replace(
            own,
            licence="; ".join(f"{expert.name}: {expert.licence}" for expert in experts) or own.licence,
            weights_sha256=weights[0] if len(weights) == 1 else None,
        )

    def notes(self) -> tuple[str, ...]:
        strange = [name for name in self.matchers if name not in load_trust().experts]
        if not strange:
            return ()
        names = ", ".join(strange)
        return (f"The confidence of fused labels was calibrated without {names}; it may be off with them.",)

    def label(self, pair: StereoPair, views: Mapping[str, ViewDepth]) -> StereoLabel:
        return fused_label(self.observe(pair, views), self.rules())

    def observe(self, pair: StereoPair, views: Mapping[str, ViewDepth]) -> Observations:
        """The pair with what is known of its view, and with the answers of the matchers."""
        matched = {name: ask(name, pair, self._settings.experts) for name in self.matchers}
        return Observations(pair=pair, views=views, matched=matched)

    def rules(self) -> FusionRules:
        return FusionRules(fusion=self._settings.fused, labels=self._settings.rules, trust=load_trust())


def fused_label(observations: Observations, rules: FusionRules) -> StereoLabel:
    """One label of all sources; NaN where the confidence is under `min_confidence` or the scale is off.

    Points hidden from the right eye keep their disparity, as in the label `splat`: the flags say so.
    """
    rendered = rendered_evidence(observations.pair, rules.labels)
    judged = judge(observations, rendered, rules)
    surface = observations.view_disparity(SILHOUETTES)
    if surface is None:
        surface = sharpened(rendered.disparity, observations.pair.left)
    hidden, outside = blind_pixels(judged, rendered, surface, rules.fusion)
    case = Case(disparity=judged.disparity, observations=observations, rendered=rendered, blind=hidden | outside)
    evidence = {name: np.full(hidden.shape, np.nan) for name in _FLAGGED} | gather(case, _FLAGGED)
    labelled = judged.confidence >= max(rules.fusion.min_confidence, np.finfo(float).tiny)
    labelled &= np.isfinite(judged.disparity) & ~off_scale(judged.disparity, observations, rules.fusion)
    if rules.fusion.reflections == "drop":
        labelled &= ~(evidence["hole"] > 0.5) | judged.is_from(SURFACES)
    flags = rendered.flags & np.uint16(LabelFlag.LOW_ALPHA | LabelFlag.AMBIGUOUS_DEPTH)
    flags |= flag_word(
        {
            LabelFlag.OCCLUDED: hidden,
            LabelFlag.OUT_OF_FRAME: outside,
            LabelFlag.LEFT_RIGHT_INCONSISTENT: evidence["left_right_px"] > rules.labels.left_right_px,
            LabelFlag.MULTI_VIEW_INCONSISTENT: evidence["views_px"] > rules.labels.source_difference_px,
            LabelFlag.SOURCES_DISAGREE: evidence["experts_px"] > rules.labels.source_difference_px,
            LabelFlag.FROM_SPLAT: judged.is_from(SPLAT) & labelled,
            LabelFlag.INFERRED: judged.is_from(SURFACES) & labelled,
            LabelFlag.REFLECTION: (evidence["hole"] > 0.5) & (judged.is_from(SURFACES) | ~labelled),
        }
    )
    return StereoLabel(
        disparity=np.where(labelled, judged.disparity, np.nan).astype(np.float32),
        confidence=quantised(judged.confidence, labelled),
        flags=flags,
    )


def judge(observations: Observations, rendered: RenderedEvidence, rules: FusionRules) -> Judged:
    """Choose a proposal at every pixel by the trust model."""
    disparity = np.full(rendered.disparity.shape, np.nan)
    confidence, source = np.full(disparity.shape, -np.inf), np.full(disparity.shape, -1)
    proposed = list(proposals(observations, rendered))
    common = rules.trust.scaled(gather(case_of(proposed[0], observations, rendered), OF_THE_PAIR))
    for index, proposal in enumerate(proposed):
        replaceable = confidence + rules.fusion.switch_margin < 1  # no confidence is higher
        asked = np.flatnonzero(replaceable & np.isfinite(proposal.disparity))
        case = case_of(proposal, observations, rendered)
        trusted = confidence_in(proposal.kind, case, common, rules.trust, asked)
        better = trusted > confidence.take(asked) + rules.fusion.switch_margin
        chosen = asked[better]
        disparity.flat[chosen], confidence.flat[chosen] = proposal.disparity.take(chosen), trusted[better]
        source.flat[chosen] = index
    kinds = tuple(proposal.kind for proposal in proposed)
    return Judged(disparity=disparity, confidence=np.maximum(confidence, 0.0), source=source, kinds=kinds)


def proposals(observations: Observations, rendered: RenderedEvidence) -> Iterator[Proposal]:
    """What each source says, the most precise first."""
    for name in (PHOTOS, MULTIBASELINE):
        disparity = observations.view_disparity(name)
        if disparity is not None:
            yield Proposal(kind=name, disparity=disparity)
    yield Proposal(kind=SPLAT, disparity=rendered.disparity)
    for source in observations.matched.values():
        yield Proposal(kind=MATCHED, disparity=source.left.disparity.astype(np.float64))
    surfaces = observations.view_disparity(SURFACES)
    if surfaces is not None:
        yield Proposal(kind=SURFACES, disparity=surfaces)


def blind_pixels(
    judged: Judged,
    rendered: RenderedEvidence,
    silhouettes: Float[np.ndarray, "h w"],
    config: FusionConfig,
) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Hidden and out-of-frame pixels.

    Hidden if the left view's own surfaces cover the point in the right image, or a surface that the right eye is shown
    and that the left view does not contradict. Neither alone finds both ends of every hidden band. The surfaces are
    the splat's with edges at those of the image: they are sharper than those of images matched by windows. Where the
    label is doubted around a pixel, the splat's surfaces waver too, and only a larger step hides.
    """
    surface = np.where(np.isfinite(silhouettes), silhouettes, judged.disparity)
    doubt = 1 - cv2.blur(judged.confidence, (_DOUBT_WINDOW_PX, _DOUBT_WINDOW_PX))
    noise_px = (config.tolerance_share + _DOUBT_SHARE * doubt) * surface
    seen = visibility(surface, rendered.right_disparity, config.right_tolerance_px + noise_px)
    by_right = seen.occluded & not_contradicted(surface, seen, config.right_tolerance_px + noise_px)
    x_right = np.arange(surface.shape[1]) + 0.5 - judged.disparity
    outside = np.isfinite(x_right) & (x_right < 0)
    hidden = hidden_by_warping(surface, config.warp_tolerance_px + noise_px) | by_right
    return hidden & ~outside, outside


def off_scale(
    disparity: Float[np.ndarray, "h w"], observations: Observations, config: FusionConfig
) -> Bool[np.ndarray, "h w"]:
    """Where the whole view's depth is off against the sparse points by more than `max_scale_px` at this disparity."""
    points = observations.view_disparity(POINTS)
    ratio = np.zeros(0) if points is None else (disparity / points)[np.isfinite(disparity) & np.isfinite(points)]
    if len(ratio) < _LEAST_POINTS:
        return np.zeros(disparity.shape, bool)
    return np.asarray(abs(float(np.median(ratio)) - 1) * disparity > config.max_scale_px)
