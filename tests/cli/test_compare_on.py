"""`gsstereo compare-on`: a matcher that sees against one that does not look far enough, on pairs without truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import shifted_pair
from click.testing import Result
from typer.testing import CliRunner

from gs_stereo.cli.main import app
from gs_stereo.imaging.images import write_png

SHIFT_PX = 9


def compare_on(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["compare-on", *map(str, arguments)])


def write_pairs(folder: Path) -> Path:
    for number in range(2):
        left, right = shifted_pair((64, 128), SHIFT_PX, seed=number)
        write_png(folder / f"pair{number}" / "left.png", left)
        write_png(folder / f"pair{number}" / "right.png", right)
    return folder


def test_one_matcher_against_itself_is_equal_and_the_sheet_shows_every_pair(tmp_path: Path) -> None:
    pairs, out = write_pairs(tmp_path / "pairs"), tmp_path / "out"
    result = compare_on(pairs, "--before", "sgbm", "--after", "sgbm", "--max-disparity", 16, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads((out / "compare.json").read_text())
    assert {**found, "folder": str(out)} == json.loads(result.stdout)
    assert found["measures"]["consistent"]["before"] == found["measures"]["consistent"]["after"] > 0.8
    assert found["measures"]["residual_levels"]["better_in"] == 0
    assert list(found["by_pair"]) == ["pair0", "pair1"]
    assert (out / "index.html").read_text().count("<img") == 2
    assert {path.name for path in out.glob("*.png")} == {"pair0.png", "pair1.png"}


def test_the_better_matcher_wins_in_every_measure() -> None:
    from gs_stereo.benchmarks.unlabelled import MEASURES, compare_on
    from gs_stereo.matching.settings import SgbmSettings
    from gs_stereo.matching.sgbm import SgbmMatcher

    class Shifted:
        name, left, right = "one", Path(), Path()

        def read(self):
            return shifted_pair((64, 192), 24, seed=0)

    short, long = (SgbmMatcher(SgbmSettings(max_disparity_px=reach, left_right_px=None)) for reach in (8, 32))
    result = compare_on([Shifted()], short, long)
    assert [result.better(measure) for measure in MEASURES] == [1, 1, 1]
    assert result.mean("left_right_px", 1) < 0.25
    assert [compare_on([Shifted()], long, short).better(measure) for measure in MEASURES] == [0, 0, 0]


@pytest.mark.parametrize("layout", ["empty", "one eye", "two sizes"])
def test_what_is_no_pair_is_named(tmp_path: Path, layout: str) -> None:
    left, right = shifted_pair((64, 128), SHIFT_PX, seed=0)
    if layout != "empty":
        write_png(tmp_path / "left" / "a.png", left)
        (tmp_path / "right").mkdir()
    if layout == "two sizes":
        write_png(tmp_path / "right" / "a.png", right[:, :64])
    result = compare_on(tmp_path, "--before", "sgbm", "--after", "sgbm", "--out", tmp_path / "out")
    assert result.exit_code == 3
    wanted = {"empty": "left.png, right.png", "one eye": "has no a.png", "two sizes": "128 x 64 and 64 x 64"}
    assert wanted[layout] in result.stderr
