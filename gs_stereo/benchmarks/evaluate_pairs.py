"""Scores of a matcher on a benchmark: every pair is predicted, compared with the truth, and forgotten.

Regions: `all` = pixels with truth; `noc` = those that both eyes see, on the pairs that say which these are. What
happens to pixels without a prediction is a rule of its own (`MissingRule`) and stands in the report.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from gs_stereo.benchmarks.pair_report import BenchmarkReport, PairScores, RegionScores
from gs_stereo.benchmarks.protocol import Benchmark, Region
from gs_stereo.datasets.layouts.pair_files import LabelledPair, PairSource
from gs_stereo.errors import StageError
from gs_stereo.metrics.disparity import DEFAULT_THRESHOLDS_PX, DisparityMetrics

MissingRule = Literal["bad", "ignore", "fill"]
MISSING_MEANS = {
    "bad": "a pixel without prediction counts as bad; EPE is over predicted pixels",
    "ignore": "only predicted pixels count",
    "fill": "a pixel without prediction takes that of the nearest predicted pixel to its left in the row",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a matcher said about one pair, and what it cost.

    disparity: of the left image in pixels, NaN = no prediction. search_range_px: the largest disparity it was told to
    look for, None = it was not told. peak_memory_bytes: None = not measured.
    """

    disparity: Float[np.ndarray, "h w"]
    seconds: float
    peak_memory_bytes: int | None = None
    search_range_px: float | None = None


Predict = Callable[[LabelledPair], Answer]
Observer = Callable[[PairSource, LabelledPair, np.ndarray], None]


@dataclass(frozen=True, kw_only=True)
class ScoringRules:
    """How errors become scores."""

    missing: MissingRule = "bad"
    thresholds_px: tuple[float, ...] = DEFAULT_THRESHOLDS_PX


def evaluate_pairs(
    benchmark: Benchmark,
    predict: Predict,
    rules: ScoringRules = ScoringRules(),
    *,
    items: Sequence[PairSource] | None = None,
    observe: Observer | None = None,
) -> BenchmarkReport:
    """Predict and score `items` (all of the benchmark by default). `observe` sees each pair with the scored map.

    Raises InputError for a broken pair and StageError for a prediction of another size than the image.
    """
    totals = _Totals(rules)
    pairs = tuple(
        totals.add(item, benchmark.protocol.largest_truth_px, predict, observe) for item in items or benchmark.pairs
    )
    return BenchmarkReport(
        benchmark=benchmark.name,
        protocol=benchmark.protocol,
        missing=MISSING_MEANS[rules.missing],
        pairs=pairs,
        totals={region: tally.compute() for region, tally in totals.tallies.items()},
    )


class _Tally:
    """Scores of one region, and how much of it the matcher predicted by itself."""

    def __init__(self, rules: ScoringRules) -> None:
        self._scored = DisparityMetrics(rules.thresholds_px, uncovered_counts_as_bad=rules.missing != "ignore")
        self._own = DisparityMetrics(())

    def update(self, scored: np.ndarray, own: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> None:
        self._scored.update(scored, truth, mask)
        self._own.update(own, truth, mask)

    def compute(self) -> RegionScores:
        return RegionScores(density=self._own.compute().coverage, scores=self._scored.compute())


class _Totals:
    """Scores over all pairs, by region."""

    def __init__(self, rules: ScoringRules) -> None:
        self._rules = rules
        self.tallies: dict[Region, _Tally] = {"noc": _Tally(rules), "all": _Tally(rules)}

    def add(
        self, item: PairSource, largest_truth_px: float | None, predict: Predict, observe: Observer | None
    ) -> PairScores:
        pair = item.read()
        answer = predict(pair)
        if answer.disparity.shape != pair.disparity.shape:
            raise StageError(
                f"The prediction for {item.name} is {answer.disparity.shape}, the image {pair.disparity.shape}; "
                "the matcher must answer at the size of the image."
            )
        scored = filled_from_left(answer.disparity) if self._rules.missing == "fill" else answer.disparity
        scores = {}
        for region, mask in _regions(pair, largest_truth_px):
            alone = scores[region] = _Tally(self._rules)
            for tally in (alone, self.tallies[region]):
                tally.update(scored, answer.disparity, pair.disparity, mask)
        if observe is not None:
            observe(item, pair, scored)
        return PairScores(
            name=item.name,
            width=pair.disparity.shape[1],
            height=pair.disparity.shape[0],
            seconds=answer.seconds,
            peak_memory_bytes=answer.peak_memory_bytes,
            search_range_px=answer.search_range_px,
            doffs_px=pair.calibration.doffs_px if pair.calibration else None,
            regions={region: tally.compute() for region, tally in scores.items()},
        )


def _regions(pair: LabelledPair, largest_truth_px: float | None) -> Iterator[tuple[Region, np.ndarray]]:
    inside = np.isfinite(pair.disparity)
    if largest_truth_px is not None:
        inside &= np.where(inside, pair.disparity, math.inf) < largest_truth_px
    yield "all", inside
    if pair.non_occluded is not None:
        yield "noc", inside & pair.non_occluded


def filled_from_left(disparity: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Each unknown pixel takes the nearest known one to its left; before the first of a row, that first one.

    Rows without any known pixel stay unknown.
    """
    known = np.isfinite(disparity)
    columns = np.where(known, np.arange(disparity.shape[1]), -1)
    source = np.maximum.accumulate(columns, axis=1)
    source = np.where(source < 0, known.argmax(axis=1)[:, None], source)
    return np.take_along_axis(disparity, source, axis=1)
