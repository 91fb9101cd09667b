"""Scores of made right pictures of rectified pairs as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gs_stereo.core.records import finite
from gs_stereo.synthesis.evaluate_pairs import PairScores
from gs_stereo.synthesis.summary import GEOMETRY, GEOMETRY_NOTE, ORACLE_NOTE, QUALITY, Column, summary
from gs_stereo.types import Provenance

_SEARCHED = (
    Column(name="rmse_px", title="search px"),
    Column(name="coverage", title="coverage %", scale=100, digits=1),
    Column(name="covered", title="covered %", scale=100, digits=0),
)


@dataclass(frozen=True, kw_only=True)
class PairRow:
    """A synthesizer with some steps. oracle: it was given the exact depth of the left picture."""

    title: str
    provenance: Provenance
    oracle: bool
    pairs: tuple[PairScores, ...]

    @property
    def name(self) -> str:
        return f"{self.title}, oracle depth" if self.oracle else self.title


@dataclass(frozen=True, kw_only=True)
class PairReport:
    """Everything that was measured on rectified pairs. judges: what the learned judges are, by their column."""

    benchmark: str
    matcher: Provenance
    rows: tuple[PairRow, ...]
    settings: Mapping[str, Any]
    judges: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """A dictionary that `json.dumps` takes; NaN and infinity become None, shares lie between 0 and 1."""
        return {
            "benchmark": self.benchmark,
            "matcher": asdict(self.matcher),
            "settings": self.settings,
            "judges": dict(self.judges),
            "rows": [
                {
                    "title": row.title,
                    "oracle_depth": row.oracle,
                    "synthesizer": asdict(row.provenance),
                    "mean": finite({name: asdict(entry) for name, entry in summary(row.pairs).items()}),
                    "pairs": finite([asdict(each) for each in row.pairs]),
                }
                for row in self.rows
            ],
        }

    def to_table(self) -> str:
        """Fixed-width text: a line a synthesizer, the mean over the pairs."""
        columns = [*(Column(name=name, title=name, digits=4) for name in self.judges), *QUALITY, *_SEARCHED, *GEOMETRY]
        wide = max(14, *(len(row.name) + 2 for row in self.rows))
        lines = [f"{'':<{wide}}{'made at':>9}{''.join(f'{c.title:>16}' for c in columns)}"]
        for row in self.rows:
            values, side = summary(row.pairs), row.pairs[0].side_px
            cells = "".join(f"{column.cell(values.get(column.name)):>16}" for column in columns)
            lines.append(f"{row.name:<{wide}}{f'{side}x{side}':>9}{cells}")
        pairs, side = len({each.pair for each in self.rows[0].pairs}), self.settings["side_px"]
        oracle = f" {ORACLE_NOTE}" if any(row.oracle for row in self.rows) else ""
        judges = "".join(f" {name}: {what}." for name, what in self.judges.items())
        return "\n".join(
            [
                *lines,
                f"{self.benchmark}, pairs: {pairs}, judged at {side}x{side}. search: RMSE of the disparity of (left, "
                f"made) against that of (left, real) by {self.matcher.name}, at the best baseline of the search; "
                "coverage: share of the real map's pixels that the made one has too; covered: share of pairs that have "
                f"the coverage demanded. {GEOMETRY_NOTE}{oracle}{judges}",
            ]
        )
