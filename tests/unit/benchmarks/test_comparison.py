"""The table of an experiment: hand-computed means, spreads and changes, and what it refuses."""

from __future__ import annotations

import csv
import json
from typing import Any

import numpy as np
import pytest

from gs_stereo.benchmarks.comparison import Interval, Measure, compare, paired_interval
from gs_stereo.errors import InputError

EPE = Measure(title="EPE")
BAD = Measure(title="Middlebury bad-2", pairs="middlebury", metric="bad_2", region="noc")


def pair(name: str, epe: float | None, bad: float | None = None) -> dict[str, Any]:
    regions = {"all": {"pixels": 10, "epe": epe, "bad_2": 0.5}}
    if bad is not None:
        regions["noc"] = {"pixels": 8, "epe": 9.0, "bad_2": bad}
    return {"name": name, "regions": regions}


def scores(*pairs: dict[str, Any], benchmark: str = "folder") -> dict[str, Any]:
    return {"benchmark": benchmark, "pairs": list(pairs)}


def run(first: float, second: float, bad: float) -> dict[str, Any]:
    return scores(pair("middlebury_a", first, bad), pair("road", second))


ROWS = {"start": [run(2.0, 4.0, 0.2)], "fused": [run(1.0, 2.0, 0.1), run(1.0, 4.0, 0.1), run(3.0, 4.0, 0.4)]}


def test_means_spreads_and_changes_by_hand() -> None:
    table = compare(ROWS, start="start", measures=(BAD, EPE))
    bad, epe = table.rows["fused"]
    assert table.pair_counts == (1, 2)
    assert bad.values == (0.1, 0.1, 0.4)
    assert epe.values == (1.5, 2.5, 3.5)
    assert (epe.mean, epe.spread) == (2.5, pytest.approx(1.0))
    assert epe.change == pytest.approx(2.5 / 3.0 - 1)
    assert bad.mean == pytest.approx(0.2)
    assert bad.spread == pytest.approx(0.03**0.5)
    assert bad.change == pytest.approx(0.0)
    assert [(each.spread, each.change) for each in table.rows["start"]] == [(None, None)] * 2


def test_the_forms_of_the_table_say_the_same() -> None:
    table = compare(ROWS, start="start", measures=(BAD, EPE), caption="Six steps.")
    lines = table.to_markdown().splitlines()
    assert len({len(line) for line in lines[:4]}) == 1  # columns are aligned
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == [
        *("fused", "3", "20.00 ± 17.32", "+0.0 %", "2.500 ± 1.000", "-16.7 %")
    ]
    assert lines[-1].startswith("Mean over pairs (Middlebury bad-2: 1, EPE: 2)")
    assert lines[-1].endswith("Six steps.")
    plain = json.loads(json.dumps(table.to_json(), allow_nan=False))
    assert plain["rows"][1]["scores"][1]["standard_deviation"] == pytest.approx(1.0)
    start, fused = csv.DictReader(table.to_csv().splitlines())
    assert start["EPE standard deviation"] == start["EPE change"] == ""
    assert float(fused["EPE mean"]) == plain["rows"][1]["scores"][1]["mean"] == 2.5


def test_a_small_difference_on_the_same_pairs_is_seen() -> None:
    rng = np.random.default_rng(0)
    hard = np.exp(rng.normal(0, 1, (1, 18)))  # pairs differ far more than the nets
    luck = np.exp(rng.normal(0, 0.01, (3, 18)))
    better, worse = 0.97 * hard * luck, hard * np.exp(rng.normal(0, 0.01, (3, 18)))
    found = paired_interval(better, worse)
    assert found is not None
    assert -0.05 < found.low < -0.03 + 0.01
    assert found.low < found.high < 0
    same = paired_interval(worse, worse)
    assert same == Interval(low=0.0, high=0.0)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        one, two = rng.normal(1.0, 0.2, (2, 1, 24))  # no difference, all scatter
        found = paired_interval(one, two)
        assert found is not None
        inside += found.low <= 0 <= found.high
    assert 52 <= inside <= 60


def test_intervals_against_a_row() -> None:
    table = compare(ROWS, start="start", against="start", measures=(BAD, EPE), caption="Six steps.")
    bad, epe = table.rows["fused"]
    assert bad.against is None  # a single pair
    assert epe.against is not None
    assert epe.against.low < epe.change < epe.against.high
    assert all(each.against is None for each in table.rows["start"])
    lines = table.to_markdown().splitlines()
    assert lines[0].count("95 % against start") == 2
    assert len({len(line) for line in lines[:4]}) == 1
    assert "paired bootstrap" in lines[-1]
    told = table.to_json()["rows"][1]["scores"][1]["against"]
    assert told == {"low": epe.against.low, "high": epe.against.high}


def test_a_benchmark_may_be_named_instead_of_its_pairs() -> None:
    rows = {"start": [scores(pair("Piano", 1.0, 0.3), benchmark="middlebury-2014")]}
    assert compare(rows, start="start", measures=(BAD,)).rows["start"][0].mean == 0.3


def test_what_was_not_scored_is_left_out_or_unknown() -> None:
    blank = pair("middlebury_b", None, 0.0)
    blank["regions"]["noc"]["pixels"] = 0
    table = compare({"start": [scores(pair("middlebury_a", 1.0, 0.3), blank)]}, start="start", measures=(BAD, EPE))
    assert table.rows["start"][0].mean == 0.3
    assert table.to_json()["rows"][0]["scores"][1]["mean"] is None


def test_rows_must_share_their_pairs_and_measures_must_exist() -> None:
    with pytest.raises(InputError, match="different pairs"):
        compare({**ROWS, "other": [scores(pair("road", 1.0))]}, start="start", measures=(EPE,))
    with pytest.raises(InputError, match="No pair belongs"):
        compare(ROWS, start="start", measures=(Measure(title="ETH3D", pairs="eth3d"),))
    with pytest.raises(InputError, match="no score bad_7"):
        compare(ROWS, start="start", measures=(Measure(title="x", metric="bad_7"),))
