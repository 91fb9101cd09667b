"""Disparity predictions and labels. Disparity is of the left image, in pixels, NaN = none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Annotated

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from pydantic import Field

from gs_stereo.core.records import JsonObject, OpenRecord


class LabelFlag(IntFlag):
    """Bits of the flag word of a label pixel (shard format, version 1)."""

    OCCLUDED = 1 << 0
    OUT_OF_FRAME = 1 << 1
    LOW_ALPHA = 1 << 2
    AMBIGUOUS_DEPTH = 1 << 3
    LEFT_RIGHT_INCONSISTENT = 1 << 4
    MULTI_VIEW_INCONSISTENT = 1 << 5
    SOURCES_DISAGREE = 1 << 6
    FROM_SPLAT = 1 << 7
    SKY = 1 << 8
    TRANSIENT = 1 << 9
    CUT_OUT = 1 << 10
    INFERRED = 1 << 11
    REFLECTION = 1 << 12
    DRAWN_OBJECT = 1 << 13

    @property
    def bit(self) -> int:
        return self.bit_length() - 1

    @property
    def words(self) -> str:
        """The name in plain text."""
        return str(self.name).lower().replace("_", " ")


FLAG_MEANING: Mapping[LabelFlag, str] = {
    LabelFlag.OCCLUDED: "hidden from the right camera by a nearer surface",
    LabelFlag.OUT_OF_FRAME: "lies left of the right image",
    LabelFlag.LOW_ALPHA: "the scene model is not opaque here",
    LabelFlag.AMBIGUOUS_DEPTH: "depth varies along the ray",
    LabelFlag.LEFT_RIGHT_INCONSISTENT: "matching left to right and right to left differ",
    LabelFlag.MULTI_VIEW_INCONSISTENT: "neighbouring views disagree",
    LabelFlag.SOURCES_DISAGREE: "matcher and splat disagree",
    LabelFlag.FROM_SPLAT: "the label is taken from the splat",
    LabelFlag.SKY: "the sky, by its colour and for want of any depth",
    LabelFlag.TRANSIENT: "no label; something stands before the scene in the photo taken here",
    LabelFlag.CUT_OUT: "cut out of the photos: transparent, or masked as empty",
    LabelFlag.INFERRED: "the surface around is continued, nothing was matched",
    LabelFlag.REFLECTION: "what is seen lies behind the surface around it",
    LabelFlag.DRAWN_OBJECT: "a virtual object that was drawn into the images; its disparity is exact",
}
UNSEEN_BY_RIGHT = LabelFlag.OCCLUDED | LabelFlag.OUT_OF_FRAME
"""Flags of pixels that only the left eye sees."""


@dataclass(frozen=True, kw_only=True)
class Provenance(OpenRecord):
    """Where a label comes from; it is written into every shard, where `name` is called expert."""

    name: Annotated[str, Field(alias="expert")]
    version: str
    licence: str
    weights_sha256: str | None = None
    settings: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class DisparityPrediction:
    """A matcher's answer: disparity in pixels (NaN = none) and, if it has one, a confidence in [0, 1]."""

    disparity: Float[np.ndarray, "h w"]
    confidence: Float[np.ndarray, "h w"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class StereoLabel:
    """The label of a pair. `confidence` is round(255 * probability that the error is under 1 px)."""

    disparity: Float[np.ndarray, "h w"]
    confidence: UInt8[np.ndarray, "h w"]
    flags: UInt16[np.ndarray, "h w"]
