"""`pairs.json`: which pairs a published set has, what was measured of them, and which views were refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gs_stereo.core.records import JsonObject, OpenRecord, read_record, write_record

INDEX_NAME = "pairs.json"


@dataclass(frozen=True, kw_only=True)
class PairEntry(OpenRecord):
    """What became of a pair: its numbers, and why it was refused (None = it was written)."""

    sample_id: Annotated[str, Field(pattern=r"^\w[\w.+-]*$")]  # it is the name of the pair's folder
    view_id: str
    refusal: str | None
    measures: JsonObject

    @property
    def median_depth(self) -> float | None:
        """Of the left view where it was measured, in scene units."""
        left = self.measures.get("left")
        depth = left.get("median_depth") if isinstance(left, Mapping) else None
        return float(depth) if isinstance(depth, int | float) and depth > 0 else None


@dataclass(frozen=True, kw_only=True)
class _PairIndex(OpenRecord):
    pairs: tuple[PairEntry, ...]


def write_pair_index(folder: Path, entries: Sequence[PairEntry]) -> None:
    """Write `pairs.json`."""
    write_record(folder / INDEX_NAME, _PairIndex(pairs=tuple(entries)))


def read_pair_index(folder: Path) -> list[PairEntry]:
    """The pairs that were written to a published set, in order; InputError if the file is missing or broken."""
    index = read_record(_PairIndex, folder / INDEX_NAME, fix="render the pairs again")
    return [entry for entry in index.pairs if entry.refusal is None]
