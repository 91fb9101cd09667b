"""Scores of several nets on one benchmark as one table: mean and spread over seeds, and the change against a start.

The scores are those of `scores.json` and `gsstereo evaluate --json`. A value is the mean over pairs, each pair the
same weight. The spread is the standard deviation of the sample (n - 1); one run has none. An interval says what the
spread cannot: rows are scored on the same pairs, with the same seeds, so what is hard for both drops out.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64
from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.core.records import finite
from gs_stereo.errors import InputError

Scores = Mapping[str, Any]
_DRAWS = 4000  # an end of the interval then moves by about a fiftieth of its width from seed to seed


class Measure(Config):
    """A column of the table: one metric, averaged over some of the pairs."""

    title: str = Field(description="Head of the column")
    pairs: str = Field(default="", description="Only pairs whose name, or whose benchmark's name, begins like this")
    metric: str = Field(default="epe", pattern=r"^(epe|d1|bad_\d+(\.\d+)?)$", description="epe, d1 or bad_<px>")
    region: Literal["noc", "all"] = Field(default="all", description="noc: pixels that both eyes see")

    @property
    def unit(self) -> str:
        return "px" if self.metric == "epe" else "%"


MEASURES = (
    Measure(title="Middlebury bad-2 noc", pairs="middlebury", metric="bad_2", region="noc"),
    Measure(title="Middlebury bad-1 noc", pairs="middlebury", metric="bad_1", region="noc"),
    Measure(title="KITTI EPE", pairs="kitti"),
    Measure(title="EPE of all"),
)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where the change of a mean against another row's lies with 95 %, as shares."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One measure of one row. values: one a run, px or share. change: of the mean against the start, as a share.

    against: the change against the row that the table is read against, None for that row itself and for a single pair.
    """

    values: tuple[float, ...]
    change: float | None
    against: Interval | None = None

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def spread(self) -> float | None:
        return stdev(self.values) if len(self.values) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Numbers, NaN too."""
        told = {"values": self.values, "mean": self.mean, "standard_deviation": self.spread, "change": self.change}
        return told if self.against is None else told | {"against": vars(self.against)}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The table. pair_counts: how many pairs each measure is a mean of. against: the row of the intervals."""

    measures: tuple[Measure, ...]
    pair_counts: tuple[int, ...]
    rows: Mapping[str, tuple[Entry, ...]]
    caption: str = ""
    against: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Shares lie between 0 and 1; NaN becomes None."""
        heads = [
            {**measure.model_dump(), "pair_count": count}
            for measure, count in zip(self.measures, self.pair_counts, strict=True)
        ]
        rows = [{"name": name, "scores": [each.to_json() for each in row]} for name, row in self.rows.items()]
        return {"caption": self.caption, "against": self.against, "measures": heads, "rows": finite(rows)}

    def to_markdown(self) -> str:
        """A padded table, which reads well in a terminal too, and the caption below it."""
        heads = ["labels", "runs"]
        for measure in self.measures:
            heads += [f"{measure.title} ({measure.unit})", "change"]
            heads += [] if self.against is None else [f"95 % against {self.against}"]
        lines = [heads, *(self._cells(name, row) for name, row in self.rows.items())]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        rule = [("-" * width) if n == 0 else ("-" * (width - 1) + ":") for n, width in enumerate(widths)]
        texts = [
            "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |"
            for line in (heads, rule, *lines[1:])
        ]
        return "\n".join([*texts, "", f"{self._pairs_note()} {self.caption}".rstrip(), ""])

    def to_csv(self) -> str:
        """A line for each row: name, runs, then mean, spread and change of each measure; px or shares."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        names = [f"{m.title} {part}" for m in self.measures for part in ("mean", "standard deviation", "change")]
        writer.writerow(["labels", "runs", *names])
        for name, row in self.rows.items():
            numbers = [value for each in row for value in (each.mean, each.spread, each.change)]
            writer.writerow([name, len(row[0].values), *("" if v is None else repr(v) for v in numbers)])
        return stream.getvalue()

    def _cells(self, name: str, row: tuple[Entry, ...]) -> list[str]:
        cells = [name, str(len(row[0].values))]
        for measure, each in zip(self.measures, row, strict=True):
            scale, digits = (1.0, 3) if measure.unit == "px" else (100.0, 2)
            spread = "" if each.spread is None else f" ± {scale * each.spread:.{digits}f}"
            change = "" if each.change is None else f"{100 * each.change:+.1f} %"
            cells += [f"{scale * each.mean:.{digits}f}{spread}", change]
            if self.against is not None:
                told = each.against
                cells.append("" if told is None else f"{100 * told.low:+.1f} to {100 * told.high:+.1f} %")
        return cells

    def _pairs_note(self) -> str:
        counts = ", ".join(f"{m.title}: {n}" for m, n in zip(self.measures, self.pair_counts, strict=True))
        note = f"Mean over pairs ({counts}), then mean ± standard deviation over runs."
        if self.against is None:
            return note
        return f"{note} Intervals: change against {self.against}, paired bootstrap over pairs and runs."


