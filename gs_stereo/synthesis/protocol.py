"""What makes a second eye, by whatever method: one protocol, so that methods can be compared.

Built-ins are in the table below; third parties register theirs under the entry point `gs_stereo.synthesizer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, UInt8
from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.plugins import Registry
from gs_stereo.types import Provenance

Unit = Literal["metres", "median_depth"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceView:
    """A picture and its camera. depth: along the optical axis in the unit of the baseline, NaN = unknown."""

    image: UInt8[np.ndarray, "h w 3"]
    intrinsics: Float[np.ndarray, "3 3"]
    depth: Float[np.ndarray, "h w"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SynthesizedView:
    """The other eye. filled: pixels that were invented rather than moved; None = the method cannot say."""

    image: UInt8[np.ndarray, "h w 3"]
    filled: Bool[np.ndarray, "h w"] | None
    provenance: Provenance


@runtime_checkable
class Synthesizer(Protocol):
    """Makes what a camera at a baseline from the source sees; positive = to the right of it.

    title: of its row in a table. unit: of baselines and depth; a median depth is that of the source picture.
    needs_depth: it moves pixels by `SourceView.depth`. steps: of its sampler; None = there is none, and no seed changes
    the answer. side_px: it works at about this size; None = at any. rows_px: and with at most so many rows; None = any
    number. multiple_px: of which the sides must be multiples.
    """

    title: str
    unit: Unit
    needs_depth: bool
    steps: int | None
    side_px: int | None
    rows_px: int | None
    multiple_px: int

    @property
    def provenance(self) -> Provenance: ...

    def synthesize(self, source: SourceView, baseline: float, seed: int) -> SynthesizedView: ...


class SynthesizerSettings(Config):
    """Settings that a synthesizer may take. What is None is as the model was trained."""

    weights: Path | None = Field(
        default=None, description="Folder of the weights; None: the small model that comes with the package"
    )
    steps: int | None = Field(default=None, ge=1, le=1000, description="Steps of the sampler")
    guidance: float | None = Field(default=None, ge=0, le=20, description="Classifier-free guidance; 1 = off")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: CUDA if it is there")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Of the nets; the CPU wants float32"
    )


SYNTHESIZERS: Registry[Callable[[SynthesizerSettings], Synthesizer]] = Registry(
    kind="synthesizer",
    builtin={
        "copy": "gs_stereo.synthesis.warp:CopySynthesizer",
        "shift": "gs_stereo.synthesis.warp:ShiftSynthesizer",
        "warp": "gs_stereo.synthesis.warp:WarpSynthesizer",
        "latent_warp": "gs_stereo.synthesis.latent_warp:latent_warp_synthesizer",
        "stereospace": "gs_stereo.synthesis.diffusion:published_synthesizer",
        "stereospace-small": "gs_stereo.synthesis.diffusion:small_synthesizer",
    },
    install_hints=dict.fromkeys(
        ("latent_warp", "stereospace", "stereospace-small"), "pip install 'gs_stereo[synthesis]'"
    ),
)
