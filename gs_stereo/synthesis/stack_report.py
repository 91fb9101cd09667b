"""Scores of made views of stacks as a table and as JSON: by the size of the baseline, mean and spread over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gs_stereo.core.records import finite
from gs_stereo.synthesis.evaluate_stacks import ViewScores
from gs_stereo.synthesis.summary import GEOMETRY, GEOMETRY_NOTE, ORACLE_NOTE, QUALITY, summary
from gs_stereo.types import Provenance


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Views with low <= |B| / range < high."""

    title: str
    low: float
    high: float

    def of(self, views: tuple[ViewScores, ...]) -> list[ViewScores]:
        return [view for view in views if self.low <= view.range_share < self.high]


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
class Row:
    """A synthesizer with some steps. oracle: it was given the exact depth of the source."""

    title: str
    provenance: Provenance
    oracle: bool
    views: tuple[ViewScores, ...]

    @property
    def name(self) -> str:
        return f"{self.title}, oracle depth" if self.oracle else self.title


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
                    "bins": finite(
                        {b.title: {n: asdict(e) for n, e in summary(b.of(row.views)).items()} for b in BINS}
                    ),
                    "views": finite([asdict(view) for view in row.views]),
                }
                for row in self.rows
            ],
        }

    def to_table(self) -> str:
        """Fixed-width text: the synthesizers of each bin below each other."""
        columns = [*QUALITY, *GEOMETRY]
        wide = max(14, *(len(row.name) + 2 for row in self.rows))
        lines = [f"{'|B| / range':<12}{'':<{wide}}{'views':>7}{''.join(f'{c.title:>16}' for c in columns)}"]
        for each in BINS:
            for number, row in enumerate(self.rows):
                if views := each.of(row.views):
                    values = summary(views)
                    cells = "".join(f"{column.cell(values[column.name]):>16}" for column in columns)
                    lines.append(f"{'' if number else each.title:<12}{row.name:<{wide}}{len(views):>7}{cells}")
        oracle = f" {ORACLE_NOTE}" if any(row.oracle for row in self.rows) else ""
        note = (
            f"{self.data}, stacks: {self.stacks}. A mean over the views of each seed, then mean ± standard deviation "
            "over seeds. |B| as a share of the distance of a stack's outermost cameras."
        )
        return "\n".join([*lines, f"{note} {GEOMETRY_NOTE}{oracle}"])
