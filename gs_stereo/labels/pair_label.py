"""The units of `label`: one pair each, by one expert or by the fusion of all sources."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.core.atomic import atomic_path
from gs_stereo.labels.config import LabelConfig
from gs_stereo.labels.experts import FUSED, MULTIBASELINE, SPLAT, ExpertsConfig, make_matcher, predict_both, threads_for
from gs_stereo.labels.fusion_config import FusionConfig
from gs_stereo.labels.view_sources import read_view_sources
from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.pipeline.scene import FOLDER_NAME

if TYPE_CHECKING:
    from gs_stereo.labels.fusion import FusionRules
    from gs_stereo.labels.sources import LabelSources, MatchedPair, ViewDepth
    from gs_stereo.types import DisparityPrediction, Provenance, StereoLabel, StereoPair

_SURE_OF_RANGE_PERCENTILE = 99.9
_RANGE_MARGIN_PX = 8.0


class LabelStageConfig(Config):
    """Which expert labels which pairs, by which rules, and how the shards are written."""

    expert: str = Field(default=FUSED, description="Label source: fused, splat, multibaseline, or a matcher's name.")
    pairs: str = Field(default="default", pattern=FOLDER_NAME, description="Name of the set of pairs.")
    name: str | None = Field(
        default=None, pattern=FOLDER_NAME, description="Name of the data set; the expert's name by default."
    )
    split: str = Field(default="train", pattern=FOLDER_NAME, description="Split name in the shards.")
    rules: LabelConfig = Field(default=LabelConfig(), description="When a pixel gets a label, flags, confidence.")
    fused: FusionConfig = Field(default=FusionConfig(), description="fused: its sources and thresholds.")
    multiview: MultiViewConfig = Field(
        default=MultiViewConfig(threads=1), description="fused and multibaseline: matching of many views."
    )
    backend: str = Field(default="auto", description="multibaseline: rasterizer, auto, cpu or gsplat.")
    experts: ExpertsConfig = Field(default=ExpertsConfig(), description="Settings of the experts.")
    samples_per_shard: int = Field(default=128, ge=1, le=65536, description="64 to 256 is sensible.")
    compression: Literal["zstd", "gzip"] = Field(
        default="zstd", description="zstd is small and fast; gzip needs no plug-in to read."
    )
    photo_licence: str | None = Field(
        default=None, max_length=200, description="Licence of the photos, for the card: cc-by-4.0 or the like."
    )

    @property
    def dataset_name(self) -> str:
        return self.name or re.sub(r"[^A-Za-z0-9_-]", "-", self.expert)

    @property
    def experts_asked(self) -> tuple[str, ...]:
        """The experts that are asked, fused or not."""
        return self.fused.experts if self.expert == FUSED else (self.expert,)

    @property
    def matchers(self) -> tuple[str, ...]:
        """Those that look at one pair."""
        return tuple(name for name in self.experts_asked if name not in (SPLAT, MULTIBASELINE))


@dataclass(frozen=True, kw_only=True)
class LabelJob:
    """One pair to label: a unit of work. view_file: what the sources of its left view said, if they were asked."""

    pair_dir: Path
    label_file: Path
    config: LabelStageConfig
    view_file: Path | None = None


def label_job(job: LabelJob) -> str:
    """Label one pair and write its maps; returns the sample's id."""
    from gs_stereo.io.pairs import read_pair

    pair = read_pair(job.pair_dir)
    views = read_view_sources(job.view_file) if job.view_file else {}
    with threads_for(job.config.matchers):
        label = label_pair(pair, views, job.config)
    with atomic_path(job.label_file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **asdict(label))
    return pair.sample_id


def label_pair(pair: StereoPair, views: dict[str, ViewDepth], config: LabelStageConfig) -> StereoLabel:
    """The label of a pair by the configured expert."""
    return label_from(gather_sources(pair, views, config), config)


