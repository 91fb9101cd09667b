"""pairs.json: a file that anybody may have changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gs_stereo.errors import InputError
from gs_stereo.io.pair_index import PairEntry, read_pair_index, write_pair_index

ENTRY = {"sample_id": "a_b0.1", "view_id": "ä/a.jpg", "refusal": None, "measures": {"left": {"median_depth": 2.5}}}


def read(folder: Path, **changed: Any) -> list[PairEntry]:
    (folder / "pairs.json").write_text(json.dumps({"pairs": [{**ENTRY, **changed}]}), encoding="utf-8")
    return read_pair_index(folder)


def test_only_pairs_that_were_written_are_read(tmp_path: Path) -> None:
    write_pair_index(tmp_path, [PairEntry(**ENTRY), PairEntry(**{**ENTRY, "refusal": "low_alpha"})])
    assert read_pair_index(tmp_path) == [PairEntry(**ENTRY)]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", ".", "..", "a/b", ".hidden", 7, None, "a\nb"])
def test_a_sample_id_is_the_name_of_a_folder_beside_the_index(tmp_path: Path, name: Any) -> None:
    with pytest.raises(InputError, match="sample_id"):
        read(tmp_path, sample_id=name)


@pytest.mark.parametrize(
    ("measures", "depth"),
    [({"left": {"median_depth": 2.5}}, 2.5), ({}, None), ({"left": 3}, None), ({"left": {"median_depth": "x"}}, None)],
)
def test_a_measure_that_is_none_is_unknown(tmp_path: Path, measures: Any, depth: float | None) -> None:
    assert read(tmp_path, measures=measures)[0].median_depth == depth
