"""Label sources by name: which there are, and `label_pair`, which labels arrays in a notebook.

A new label source is one module with a class and one line in `LABEL_SOURCES`; third parties register theirs under the
entry point `gs_stereo.label_source`. Every matcher is a label source too, by its own name (or `matcher:NAME`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import Bool

from gs_stereo.errors import InputError, PluginError
from gs_stereo.labels.config import MATCHER_PREFIX, LabelSettings
from gs_stereo.labels.objects import with_objects
from gs_stereo.labels.protocol import LabelSource
from gs_stereo.labels.sky import sky_of, with_sky
from gs_stereo.matching.protocol import MATCHERS
from gs_stereo.metrics.recalibration import Recalibration, recalibrated
from gs_stereo.plugins import Registry
from gs_stereo.types import LabelFlag, StereoImages, StereoLabel, StereoPair

if TYPE_CHECKING:
    from gs_stereo.labels.observations import ViewDepth

LABEL_SOURCES: Registry[Callable[[LabelSettings], LabelSource]] = Registry(
    kind="label_source",
    builtin={
        "fused": "gs_stereo.labels.fused:FusedSource",
        "splat": "gs_stereo.labels.splat:SplatSource",
        "multibaseline": "gs_stereo.labels.multibaseline:MultibaselineSource",
    },
)


def source_names() -> list[str]:
    """Every name that `--expert` takes."""
    return [*LABEL_SOURCES.names(), *MATCHERS.names()]


def make_source(settings: LabelSettings) -> LabelSource:
    """The label source that the settings name.

    PluginError if there is none of that name, ConfigError if it lacks a setting.
    """
    if settings.expert in LABEL_SOURCES:
        return LABEL_SOURCES.load(settings.expert)(settings)
    from gs_stereo.labels.matcher import MatcherSource

    name = settings.expert.removeprefix(MATCHER_PREFIX)
    if name not in MATCHERS:
        raise PluginError(f"There is no expert called {name!r}; use one of: {', '.join(source_names())}.")
    return MatcherSource(settings, name)


def label_pair(
    pair: StereoImages, views: Mapping[str, ViewDepth] | None = None, settings: LabelSettings | None = None
) -> StereoLabel:
    """Label one pair: rendered with depth by any source, images alone by a matcher.

    views: what is known about its left view besides the pair itself, see `labels.views.view_depths`; the label is made
    of less without it. Raises PluginError or ConfigError for settings that name no label source, InputError for a pair
    that lacks the depth which its source needs.
    """
    settings = settings or LabelSettings()
    source = make_source(settings)
    if source.needs_depth and not isinstance(pair, StereoPair):
        raise InputError(
            f"The pair {pair.sample_id!r} has no rendered depth; label it with a matcher, for example --expert lite."
        )
    label = source.label(cast(StereoPair, pair), views or {})
    label = with_sky(label, sky_of(pair, label), zero=settings.sky == "zero")
    if settings.recalibration:
        label = _recalibrated(label, settings.recalibration)
    if settings.min_confidence:
        label = _confident(label, settings.min_confidence)
    if isinstance(pair, StereoPair) and pair.left_cut_out is not None:
        label = without(label, pair.left_cut_out)
    if isinstance(pair, StereoPair) and pair.objects is not None:
        label = with_objects(label, pair.objects)
    return label


def _recalibrated(label: StereoLabel, by: Recalibration) -> StereoLabel:
    """The label with what its confidence means in this capture; a label keeps at least the lowest one."""
    confidence = np.rint(255 * recalibrated(label.confidence / 255, by))
    confidence = np.where(np.isfinite(label.disparity), np.maximum(confidence, 1), 0)
    return replace(label, confidence=confidence.astype(np.uint8))


def _confident(label: StereoLabel, min_confidence: float) -> StereoLabel:
    """The label but for pixels of less confidence."""
    kept = label.confidence >= np.rint(255 * min_confidence)
    return StereoLabel(
        disparity=np.where(kept, label.disparity, np.float32(np.nan)),
        confidence=np.where(kept, label.confidence, np.uint8(0)),
        flags=np.where(kept, label.flags, label.flags & ~np.uint16(LabelFlag.FROM_SPLAT)),
    )


def without(label: StereoLabel, cut_out: Bool[np.ndarray, "h w"]) -> StereoLabel:
    """The label but for pixels that the photos cut out; they are flagged."""
    return StereoLabel(
        disparity=np.where(cut_out, np.float32(np.nan), label.disparity),
        confidence=np.where(cut_out, np.uint8(0), label.confidence),
        flags=np.where(cut_out, np.uint16(LabelFlag.CUT_OUT), label.flags),
    )
