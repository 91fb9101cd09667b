"""Pairs with a generated eye: which one it is, who made it, and the rendered truth beside it where a splat knows it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.imaging.images import nearest_size
from gs_stereo.report.facts import StageRecord
from gs_stereo.report.pictures import SHOWN_EDGE_PX
from gs_stereo.splat.pairs import SplatRenderer
from gs_stereo.types import Camera

_EYE_OF_NAME = re.compile(r"\d+-(\d+)_")
_OPAQUE = 0.5


@dataclass(frozen=True, kw_only=True)
class GeneratedEyes:
    """What made one eye of the pairs of a data set. baselines: by their place in the names of pairs, () = unknown."""

    maker: Mapping[str, Any]
    baselines: tuple[float, ...]

    @classmethod
    def of(cls, maker: object, stages: Sequence[StageRecord]) -> "GeneratedEyes | None":
        """From what labels or pairs say of their maker, and the manifest of the pairs; None for observed pairs."""
        return cls(maker=maker, baselines=_baselines(stages)) if isinstance(maker, Mapping) else None

    def is_left(self, sample: ShardSample) -> bool:
        """Whether the left eye is the generated one: its baseline was negative."""
        found = _EYE_OF_NAME.match(sample.sample_id)
        place = int(found[1]) if found else 0
        return place < len(self.baselines) and self.baselines[place] < 0

    @property
    def in_capture(self) -> bool:
        """Whether the pairs have the poses and lengths of a capture."""
        return bool(self.maker.get("settings", {}).get("cameras") == "of the capture")

    @property
    def text(self) -> str:
        """One sentence for the page."""
        name, version, licence = (str(self.maker.get(key, "unknown")) for key in ("name", "version", "licence"))
        return f"One eye of every pair is generated, not observed: by {name} {version}; licence: {licence}."


def _baselines(stages: Sequence[StageRecord]) -> tuple[float, ...]:
    configs = [each.manifest.parts.get("config", {}) for each in stages if each.manifest.stage == "synthesize"]
    return tuple((configs[0].get("baselines") if configs else None) or ())


@dataclass(frozen=True, kw_only=True, eq=False)
class TrueEyes:
    """Renders what a generated eye should see. cameras: of the photos, by name."""

    eyes: GeneratedEyes
    renderer: SplatRenderer
    cameras: Mapping[str, Camera]
    metres_per_unit: float | None

    def __call__(self, sample: ShardSample) -> UInt8[np.ndarray, "h w 3"] | None:
        """As large as the page shows it; None where the photo is none of the capture, or the baseline has no length."""
        camera = self.cameras.get(sample.view_id)
        if camera is None:
            return None
        if self.eyes.in_capture:
            return self._shown(sample.rig.left if self.eyes.is_left(sample) else sample.rig.right)
        height, width = sample.disparity.shape
        source = replace(camera, width=width, height=height, intrinsics=sample.intrinsics)
        length = self._length(sample.baseline, source)
        if length is None:
            return None
        return self._shown(source.shifted(-length if self.eyes.is_left(sample) else length))

    def _shown(self, camera: Camera) -> UInt8[np.ndarray, "h w 3"]:
        size = nearest_size(camera.width, camera.height, SHOWN_EDGE_PX)
        return self.renderer.render([camera.resized(*size)])[0].image

    def _length(self, baseline: float, source: Camera) -> float | None:
        settings = self.eyes.maker.get("settings", {})
        if settings.get("baseline_unit", "metres") == "metres":
            return None if self.metres_per_unit is None else baseline / self.metres_per_unit
        depth = self.renderer.render([source])[0].depth
        known = depth.median[(depth.alpha >= _OPAQUE) & np.isfinite(depth.median)]
        return baseline * float(np.median(known)) if known.size else None
