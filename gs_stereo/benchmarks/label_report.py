"""What an evaluation of labels says: numbers by baseline and region, as a table and as JSON.

Views whose baselines were chosen for each of them have as many baselines as views: then only all together are shown.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gs_stereo.core.records import Measured, OpenRecord, finite
from gs_stereo.metrics.calibration import Reliability, Sparsification
from gs_stereo.metrics.disparity import DetectionScores, DisparityScores

_TABLE_THRESHOLDS = 3
_PLOT_WIDTH = 50
_LISTED_BASELINES = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionScores:
    """One region of one baseline: all, non_occluded, edge, or a surface class.

    Calibration and sparsification are of the event and the error "under 1 px" and in px, over labelled pixels.
    """

    region: str
    disparity: DisparityScores
    reliability: Reliability
    sparsification: Sparsification

    def to_json(self) -> dict[str, Any]:
        """Numbers only, NaN too."""
        scores, bins, sparse = self.disparity, self.reliability, self.sparsification
        return {
            "region": self.region,
            "pixels": scores.pixels,
            "coverage": scores.coverage,
            "epe_all_pixels": scores.epe_all_pixels,
            "bad_all_pixels": {f"{limit:g}": share for limit, share in scores.bad_all_pixels.items()},
            "d1_all_pixels": scores.d1_all_pixels,
            "ece_all_pixels": bins.ece_all_pixels,
            "ause_px": sparse.ause_px,
            "ause_relative": sparse.ause_relative,
            "reliability": _lists(bins, "edges", "pixels", "confidence", "accuracy"),
            "sparsification": _lists(sparse, "removed", "error_px", "oracle_px"),
        }


@dataclass(frozen=True, kw_only=True)
class ReliabilityRecord(OpenRecord):
    """Bins of confidence in a report."""

    confidence: tuple[Measured, ...]
    accuracy: tuple[Measured, ...]


@dataclass(frozen=True, kw_only=True)
class RegionRecord(OpenRecord):
    """What of `RegionScores` is read again from a report."""

    region: str
    pixels: int
    coverage: Measured
    epe_all_pixels: Measured
    bad_all_pixels: Mapping[str, Measured]
    ece_all_pixels: Measured
    reliability: ReliabilityRecord


@dataclass(frozen=True, kw_only=True)
class BaselineRecord(OpenRecord):
    """The regions of a baseline in metres."""

    baseline_m: Measured
    regions: tuple[RegionRecord, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation(OpenRecord):
    """A report of labels as it is read again."""

    baselines: tuple[BaselineRecord, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelScores:
    """Scores of some labels. occlusion: flag bit 0 against hidden pixels that lie inside the right image.

    views: how many labels. out_of_frame: flag bit 1 against pixels that leave the right image.
    """

    views: int
    regions: tuple[RegionScores, ...]
    occlusion: DetectionScores
    out_of_frame: DetectionScores

    def to_json(self) -> dict[str, Any]:
        """Numbers only, NaN too."""
        return {
            "views": self.views,
            "regions": [region.to_json() for region in self.regions],
            "occlusion": asdict(self.occlusion),
            "out_of_frame": asdict(self.out_of_frame),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class BaselineScores(LabelScores):
    """Scores of the labels of one baseline in metres."""

    baseline_m: float


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelReport:
    """The comparison of a dataset's labels with the exact truth: all baselines together, and each."""

    scene: str
    split: str
    mapping: str
    metres_per_unit: float
    scale_was_estimated: bool
    together: LabelScores
    baselines: tuple[BaselineScores, ...]

    def groups(self) -> Iterator[tuple[str, LabelScores]]:
        """What is worth showing: each baseline while they are few, and all together where there are several."""
        metres = [scores.baseline_m for scores in self.baselines]
        if len(metres) <= _LISTED_BASELINES:
            yield from ((f"baseline {scores.baseline_m:.3g} m", scores) for scores in self.baselines)
        if len(metres) > 1:
            yield f"{len(metres)} baselines, {metres[0]:.3g} to {metres[-1]:.3g} m", self.together

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json.dumps` takes; NaN becomes None."""
        baselines = [{"baseline_m": each.baseline_m, **each.to_json()} for each in self.baselines]
        values = {**vars(self), "together": self.together.to_json(), "baselines": baselines}
        return {name: finite(value) for name, value in values.items()}

    def to_table(self) -> str:
        """Text of at most 80 columns: for each group a line a region, and how well occlusion was found."""
        how = "estimated from the labels" if self.scale_was_estimated else "given"
        lines = [
            f"Labels against the exact truth of {self.scene} ({self.split} views).",
            f"1 unit = {self.metres_per_unit:.4g} m, {how}.",
        ]
        limits = list(self.together.regions[0].disparity.bad_all_pixels)[:_TABLE_THRESHOLDS]
        bad = "".join(f"{f'bad-{limit:g}':>8}" for limit in limits)
        lines.append(f"{'':15}{'pixels':>9}{'coverage':>10}{'EPE px':>8}{bad}{'ECE':>7}{'AUSE':>7}")
        for title, scores in self.groups():
            found = scores.occlusion
            lines += [
                title,
                *(_line(region, limits) for region in scores.regions if region.disparity.pixels),
                f"  occlusion: precision {_number(found.precision_all_pixels, 3)}, "
                f"recall {_number(found.recall_all_pixels, 3)}, F1 {_number(found.f1_all_pixels, 3)}",
            ]
        return "\n".join(lines)


def reliability_plot(report: LabelReport) -> str:
    """A reliability diagram in characters for each group, over all labelled pixels.

    One row for each bin of confidence: `#` reaches the share of pixels that were right within 1 px, `|` marks the mean
    confidence. Calibrated is where the bar ends at the mark.
    """
    lines = []
    for title, scores in report.groups():
        bins = scores.regions[0].reliability
        lines.append(f"Reliability, {title}, ECE {_number(bins.ece_all_pixels, 3)}:")
        lines.append(f"{'confidence':>13}{'right':>8}{'pixels':>10}")
        for low, high, pixels, confidence, accuracy in zip(
            bins.edges[:-1], bins.edges[1:], bins.pixels, bins.confidence, bins.accuracy, strict=True
        ):
            if pixels:
                lines.append(f"{low:>6.2f} - {high:.2f}{accuracy:>8.3f}{pixels:>10}  {_bar(accuracy, confidence)}")
    return "\n".join(lines)


def _bar(accuracy: float, confidence: float) -> str:
    """`#` up to the accuracy, `|` at the confidence."""
    mark = min(round(confidence * _PLOT_WIDTH), _PLOT_WIDTH - 1)
    bar = ("#" * round(accuracy * _PLOT_WIDTH)).ljust(_PLOT_WIDTH)
    return f"{bar[:mark]}|{bar[mark + 1 :]}".rstrip()


def _line(region: RegionScores, limits: list[float]) -> str:
    scores = region.disparity
    bad = "".join(f"{_percent(scores.bad_all_pixels[limit]):>8}" for limit in limits)
    return (
        f"  {region.region:<13}{scores.pixels:>9}{_percent(scores.coverage):>10}"
        f"{_number(scores.epe_all_pixels, 3):>8}{bad}{_number(region.reliability.ece_all_pixels, 3):>7}"
        f"{_number(region.sparsification.ause_px, 3):>7}"
    )


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}%"


def _lists(curve: object, *names: str) -> dict[str, list[float]]:
    return {name: getattr(curve, name).tolist() for name in names}
