"""How wrong labels are on planted objects, with confidence intervals: objects are drawn again, not pixels.

Pixels of one object err together, so the bootstrap (Efron 1979) resamples whole objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt16

from gs_stereo.audit.guarantee import PROMISED_SHARES, ConfidenceCut, LevelCounts, confidence_cut
from gs_stereo.core.hashing import unit_seed
from gs_stereo.core.records import Measured, Record
from gs_stereo.metrics.disparity import DetectionMetrics
from gs_stereo.metrics.recalibration import LEVELS, Recalibration, fitted_recalibration, share_wrong
from gs_stereo.planting.objects import KINDS, ObjectKind
from gs_stereo.planting.truth import NO_OBJECT, PlantedTruth
from gs_stereo.sfm.left_out import LeftOutPoses
from gs_stereo.types import LabelFlag

REPORT_FILE = "audit.json"
THRESHOLDS_PX = (0.5, 1.0, 2.0)
EDGE, ALL = "edge", "all"
REGIONS = (ALL, *dict.fromkeys(KINDS), EDGE)
_THIN_SHARE, _THIN_SHARE_SPREAD = 0.01, 0.8
"""Thin things are 0 to 4 % of the pixels of the exact rooms at hand; how many a photo shows cannot be measured. The
second is how unsure the logarithm of the first is."""
_THIN_WRONG, _THIN_KNOWN = 0.3, 1.0
"""Labels of thin things are wrong so often where nothing is known, which weighs as much as so many objects."""
_SMALL_SHARE = 0.0015
"""Of a view; a body that is smaller (12 x 10 px of 320 x 240) may be missed by the splat as a thin thing is."""
_DRAWS = 2000
_INTERVAL = (2.5, 97.5)
_CONFIDENCE_BINS = 15

# Columns of the sums of an object: what every figure is a ratio of.
_PIXELS, _LABELLED, _ERROR, _CONFIDENCE = range(4)
_BAD = slice(4, 4 + len(THRESHOLDS_PX))
_BINS = slice(_BAD.stop, _BAD.stop + _CONFIDENCE_BINS)
_COLUMNS = _BINS.stop


@dataclass(frozen=True, kw_only=True)
class Figure(Record):
    """A measured value and its 95 % confidence interval; NaN where there is nothing to measure."""

    value: Measured
    low: Measured
    high: Measured

    def text(self, scale: float, digits: int) -> str:
        """For tables: value (low to high)."""
        if not np.isfinite(self.value):
            return "-"
        value, low, high = (f"{scale * number:.{digits}f}" for number in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"


@dataclass(frozen=True, kw_only=True)
class RegionScores(Record):
    """Labels of one kind of place, where both eyes see the object. `all` and `edge` mix the kinds as the
    photos do, and all but `edge` has as many edges as the real views.

    coverage: share of the pixels that have a label. epe_px: mean error. bad: share of the labels that are wrong by
    more than 0.5, 1 and 2 px. promised_bad_1: what their confidence says of the error above 1 px. ece: mean gap between
    confidence and truth over bins of confidence.
    """

    region: str
    objects: int
    pixels: int
    coverage: Figure
    epe_px: Figure
    bad_05: Figure
    bad_1: Figure
    bad_2: Figure
    promised_bad_1: Measured
    ece: Measured


@dataclass(frozen=True, kw_only=True)
class OwnLabels(Record):
    """The capture's own labels where both eyes see: how many are wrong by over 1 px.

    bad_1: by what their confidence means on objects. promised_bad_1: what it says itself.
    """

    bad_1: Figure
    promised_bad_1: Measured
    recalibration: Recalibration


class PlantedScores:
    """Adds up labels view by view."""

    def __init__(self, kinds: Sequence[ObjectKind], blank_share: float) -> None:
        """blank_share: of the pixels of the photos, for `all` mixes the kinds as the photos do."""
        self._kinds = np.array(kinds)
        self._blank_share = blank_share
        self._inner, self._edge = np.zeros((2, len(kinds), _COLUMNS))
        self._real_edge_shares: list[float] = []
        self._occlusion = DetectionMetrics()
        self._kept, self._wrong = np.zeros((2, len(kinds), LEVELS))
        self._shares, self._views = np.zeros((2, len(kinds)))

    def update(
        self,
        truth: PlantedTruth,
        disparity: Float[np.ndarray, "h w"],
        confidence: UInt8[np.ndarray, "h w"],
        flags: UInt16[np.ndarray, "h w"],
    ) -> None:
        """Add the labels of one left view."""
        self._inner += self._sums_of(truth, truth.seen_by_both & ~truth.edge, disparity, confidence)
        self._edge += self._sums_of(truth, truth.seen_by_both & truth.edge, disparity, confidence)
        self._real_edge_shares.append(truth.real_edge_share)
        both = truth.seen_by_both & (truth.owner != NO_OBJECT)
        share = np.bincount(truth.owner[both], minlength=len(self._kinds)) / both.size
        self._shares += share
        self._views += share > 0
        both &= np.isfinite(disparity)
        cell = truth.owner[both].astype(np.int64) * LEVELS + confidence[both]
        wrong = np.abs(disparity[both] - truth.disparity[both]) > 1.0
        shape = self._kept.shape
        self._kept += np.bincount(cell, minlength=self._kept.size).reshape(shape)
        self._wrong += np.bincount(cell[wrong], minlength=self._kept.size).reshape(shape)
        self._occlusion.update((flags & LabelFlag.OCCLUDED) > 0, truth.hidden, truth.around)

    def _sums_of(
        self,
        truth: PlantedTruth,
        mask: Bool[np.ndarray, "h w"],
        disparity: Float[np.ndarray, "h w"],
        confidence: UInt8[np.ndarray, "h w"],
    ) -> Float[np.ndarray, "k c"]:
        owner = truth.owner[mask & (truth.owner != NO_OBJECT)].astype(np.int64)
        chosen = mask & (truth.owner != NO_OBJECT)
        error = np.abs(disparity[chosen].astype(np.float64) - truth.disparity[chosen])
        labelled = np.isfinite(error)
        trust = confidence[chosen].astype(np.float64) / 255
        bins = np.minimum((trust * _CONFIDENCE_BINS).astype(np.int64), _CONFIDENCE_BINS - 1)
        columns = [np.ones(len(owner)), labelled, np.where(labelled, error, 0.0), np.where(labelled, trust, 0.0)]
        columns += [labelled & (error > threshold) for threshold in THRESHOLDS_PX]
        right = error <= 1.0
        # Right minus promised in each bin of confidence: its size, summed over bins, is the calibration error.
        columns += [np.where(labelled & (bins == bin_), right - trust, 0.0) for bin_ in range(_CONFIDENCE_BINS)]
        count = len(self._kinds)
        return np.stack([np.bincount(owner, weights=column, minlength=count) for column in columns], axis=1)

    def compute(self, seed: int) -> tuple[RegionScores, ...]:
        """The figures of every region that has pixels."""
        found = []
        for region in REGIONS:
            counted, sums = self._inner + self._edge, self._like_photos()
            if region == EDGE:
                counted = sums = self._edge
            weights = self._mixture() if region in (ALL, EDGE) else (self._kinds == region).astype(np.float64)
            chosen = (counted[:, _PIXELS] > 0) & (weights > 0)
            if chosen.any():
                pixels = int(counted[chosen, _PIXELS].sum())
                rng = np.random.default_rng(unit_seed(seed, f"audit/{region}"))
                found.append(_scores(region, pixels, (weights[:, None] * sums)[chosen], rng))
        return tuple(found)

    def _like_photos(self) -> Float[np.ndarray, "k c"]:
        """Sums in which edges have the share that they have in the real views: small objects are edges mostly."""
        inner, edge = (float(sums[:, _PIXELS].sum()) for sums in (self._inner, self._edge))
        real = float(np.mean(self._real_edge_shares)) if self._real_edge_shares else 0.0
        if inner == 0 or edge == 0 or not 0 < real < 1:
            return self._inner + self._edge
        total = inner + edge
        return (1 - real) * total / inner * self._inner + real * total / edge * self._edge

    def of_own_labels(self, own: Float[np.ndarray, "256"], seed: int) -> OwnLabels:
        """What objects say of labels elsewhere in the capture, counted by confidence. Few objects: wide intervals.

        Bodies say what a confidence means. Thin and small things do not: where the splat does not show them, the label
        says surely what stands behind. They count by how many of them are wrong, and the share that thin things have.
        """
        seen = self._kept.sum(axis=1) > 0
        thin = (self._kinds == "thin") | (self._shares < _SMALL_SHARE * self._views)
        bodies = seen & ~thin
        fitted = fitted_recalibration(self._kept[bodies], self._wrong[bodies], self._mixture()[bodies])
        rates = self._wrong[seen & thin].sum(axis=1) / self._kept[seen & thin].sum(axis=1)
        missed = _THIN_KNOWN * _THIN_WRONG + rates.sum(), _THIN_KNOWN * (1 - _THIN_WRONG) + (1 - rates).sum()

        found = fitted.best.model_copy(update={"floor": _THIN_SHARE * missed[0] / sum(missed)})
        rng = np.random.default_rng(unit_seed(seed, "audit/own labels"))
        drawn = []
        for _ in range(_DRAWS if seen.any() else 0):
            thin_share = min(_THIN_SHARE * float(np.exp(rng.normal(0, _THIN_SHARE_SPREAD))), 0.5)
            floor = float(rng.beta(*missed)) * thin_share
            drawn.append(share_wrong(fitted.drawn(rng).model_copy(update={"floor": floor}), own))
        low, high = np.percentile(drawn, _INTERVAL) if drawn else (np.nan, np.nan)
        return OwnLabels(
            bad_1=Figure(value=share_wrong(found, own), low=float(low), high=float(high)),
            promised_bad_1=share_wrong(Recalibration(), own),
            recalibration=found,
        )

    def cuts(self, own: Float[np.ndarray, "256"]) -> tuple[ConfidenceCut, ...]:
        """How confident labels must be for each of the promises. own: labels of the capture by confidence."""
        counts = LevelCounts(pixels=(self._inner + self._edge)[:, _PIXELS], kept=self._kept, wrong=self._wrong)
        return tuple(confidence_cut(counts, self._mixture(), own, share) for share in PROMISED_SHARES)

    def _mixture(self) -> Float[np.ndarray, "k"]:
        """A weight an object: blank and thin ones get the share of the pixels that they have in photos."""
        pixels = (self._inner + self._edge)[:, _PIXELS]
        of_kind = {kind: float(pixels[self._kinds == kind].sum()) for kind in KINDS}
        shares: dict[ObjectKind, float] = {"blank": self._blank_share, "thin": _THIN_SHARE}
        weights = np.ones(len(pixels))
        rest = sum(of_kind[kind] for kind in of_kind if kind not in shares)
        for kind, share in shares.items():
            if rest > 0 and of_kind[kind] > 0:
                weights[self._kinds == kind] = share / (1 - sum(shares.values())) * rest / of_kind[kind]
        return weights

    @property
    def occlusion_f1(self) -> float:
        """How well the flag `occluded` finds what objects hide from the right eye; NaN if they hide nothing."""
        return self._occlusion.compute().f1_all_pixels


def _scores(region: str, pixels: int, sums: Float[np.ndarray, "k c"], rng: np.random.Generator) -> RegionScores:
    drawn = sums[rng.integers(0, len(sums), (_DRAWS, len(sums)))].sum(axis=1)
    total = sums.sum(axis=0)

    def figure(top: int, bottom: int) -> Figure:
        ratios = _ratio(drawn[:, top], drawn[:, bottom])
        known = ratios[np.isfinite(ratios)]  # a draw may hold no label at all
        low, high = np.percentile(known, _INTERVAL) if known.size else (np.nan, np.nan)
        return Figure(value=float(_ratio(total[top], total[bottom])), low=float(low), high=float(high))

    bad = [figure(column, _LABELLED) for column in range(_BAD.start, _BAD.stop)]
    return RegionScores(
        region=region,
        objects=len(sums),
        pixels=pixels,
        coverage=figure(_LABELLED, _PIXELS),
        epe_px=figure(_ERROR, _LABELLED),
        bad_05=bad[0],
        bad_1=bad[1],
        bad_2=bad[2],
        promised_bad_1=float(1 - _ratio(total[_CONFIDENCE], total[_LABELLED])),
        ece=float(_ratio(np.abs(total[_BINS]).sum(), total[_LABELLED])),
    )


def _ratio(top: np.ndarray, bottom: np.ndarray) -> Float[np.ndarray, "..."]:
    bottom = np.asarray(bottom, np.float64)
    return np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)


@dataclass(frozen=True, kw_only=True)
class AuditReport(Record):
    """What an audit found.

    own: the labels of the capture itself. cuts: how confident labels must be for a promise, the strictest promise
    first.
    occlusion_f1: of the flag `occluded` beside objects. mean_reprojection_error_px, held_out_psnr_db: of the capture
    itself, and left_out: its poses found again without each photo, because an error of the poses moves objects and
    photos alike and is not seen by planting.
    """

    dataset: str
    objects: int
    views: int
    own: OwnLabels
    regions: tuple[RegionScores, ...]
    cuts: tuple[ConfidenceCut, ...]
    occlusion_f1: Measured
    mean_reprojection_error_px: float | None
    held_out_psnr_db: float | None
    left_out: LeftOutPoses | None

    def region(self, name: str) -> RegionScores | None:
        """The figures of one kind of place."""
        return next((scores for scores in self.regions if scores.region == name), None)

    def to_table(self) -> str:
        """For a terminal: a line a region."""
        head = ("region", "objects", "coverage %", "EPE px", "bad-0.5 %", "bad-1 %", "bad-2 %", "promised bad-1", "ECE")
        rows = [head, *(_row(scores) for scores in self.regions)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        f1 = "not measured" if not np.isfinite(self.occlusion_f1) else f"{self.occlusion_f1:.2f}"
        own = (
            f"Of the capture's own labels {self.own.bad_1.text(100, 2)} % are wrong by over 1 px, by what their "
            f"confidence means on objects; it promises {100 * self.own.promised_bad_1:.2f} %."
        )
        return "\n".join([*lines, own, f"Hidden pixels beside objects: F1 {f1}.", self.poses(), self._promise()])

    def poses(self) -> str:
        """What is known of the poses, which objects cannot tell."""
        if self.left_out is None:
            return "Poses were not checked: too few points are seen by three photos."
        return (
            f"Poses, each found again without its photo's say: {self.left_out.shift_px:.2f} px off in the photos "
            f"(median of {self.left_out.photos}), {self.left_out.worst_px:.2f} px in {self.left_out.worst}."
        )

    def _promise(self) -> str:
        kept = [cut for cut in self.cuts if cut.min_confidence is not None]
        if not kept:
            worst = max(cut.max_bad_1 for cut in self.cuts)
            return f"No confidence can be named above which at most {worst:.0%} of the labels are wrong by over 1 px."
        cut = kept[0]
        return (
            f"With 95 % confidence at most {cut.max_bad_1:.1%} of the labels of confidence {cut.min_confidence:.3f} or "
            f"more are wrong by over 1 px; {cut.coverage:.1%} of the pixels have one."
        )


def _row(scores: RegionScores) -> tuple[str, ...]:
    return (
        scores.region,
        str(scores.objects),
        scores.coverage.text(100, 1),
        scores.epe_px.text(1, 3),
        scores.bad_05.text(100, 2),
        scores.bad_1.text(100, 2),
        scores.bad_2.text(100, 2),
        f"{100 * scores.promised_bad_1:.2f} %",
        f"{scores.ece:.3f}",
    )
