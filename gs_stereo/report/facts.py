"""What the page shows, as plain data: the page itself reads no file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from gs_stereo.audit.scores import AuditReport
from gs_stereo.benchmarks.label_report import Evaluation
from gs_stereo.datasets.card import CardFacts
from gs_stereo.datasets.schema import DatasetIndex
from gs_stereo.io.reconstruction import ReconstructionSummary
from gs_stereo.pipeline.manifest import Manifest
from gs_stereo.quality.advice import Advice
from gs_stereo.quality.dataset import DatasetMeasures
from gs_stereo.quality.verdict import Verdict
from gs_stereo.splat.appearance import Appearance
from gs_stereo.splat.quality import FitRecord
from gs_stereo.types import SparseScene


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A published folder (relative to the scene's results) and its manifest."""

    folder: str
    manifest: Manifest


@dataclass(frozen=True, kw_only=True)
class MaskedPhoto:
    """A photo with red over what its mask leaves out, as a data URI."""

    name: str
    share: float
    picture: str


@dataclass(frozen=True, kw_only=True)
class CaptureFacts:
    """The reconstruction that the dataset was made of. masked: the photos of which masks leave out most."""

    summary: ReconstructionSummary
    scene: SparseScene
    masked: tuple[MaskedPhoto, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HeldOutView:
    """A photo that the fit never saw, beside its render. Pictures are data URIs."""

    name: str
    photo: str
    render: str
    difference: str
    psnr_db: float
    ssim: float


@dataclass(frozen=True, kw_only=True)
class FitFacts:
    """Training curves and held-out views; `held_out_count` may exceed those shown. appearance: undone in the photos.

    transients: the photos in which most was found before the scene.
    """

    appearance: Appearance
    transients: tuple[MaskedPhoto, ...]
    curves: tuple[FitRecord, ...]
    held_out: tuple[HeldOutView, ...]
    held_out_count: int
    metrics: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """One pair of the contact sheet. Pictures are data URIs."""

    sample_id: str
    left: str
    disparity: str
    median_disparity_px: float


@dataclass(frozen=True, kw_only=True)
class ShownSample:
    """One pair in full, for the viewer. Pictures are data URIs; the ranges are those of the scale bars.

    confidence: None where there is no label. made, truth: a generated eye and what a splat says it should see; None
    where nothing is generated or known.
    stack: its views above their depth; None where there is no stack with depth.
    depth_range: label depth at the ends of `disparity_range_px`, in scene units, far end first.
    """

    sample_id: str
    rank: str
    left: str
    right: str
    anaglyph: str
    disparity: str
    confidence: str | None
    disparity_range_px: tuple[float, float]
    depth_range: tuple[float, float]
    size: tuple[int, int]
    notes: tuple[tuple[str, str], ...]
    made: str | None = None
    truth: str | None = None
    stack: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class DatasetPictures:
    """Pictures and counts that need the pixels. confidence_counts: labelled pixels in 20 equal steps of [0, 1]."""

    thumbnails: tuple[Thumbnail, ...]
    shown: tuple[ShownSample, ...]
    confidence_counts: Int64[np.ndarray, "20"]
    disparity_range_px: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class AuditFacts:
    """Labels measured on planted objects. pictures: data URIs by the name of the pair."""

    report: AuditReport
    pictures: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportFacts:
    """Everything about one dataset of a scene. evaluation: by `evaluate-labels`, if the truth is known.

    advice: where the next photos should be taken, where the verdict is no pass.
    generated: what made one eye of the pairs, as a sentence; empty where both are observed or rendered.
    """

    scene: str
    dataset: str
    other_datasets: tuple[str, ...]
    index: DatasetIndex
    card: CardFacts
    verdict: Verdict
    measures: DatasetMeasures
    pictures: DatasetPictures
    stages: tuple[StageRecord, ...]
    licences: tuple[tuple[str, str, str], ...]
    capture: CaptureFacts | None = None
    fit: FitFacts | None = None
    audit: AuditFacts | None = None
    evaluation: Evaluation | None = None
    generated: str = ""
    advice: Advice | None = None

    @property
    def depth_unit(self) -> str:
        """How depth is written: metres where the scale is known."""
        return "m" if self.index.metres_per_unit else "units"

    @property
    def metres(self) -> float:
        """Metres, or scene units, of one scene unit."""
        return self.index.metres_per_unit or 1.0
