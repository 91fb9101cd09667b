"""`gsstereo experiment`: every cell once, resumed after a kill, a second run does nothing, and a table that adds up."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean, stdev

import pytest
import toy_experiment
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app

ROWS = ["start", "sgbm", "good", "few"]
CELLS = (
    2 + 2 * 2 + 2 * 2 + 2 * 2 * 2 + 1
)  # unlearned rows, captures in two ways, labels, trainings and their scores, table


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in toy_experiment.entries():
        monkeypatch.setitem(*entry)


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return toy_experiment.write_inputs(tmp_path_factory.mktemp("inputs"))


def gsstereo(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def finished(arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """An experiment that ran from the beginning to the end, and what it said as JSON."""
    out = tmp_path_factory.mktemp("finished") / "out"
    with pytest.MonkeyPatch.context() as patch:
        for entry in toy_experiment.entries():
            patch.setitem(*entry)
        result = gsstereo(*arguments, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    return out, json.loads(result.stdout)


def table_files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "comparison").glob("table.*")}


def test_every_cell_is_done_once(finished: tuple[Path, dict]) -> None:
    out, said = finished
    keys = [cell["cell"] for cell in said["cells"]]
    assert len(keys) == len(set(keys)) == CELLS
    assert {cell["action"] for cell in said["cells"]} == {"done"}
    assert sorted(path.name for path in (out / "train").iterdir() if path.is_dir()) == [
        *("few-seed0", "few-seed5", "good-seed0", "good-seed5")
    ]
    assert {path.name for path in (out / "captures/one").iterdir() if path.is_dir()} >= {"count", "dataset"}
    assert (out / "captures/one/longer/dataset/good").is_dir()
    counted = [json.loads((out / f"captures/one/{way}count/manifest.json").read_text()) for way in ("", "longer/")]
    assert [each["parts"]["config"]["units"] for each in counted] == [1, 2]
    assert not list(out.rglob("*.tmp-*"))


def test_budgets_are_equal_and_only_the_loss_of_a_label_differs(finished: tuple[Path, dict]) -> None:
    out, _ = finished
    parts = {
        name: json.loads((out / f"train/{name}/manifest.json").read_text())["parts"]
        for name in ("good-seed0", "good-seed5", "few-seed0")
    }
    configs = {name: dict(each["config"]) for name, each in parts.items()}
    assert [parts[name]["seed"] for name in parts] == [0, 5, 0]
    assert configs["few-seed0"].pop("loss")["gamma"] == 0.5
    assert configs["good-seed0"].pop("loss")["gamma"] == 0.8
    for config in configs.values():
        config.pop("name")
        assert len(config.pop("data")) == 2
    assert configs["good-seed0"] == configs["few-seed0"]


def test_the_table_is_the_mean_and_spread_of_the_scores(finished: tuple[Path, dict]) -> None:
    out, said = finished
    table = said["table"]
    assert table == json.loads((out / "comparison/table.json").read_text())
    assert [row["name"] for row in table["rows"]] == ROWS
    assert [measure["pair_count"] for measure in table["measures"]] == [2, 2, 1, 4]

    def scores(name: str) -> tuple[float, float, float, float]:
        pairs = json.loads((out / f"benchmark/{name}/scores.json").read_text())["pairs"]
        found = {pair["name"]: pair["regions"] for pair in pairs}
        bad_2, bad_1 = (
            fmean(found[name]["noc"][metric] for name in ("middlebury_a", "middlebury_b"))
            for metric in ("bad_2", "bad_1")
        )
        return bad_2, bad_1, found["kitti_a"]["all"]["epe"], fmean(regions["all"]["epe"] for regions in found.values())

    start, one, two = scores("start"), scores("few-seed0"), scores("few-seed5")
    assert one != two
    for entry, before, a, b in zip(table["rows"][3]["scores"], start, one, two, strict=True):
        assert entry["values"] == [a, b]
        assert entry["mean"] == pytest.approx((a + b) / 2)
        assert entry["standard_deviation"] == pytest.approx(stdev([a, b]))
        assert entry["change"] == pytest.approx((a + b) / 2 / before - 1)
    assert table["against"] == "few"
    assert "against" in table["rows"][2]["scores"][3]
    assert "against" not in table["rows"][3]["scores"][3]
    assert table["rows"][0]["scores"][3]["change"] is None
    assert table["rows"][1]["scores"][0]["standard_deviation"] is None
    lines = list(csv.DictReader((out / "comparison/table.csv").read_text().splitlines()))
    assert float(lines[3]["EPE of all mean"]) == pytest.approx((one[3] + two[3]) / 2)


def test_a_second_run_does_nothing_and_shows_the_table(arguments: list[str], finished: tuple[Path, dict]) -> None:
    out, _ = finished

    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in out.rglob("*.json") if path.parent.name != ".cache"}

    before = times()
    result = gsstereo(*arguments, "--out", out)
    assert f"Nothing to do: all {CELLS} cells are up to date." in result.stdout
    assert "Middlebury bad-2 noc (%)" in result.stdout
    assert times() == before
    plan = gsstereo(*arguments, "--out", out, "--dry-run").stdout
    assert f"0 of {CELLS} cells would run." in plan


def test_a_plan_says_what_a_cell_waits_for_and_writes_nothing(arguments: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    plan = json.loads(gsstereo(*arguments, "--out", out, "--dry-run", "--json").stdout)
    states = {cell["cell"]: (cell["state"], cell["reason"]) for cell in plan}
    assert len(states) == CELLS
    assert states["label one good"] == ("waiting", "for count one longer")
    assert states["train few-seed5"] == ("waiting", "for label one few")
    assert states["evaluate start"][0] == "missing"
    assert not out.exists()


def test_a_killed_experiment_goes_on_to_the_same_table(
    arguments: list[str], finished: tuple[Path, dict], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tests = Path(toy_experiment.__file__).parent
    path = os.pathsep.join([str(tests), str(tests.parent), *sys.path])
    command = [sys.executable, toy_experiment.__file__, *arguments, "--out", str(out)]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, **streams)
    deadline = time.monotonic() + 120
    while not list(out.glob("train/*.tmp-*")) and time.monotonic() < deadline:
        assert process.poll() is None, "the experiment ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "comparison").exists()
    said = json.loads(gsstereo(*arguments, "--out", out, "--json").stdout)
    actions = [cell["action"] for cell in said["cells"]]
    assert actions.index("skipped") == 0
    assert {"resumed", "done"} >= set(actions[actions.count("skipped") :])
    assert table_files(out) == table_files(finished[0])


def test_a_changed_budget_trains_again_and_keeps_the_labels(
    arguments: list[str], finished: tuple[Path, dict], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    small = ("--out", out, "--label", "few", "--seeds", 1, "--json")
    first = json.loads(gsstereo(*arguments, *small).stdout)
    again = json.loads(gsstereo(*arguments, *small, "--set", "train.steps=2").stdout)
    done = [cell["cell"] for cell in again["cells"] if cell["action"] != "skipped"]
    assert done == ["train few-seed0", "evaluate few-seed0", "table"]
    assert first["table"]["rows"][2]["scores"] != again["table"]["rows"][2]["scores"]
    assert "2 steps of 2 crops of 48x32; seeds 0" in again["table"]["caption"]


def test_a_changed_pair_of_the_benchmark_is_scored_again(tmp_path: Path) -> None:
    arguments = [*toy_experiment.write_inputs(tmp_path), "--out", tmp_path / "out", "--label", "few", "--seeds", 1]
    assert gsstereo(*arguments).exit_code == 0
    image = tmp_path / "benchmark/garden/right.png"
    image.write_bytes((tmp_path / "benchmark/kitti_a/right.png").read_bytes())
    done = [c["cell"] for c in json.loads(gsstereo(*arguments, "--json").stdout)["cells"] if c["action"] == "done"]
    assert done == ["evaluate start", "evaluate sgbm", "evaluate few-seed0", "table"]


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (["--label", "nope"], 2, "has no label source 'nope'; it has: good, few"),
        (["--config", "smoke"], 2, "it has no matrix"),
        (["--set", "render-pairs.x=1"], 2, "has no stage 'render-pairs'"),
        (["--preset", "nope"], 2, "has a preset 'nope'"),
        (["--root", "nowhere"], 3, "nowhere"),
        (["--from", "nowhere"], 3, "nowhere"),
        (["--set", "compare.measures=[{title: none, pairs: eth3d}]"], 3, "compare.measures"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str], tmp_path: Path, changes: list[str], code: int, message: str
) -> None:
    result = gsstereo(*arguments, "--out", tmp_path / "out", "--label", "few", "--seeds", 1, "--quiet", *changes)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_captures_need_different_names_and_trainings_a_start(arguments: list[str], tmp_path: Path) -> None:
    one = arguments[1]
    assert "Two captures are called 'one'" in gsstereo("experiment", one, *arguments[1:]).stderr
    at = arguments.index("--from")
    assert "give --from" in gsstereo(*arguments[:at], *arguments[at + 2 :], "--out", tmp_path).stderr


def test_run_refuses_an_experiment(tmp_path: Path) -> None:
    result = gsstereo("run", tmp_path, "--config", "expert_vs_splat")
    assert result.exit_code == 2
    assert "run it with `gsstereo experiment`" in result.stderr
