"""Settings of labels: which source, by which rules, with which matchers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from gs_stereo.config import Config, OnlyWith, leaf
from gs_stereo.matching.experts import ExpertsConfig, idle_expert
from gs_stereo.metrics.recalibration import Recalibration
from gs_stereo.mvs.config import MultiViewConfig

TRUST_MODEL_FILE = Path(__file__).with_name("trust.yaml")
"""The calibrated model behind every confidence; see `labels.trust`."""

MATCHER_PREFIX = "matcher:"

_SOURCE_SETTINGS = {
    "fused": ("fused",),
    "multiview": ("fused", "multibaseline"),
    "backend": ("multibaseline", "fused"),
}
"""Settings that only some of the built-in sources use."""

FlagName = Literal[
    "occluded",
    "out_of_frame",
    "low_alpha",
    "ambiguous_depth",
    "left_right_inconsistent",
    "multi_view_inconsistent",
    "sources_disagree",
]


class LabelConfig(Config):
    """When a pixel gets a label, which flags it carries, and how far to trust it."""

    min_alpha: float = Field(default=0.8, ge=0.5, le=1, description="Less rendered opacity sets low_alpha")
    max_relative_depth_skew: float = Field(
        default=0.03,
        gt=0,
        description="A larger distance of mean and median z along the ray, over the median, sets ambiguous_depth",
    )
    occlusion_tolerance_px: float = Field(
        default=0.5,
        gt=0,
        description="A right surface nearer by more than this disparity hides the point and sets occluded",
    )
    left_right_px: float = Field(
        default=1.0, gt=0, description="A larger difference of the two directions sets left_right_inconsistent"
    )
    source_difference_px: float = Field(
        default=2.0, gt=0, description="A larger difference of matcher and splat sets sources_disagree"
    )
    noise_floor_px: float = Field(
        default=0.3, gt=0, description="Error scale of a pixel on which every check agrees; enters the confidence"
    )
    unchecked_px: float = Field(
        default=0.7, gt=0, description="Error scale added where no second view checks a pixel; enters the confidence"
    )
    splat_depth: Literal["median", "expected"] = Field(
        default="median",
        description="Depth that a splat label is made of; expected is the mean along the ray, as many trainers give "
        "it: at edges it lies between the surfaces",
    )
    splat_rejects: tuple[FlagName, ...] = Field(
        default=("low_alpha", "ambiguous_depth"),
        description="Flags that take a splat label away; an occluded point keeps its disparity, the geometry is known",
    )
    matched_rejects: tuple[FlagName, ...] = Field(
        default=("occluded", "out_of_frame", "low_alpha", "left_right_inconsistent"),
        description="Flags that take a matcher's label away: where there is no match, a matcher guesses",
    )


class FusionConfig(Config):
    """Which sources make the fused label, and when a pixel keeps it."""

    only_with: ClassVar[OnlyWith] = {"photo_count": {"photos": (True,)}, "max_reprojection_px": {"photos": (True,)}}
    experts: tuple[str, ...] = Field(
        default=("lite", "sgbm"), description="Matchers that give evidence, by name; multibaseline is one of them."
    )
    photos: bool = Field(default=True, description="Match the real photos around each view, where their poses are good")
    max_reprojection_px: float = Field(
        default=1.5, gt=0, description="Photos do not count if structure from motion reprojects worse than this"
    )
    surfaces: bool = Field(
        default=True, description="Propose planes for regions without texture and for walls around reflections"
    )
    reflections: Literal["drop", "keep"] = Field(
        default="drop",
        description="Depth behind a wall that surrounds it, as of a mirror: no label, or one if it is trusted. "
        "Photos cannot tell a mirror from an opening",
    )
    photo_count: int = Field(default=8, ge=2, le=32, description="Photos that are matched with a view")
    neighbours: int = Field(default=3, ge=0, le=8, description="Virtual views whose depth is compared with a view's")
    min_confidence: float = Field(
        default=0.78,
        ge=0,
        lt=1,
        description="Pixels with less confidence to be right within 1 px get no label. 0.78 keeps 95 % of the pixels "
        "of an easy path-traced room and 81 % of a hard one; of those off by more than 1 px it drops 73 % and 66 %",
    )
    switch_margin: float = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="A less precise source replaces a more precise one if its confidence is higher by this much",
    )
    max_scale_px: float = Field(
        default=1.0,
        gt=0,
        description="Pixels lose their label where the view's depth and the sparse points differ by more in the median",
    )
    warp_tolerance_px: float = Field(
        default=0.25,
        gt=0,
        description="A surface of the left view, warped to the right, hides points farther by more than this",
    )
    right_tolerance_px: float = Field(
        default=0.35, gt=0, description="A rendered surface of the right view hides points farther by more than this"
    )
    tolerance_share: float = Field(
        default=0.04,
        ge=0,
        lt=1,
        description="Share of the disparity added to both tolerances: depth errors are larger at wide baselines",
    )


class LabelSettings(Config):
    """Which source labels a pair, and the settings of every source."""

    expert: str = Field(
        default="fused", description="Label source: fused, splat, multibaseline, a matcher's name or a plug-in's."
    )
    sky: Literal["hole", "zero"] = Field(
        default="hole", description="Pixels of the sky: without a label, or with disparity 0. Both are flagged."
    )
    min_confidence: float = Field(
        default=0.0, ge=0, le=1, description="Labels with less confidence are dropped, whatever their source."
    )
    recalibration: Recalibration | None = Field(
        default=None, description="What the confidence is made into, whatever the source; None: it is kept as it is."
    )
    rules: LabelConfig = Field(default=LabelConfig(), description="When a pixel gets a label, flags, confidence.")
    fused: FusionConfig = Field(default=FusionConfig(), description="fused: its sources and thresholds.")
    multiview: MultiViewConfig = Field(
        default=MultiViewConfig(), description="fused and multibaseline: matching of many views."
    )
    backend: str = Field(default="auto", description="multibaseline: rasterizer, auto, cpu or gsplat.")
    experts: ExpertsConfig = Field(default=ExpertsConfig(), description="Settings of the experts.")

    def idle(self, given: Mapping[str, Any]) -> str | None:
        source = self.expert.removeprefix(MATCHER_PREFIX)
        if source not in {*_SOURCE_SETTINGS["multiview"], "splat", *ExpertsConfig.model_fields}:
            return super().idle(given)  # a third party's source, which knows what it uses
        for name, sources in _SOURCE_SETTINGS.items():
            if name in given and source not in sources:
                return f"{leaf(name, given[name])} has an effect only with expert={sources[0]}"
        asked = self.fused.experts if source == "fused" else (source,)
        return idle_expert(given.get("experts", {}), asked) or super().idle(given)
