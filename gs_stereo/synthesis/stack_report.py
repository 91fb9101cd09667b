"""Scores of made views of stacks as a table and as JSON: by the size of the baseline, mean and spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np

from gs_stereo.core.records import finite
from gs_stereo.synthesis.evaluate_stacks import ViewScores
from gs_stereo.synthesis.judges.geometric import slope
from gs_stereo.types import Provenance


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Views with low <= |B| / range < high."""

    title: str
    low: float
    high: float


BINS = (
    Bin(title="B = 0", low=0.0, high=1e-9),
    Bin(title="below 1/4", low=1e-9, high=0.25),
    Bin(title="1/4 to 1/2", low=0.25, high=0.5),
    Bin(title="1/2 to 3/4", low=0.5, high=0.75),
    Bin(title="3/4 to 1", low=0.75, high=1 - 1e-9),
    Bin(title="the largest", low=1 - 1e-9, high=2.0),
    Bin(title="all but 0", low=1e-9, high=2.0),
)
"""By the share that |B| has of the distance between a stack's outermost cameras."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A measure of a row in a bin: mean over seeds, and standard deviation over them if there are several."""

    mean: float
    spread: float | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A synthesizer with some steps. oracle: it was given the exact depth of the source."""

    title: str
    provenance: Provenance
    oracle: bool
    views: tuple[ViewScores, ...]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A measure as it is shown."""

    name: str
    title: str
    scale: float
    digits: int


_COLUMNS = (
    Column(name="psnr", title="PSNR dB", scale=1, digits=2),
    Column(name="ssim", title="SSIM", scale=1, digits=3),
    Column(name="slope", title="slope", scale=1, digits=3),
    Column(name="sign_right", title="sign right %", scale=100, digits=1),
    Column(name="within_1px", title="within 1 px %", scale=100, digits=1),
    Column(name="relief", title="relief", scale=1, digits=2),
    Column(name="rows_px", title="rows px", scale=1, digits=2),
)
NOTE = (
    "A mean over the views of each seed, then mean ± standard deviation over seeds. |B| as a share of the distance of "
    "a stack's outermost cameras. Slope: made against true median disparity, a line through the origin over the views. "
    "Sign: of pixels that should move by 1 px or more. Relief: slope of made against true disparity within a view, "
    "both less their median; 0 = everything moves alike. rows: mean |vertical offset|. Parallax is judged where the "
    "same matcher on the true view is within 1 px of the truth. copy = the source itself, the floor."
)
ORACLE = "oracle depth: it was given the exact depth of the source, an upper bound of what it can do on a photo."


@dataclass(frozen=True, kw_only=True)
class StackReport:
    """Everything that was measured on a data set of stacks."""

    data: str
    stacks: int
    rows: tuple[Row, ...]
    settings: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json.dumps` takes; NaN and infinity become None, shares lie between 0 and 1."""
        return {
            "data": self.data,
            "stacks": self.stacks,
            "settings": self.settings,
            "rows": [
                {
                    "title": row.title,
                    "oracle_depth": row.oracle,
                    "synthesizer": asdict(row.provenance),
                    "bins": finite({b.title: self._bin_json(row, b) for b in BINS}),
                    "views": finite([{**asdict(each), "scores": asdict(each.scores)} for each in row.views]),
                }
                for row in self.rows
            ],
        }

    def to_table(self) -> str:
        """Fixed-width text: the synthesizers of each bin below each other."""
        wide = max(14, *(len(self._name(row)) for row in self.rows))
        heads = "".join(f"{column.title:>16}" for column in _COLUMNS)
        lines = [f"{'|B| / range':<12}{'':<{wide}}{'views':>7}{heads}"]
        for each in BINS:
            for number, row in enumerate(self.rows):
                values = summary(row.views, each)
                if not values:
                    continue
                cells = "".join(f"{_cell(values[column.name], column):>16}" for column in _COLUMNS)
                count = sum(_inside(view, each) for view in row.views)
                lines.append(f"{'' if number else each.title:<12}{self._name(row):<{wide}}{count:>7}{cells}")
        oracle = f" {ORACLE}" if any(row.oracle for row in self.rows) else ""
        return "\n".join([*lines, f"{self.data}, stacks: {self.stacks}. {NOTE}{oracle}"])

    def _bin_json(self, row: Row, each: Bin) -> dict[str, Any]:
        return {name: asdict(entry) for name, entry in summary(row.views, each).items()}

    @staticmethod
    def _name(row: Row) -> str:
        return f"{row.title}, oracle depth" if row.oracle else row.title


def summary(views: Sequence[ViewScores], each: Bin) -> dict[str, Entry]:
    """Every measure over the views of a bin, by its name; empty without any view."""
    seeds: dict[int, list[ViewScores]] = {}
    for view in views:
        if _inside(view, each):
            seeds.setdefault(view.seed, []).append(view)
    by_seed = [_means([view.scores for view in chosen]) for chosen in seeds.values()]
    if not by_seed:
        return {}
    return {name: _entry([means[name] for means in by_seed]) for name in by_seed[0]}


def _means(scores: Sequence[Any]) -> dict[str, float]:
    values = {name: np.array([getattr(each, name) for each in scores], np.float64) for name in vars(scores[0])}
    values["rows_px"] = np.abs(values["rows_px"])
    means = {name: float(np.nanmean(v)) if not np.isnan(v).all() else math.nan for name, v in values.items()}
    return {**means, "slope": slope(values["true_median_px"], values["made_median_px"])}


def _entry(values: Sequence[float]) -> Entry:
    several = len(values) > 1 and all(map(math.isfinite, values))
    return Entry(mean=fmean(values), spread=stdev(values) if several else None)


def _inside(view: ViewScores, each: Bin) -> bool:
    return each.low <= view.range_share < each.high


def _cell(entry: Entry, column: Column) -> str:
    if math.isnan(entry.mean):
        return "-"
    spread = "" if entry.spread is None else f" ± {column.scale * entry.spread:.{column.digits}f}"
    return f"{column.scale * entry.mean:.{column.digits}f}{spread}"