def compare(
    rows: Mapping[str, Sequence[Scores]],
    *,
    start: str,
    against: str | None = None,
    measures: Sequence[Measure] = MEASURES,
    caption: str = "",
) -> Comparison:
    """The table of `rows`: name -> scores of each run. Changes are against the mean of the row `start`.

    against: a row to which all others get an interval of their difference; None: none. Run n of each row has seed n.
    Measures that no pair belongs to are left out. InputError if none is left, or rows do not have the same pairs.
    """
    everything = [scores for runs in rows.values() for scores in runs]
    counts = [len(_scored(everything[0], measure)) for measure in measures]
    known = [(measure, count) for measure, count in zip(measures, counts, strict=True) if count]
    if not known:
        raise InputError("No pair belongs to a measure of the table; correct the setting compare.measures.")
    for measure, _ in known:
        names = [list(_scored(scores, measure)) for scores in everything]
        if any(each != names[0] for each in names):
            raise InputError("The rows of the table were scored on different pairs; evaluate them again on the same.")
    tables = {
        name: [np.array([list(_scored(scores, measure).values()) for scores in runs]) for measure, _ in known]
        for name, runs in rows.items()
    }
    before = [float(each.mean()) for each in tables[start]]
    return Comparison(
        measures=tuple(measure for measure, _ in known),
        pair_counts=tuple(count for _, count in known),
        rows={
            name: tuple(
                Entry(
                    values=tuple(each.mean(axis=1).tolist()),
                    change=None if name == start or not old else float(each.mean()) / old - 1,
                    against=None if against in (None, name) else paired_interval(each, tables[against][number]),
                )
                for number, (each, old) in enumerate(zip(row, before, strict=True))
            )
            for name, row in tables.items()
        },
        caption=caption,
        against=against,
    )


def paired_interval(
    scores: Float64[np.ndarray, "runs pairs"], others: Float64[np.ndarray, "others pairs"]
) -> Interval | None:
    """95 % interval of mean(scores) / mean(others) - 1 by the bootstrap over pairs and runs, both drawn for both alike.

    Where one side has a single run it stands beside every run of the other. None where that tells nothing: a single
    pair, or others without any error. Two sides of several runs must have as many.
    """
    runs, pairs = max(len(scores), len(others)), scores.shape[1]
    both = np.stack([np.broadcast_to(each, (runs, pairs)) for each in (scores, others)])
    rng = np.random.default_rng(0)
    of_runs, of_pairs = (rng.multinomial(n, np.full(n, 1 / n), _DRAWS) / n for n in (runs, pairs))
    means, base = np.einsum("dr,srp,dp->sd", of_runs, both, of_pairs, optimize=True)
    if pairs < 2 or not (base > 0).all():
        return None
    low, high = np.quantile(means / base - 1, (0.025, 0.975))
    return Interval(low=float(low), high=float(high))


def _scored(scores: Scores, measure: Measure) -> dict[str, float]:
    """Pair -> its score, for the pairs of the measure that have truth in its region; NaN without any prediction."""
    found = {}
    for pair in scores["pairs"]:
        region = pair["regions"].get(measure.region)
        named = any(name.startswith(measure.pairs) for name in (pair["name"], scores["benchmark"]))
        if named and region is not None and region["pixels"]:
            if measure.metric not in region:
                raise InputError(f"There is no score {measure.metric} of the pairs; correct compare.measures.")
            value = region[measure.metric]
            found[pair["name"]] = math.nan if value is None else float(value)
    return found
