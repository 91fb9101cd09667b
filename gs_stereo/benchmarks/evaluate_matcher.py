"""A matcher on a stereo benchmark: it is asked about every pair with a search range, timed, and scored."""

import inspect
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from gs_stereo.benchmarks.evaluate_pairs import Answer, Predict, ScoringRules, evaluate_pairs
from gs_stereo.benchmarks.pair_report import BenchmarkReport
from gs_stereo.benchmarks.protocol import Benchmark
from gs_stereo.config import Config, OnlyWith
from gs_stereo.datasets.layouts.pair_files import LabelledPair, PairSource
from gs_stereo.log import progress
from gs_stereo.matching.experts import ExpertsConfig, make_matcher
from gs_stereo.matching.protocol import StereoMatcher
from gs_stereo.pipeline.environment import MemoryPeak
from gs_stereo.types import Provenance


class EvaluateConfig(Config):
    """Settings of the expert, and how its answers are scored."""

    only_with: ClassVar[OnlyWith] = {"search_margin_px": {"search_range": ("truth",)}}
    experts: ExpertsConfig = Field(default=ExpertsConfig(), description="Settings of the experts.")
    missing: Literal["bad", "ignore", "fill"] = Field(
        default="bad",
        description="A pixel without prediction: counts as bad, is ignored, or is filled from the left neighbour",
    )
    search_range: float | Literal["truth", "expert"] = Field(
        default="truth",
        description="For matchers that take a range (sgbm): the largest true disparity of each pair plus a margin, "
        "a fixed number of pixels, or what the expert's own settings say",
    )
    search_margin_px: float = Field(default=6.0, ge=0, description="Added to the largest true disparity")
    limit: int | None = Field(default=None, ge=1, description="Evaluate only the first pairs; None: all")


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """The scores, and who was asked with which range. takes_range: the matcher takes a search range."""

    report: BenchmarkReport
    provenance: Provenance
    config: EvaluateConfig
    takes_range: bool

    def to_json(self, *, costs: bool = True) -> dict[str, Any]:
        """A dictionary that `json.dumps` takes. costs: with seconds and memory, which no two runs share."""
        settings = self.config.model_dump(mode="json", include=EvaluateConfig.model_fields.keys() - {"experts"})
        return {**self.report.to_json(costs=costs), "matcher": asdict(self.provenance), "settings": settings}

    def to_table(self) -> str:
        """The report's table and one line about the matcher."""
        source = self.provenance
        named = {"truth": f"the pair's largest true disparity + {self.config.search_margin_px:g} px"}
        given = named.get(str(self.config.search_range), f"{self.config.search_range}")
        told = f", search range: {given}" if self.takes_range else ""
        return f"{self.report.to_table()}\nMatcher: {source.name} {source.version}{told}. Licence: {source.licence}."


def evaluate_expert(
    expert: str, benchmark: Benchmark, config: EvaluateConfig = EvaluateConfig(), *, pictures: Path | None = None
) -> Evaluation:
    """Ask `expert` about the pairs of a benchmark and score it; pictures of all pairs go to `pictures`.

    Errors name an unknown expert, a missing option, or a broken file.
    """
    matcher = make_matcher(expert, config.experts)
    items = benchmark.pairs[: config.limit]
    with progress(f"evaluate {expert} on {benchmark.name}", len(items), "pair") as bar:

        def observe(item: PairSource, pair: LabelledPair, predicted: np.ndarray) -> None:
            if pictures is not None:
                from gs_stereo.benchmarks.pictures import write_picture

                write_picture(pictures / f"{item.name.replace('/', '_')}.png", pair, predicted)
            bar.advance()

        rules = ScoringRules(missing=config.missing)
        report = evaluate_pairs(benchmark, timed(matcher, config), rules, items=items, observe=observe)
    takes_range = _takes_range(matcher.predict)
    return Evaluation(report=report, provenance=matcher.provenance, config=config, takes_range=takes_range)


def timed(matcher: StereoMatcher, config: EvaluateConfig) -> Predict:
    """A function that asks the matcher about a pair and measures time and peak resident memory."""
    takes_range = _takes_range(matcher.predict)

    def predict(pair: LabelledPair) -> Answer:
        largest_px = _search_range_px(config, pair) if takes_range else None
        options = {} if largest_px is None else {"max_disparity_px": largest_px}
        memory, start = MemoryPeak(), time.perf_counter()
        prediction = matcher.predict(pair.left, pair.right, **options)
        return Answer(
            seconds=time.perf_counter() - start,
            disparity=prediction.disparity,
            peak_memory_bytes=memory.bytes(),
            search_range_px=largest_px,
        )

    return predict


def _takes_range(predict: Callable[..., Any]) -> bool:
    return "max_disparity_px" in inspect.signature(predict).parameters


def _search_range_px(config: EvaluateConfig, pair: LabelledPair) -> float | None:
    if config.search_range == "expert":
        return None
    if config.search_range != "truth":
        return float(config.search_range)
    largest = pair.largest_disparity_px
    return None if math.isnan(largest) else largest + config.search_margin_px