def label_from(sources: LabelSources, config: LabelStageConfig) -> StereoLabel:
    """The label by the configured expert, its confidence calibrated if the trust model knows the expert."""
    from gs_stereo.labels.fusion import fused_label, with_calibrated_confidence
    from gs_stereo.labels.matched import matched_label
    from gs_stereo.labels.sources import MATCHED, LabelSources
    from gs_stereo.labels.splat import splat_label

    pair, expert, rules = sources.pair, config.expert, fusion_rules(config)
    if expert == FUSED:
        return fused_label(sources, rules)
    if expert == SPLAT:
        return with_calibrated_confidence(splat_label(pair, config.rules), SPLAT, LabelSources(pair=pair), rules)
    if expert == MULTIBASELINE:
        stack = sources.views[MULTIBASELINE]
        label = matched_label(pair, _stack_prediction(pair, stack), config.rules)
        alone = LabelSources(pair=pair, views={MULTIBASELINE: stack})
        return with_calibrated_confidence(label, MULTIBASELINE, alone, rules)
    asked = sources.matched[expert]
    label = matched_label(pair, asked.left, config.rules, asked.right)
    if expert not in rules.trust.experts:
        return label
    return with_calibrated_confidence(label, MATCHED, LabelSources(pair=pair, matched={expert: asked}), rules)


def gather_sources(pair: StereoPair, views: dict[str, ViewDepth], config: LabelStageConfig) -> LabelSources:
    """The pair with what its view's sources said, and with the answers of the matchers."""
    from gs_stereo.labels.sources import LabelSources

    matched = {name: ask_matcher(name, pair, config) for name in config.matchers}
    return LabelSources(pair=pair, views=views, matched=matched)


def fusion_rules(config: LabelStageConfig) -> FusionRules:
    from gs_stereo.labels.fusion import FusionRules
    from gs_stereo.labels.trust import load_trust

    return FusionRules(fusion=config.fused, labels=config.rules, trust=load_trust())


def uncalibrated(config: LabelStageConfig) -> tuple[str, ...]:
    """Matchers that have a say in the fused label although the trust model was calibrated without them."""
    from gs_stereo.labels.trust import load_trust

    known = load_trust().experts
    return tuple(name for name in config.matchers if config.expert == FUSED and name not in known)


def ask_matcher(name: str, pair: StereoPair, config: LabelStageConfig) -> MatchedPair:
    """A matcher's disparity of both eyes."""
    from gs_stereo.labels.sources import MatchedPair

    left, right = predict_both(make_matcher(name, config.experts), pair, _largest_disparity_px(pair))
    return MatchedPair(left=left, right=right)


def _stack_prediction(pair: StereoPair, stack: ViewDepth) -> DisparityPrediction:
    from gs_stereo.types import DisparityPrediction

    return DisparityPrediction(disparity=stack.inverse_depth * np.float32(pair.rig.focal_times_baseline))


def _largest_disparity_px(pair: StereoPair) -> float:
    """The search range that the rendered depth asks for; a quarter of the width where there is no depth."""
    depths = pair.left_depth.median[np.isfinite(pair.left_depth.median) & (pair.left_depth.median > 0)]
    width = pair.left.shape[1]
    if depths.size == 0:
        return width / 4
    nearest = np.percentile(depths, 100 - _SURE_OF_RANGE_PERCENTILE)
    return float(min(pair.rig.focal_times_baseline / nearest + _RANGE_MARGIN_PX, width))


def provenance_of(config: LabelStageConfig) -> Provenance:
    """Where the labels come from: versions, licences and settings of every source that had a say."""
    from gs_stereo.labels.splat import splat_provenance

    if config.expert == SPLAT:
        return splat_provenance(config.rules)
    if config.expert == MULTIBASELINE:
        return _own_provenance(MULTIBASELINE, {"multiview": config.multiview.model_dump(mode="json")})
    if config.expert == FUSED:
        return _fused_provenance(config)
    return make_matcher(config.expert, config.experts).provenance


def _fused_provenance(config: LabelStageConfig) -> Provenance:
    from gs_stereo.labels.trust import load_trust
    from gs_stereo.types import Provenance

    experts = [make_matcher(name, config.experts).provenance for name in config.matchers]
    trust = load_trust()
    settings = {
        "fused": config.fused.model_dump(mode="json"),
        "experts": [asdict(expert) for expert in experts],
        "trust": {
            "version": trust.version,
            "trained_on": list(trust.trained_on),
            "experts": list(trust.experts),
        },
    }
    own = _own_provenance(FUSED, settings)
    weights = [expert.weights_sha256 for expert in experts if expert.weights_sha256]
    licence = "; ".join(f"{expert.name}: {expert.licence}" for expert in experts) or own.licence
    return Provenance(
        name=own.name,
        version=own.version,
        licence=licence,
        weights_sha256=weights[0] if len(weights) == 1 else None,
        settings=settings,
    )


def _own_provenance(name: str, settings: dict[str, Any]) -> Provenance:
    from gs_stereo import __version__
    from gs_stereo.types import Provenance

    return Provenance(name=name, version=__version__, licence="no expert weights", settings=settings)
