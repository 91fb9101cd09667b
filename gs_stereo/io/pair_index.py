"""`pairs.json`: which pairs a published set has, what was measured of them, and which views were refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gs_stereo.core.records import JsonObject, OpenRecord, read_record, write_record

INDEX_NAME = "pairs.json"


@dataclass(frozen=True, kw_only=True)
class PairEntry(OpenRecord):
    """What became of a pair: its numbers, and why it was refused (None = it was written)."""

    sample_id: str
    view_id: str
    refusal: str | None
    measures: JsonObject


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
