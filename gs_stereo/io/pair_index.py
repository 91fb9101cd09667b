"""`pairs.json`: which pairs a published set has, what was measured of them, and which views were refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gs_stereo.core.atomic import write_text

INDEX_NAME = "pairs.json"


@dataclass(frozen=True, kw_only=True)
class PairEntry:
    """What became of a pair: its numbers, and why it was refused (None = it was written)."""

    sample_id: str
    view_id: str
    refusal: str | None
    measures: dict[str, Any]


def write_pair_index(folder: Path, entries: Sequence[PairEntry]) -> None:
    """Write `pairs.json`."""
    values = {"pairs": [asdict(entry) for entry in entries]}
    write_text(folder / INDEX_NAME, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def read_pair_index(folder: Path) -> list[PairEntry]:
    """The pairs that were written to a published set, in order."""
    values = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
    return [entry for entry in (PairEntry(**value) for value in values["pairs"]) if entry.refusal is None]
