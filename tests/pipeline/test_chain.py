"""A result is up to date only if all that it stands on is: single verbs refuse, and the command they name helps."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from toy_stages import TOY_STAGES, CountConfig, CountStage, SumStage, planned
from toy_stages import run as run_stage
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app
from gs_stereo.config import Config
from gs_stereo.core.atomic import write_text
from gs_stereo.errors import InputError
from gs_stereo.pipeline.chain import Chain
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.stages.registry import STAGES


class ReportConfig(Config):
    dataset: str | None = None


class ReportStage(SumStage):
    """The end of the chain input.txt -> count -> sum -> report, under the name and folder of a verb."""

    name = "report"
    config_type = ReportConfig

    def folder(self, config: Config) -> str:
        return "report"

    def inputs(self, paths: ScenePaths, config: Config) -> StageInputs:
        return StageInputs(published={"sum": "sum"})

    def run(self, context: StageContext, config: Config) -> StageOutcome:
        write_text(context.work_dir / "index.html", context.published("sum").joinpath("sum.txt").read_text())
        return StageOutcome(text="fine")


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, place in {**TOY_STAGES.builtin, "report": f"{__name__}:ReportStage"}.items():
        monkeypatch.setitem(STAGES.builtin, name, place)
    room = tmp_path / "a room"
    room.mkdir()
    (room / "input.txt").write_text("photo")
    run_stage(CountStage(), CountConfig(units=3), room, seed=5)
    run_stage(SumStage(), Config(), room)
    assert gsstereo("report", room).exit_code == 0
    return room


def gsstereo(*words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words), "-q"])


def advised(result: Result) -> list[str]:
    """The command that a refusal names."""
    assert result.exit_code == InputError.exit_code, result.output
    [command] = re.findall("`(gsstereo .*)`", result.stderr)
    return shlex.split(command)[1:]


def number_in_report(scene: Path) -> str:
    return (scene / "gsstereo/report/index.html").read_text()


def test_new_settings_two_levels_up_are_noticed_and_the_named_command_helps(scene: Path) -> None:
    run_stage(CountStage(), CountConfig(units=7), scene)
    refused = gsstereo("report", scene)
    assert "sum was made of an earlier count" in refused.stderr
    assert gsstereo(*advised(refused)).exit_code == 0
    assert "up to date" not in gsstereo("report", scene).stderr
    assert number_in_report(scene) == "7"


@pytest.mark.parametrize("keeps_its_times", [False, True])
def test_a_changed_photo_three_levels_up_is_noticed(scene: Path, keeps_its_times: bool) -> None:
    photo = scene / "input.txt"
    times = photo.stat()
    photo.write_text("PHOTO")
    if keeps_its_times:  # as cp -p does
        os.utime(photo, ns=(times.st_atime_ns, times.st_mtime_ns))
    refused = gsstereo("report", scene)
    assert "count has other inputs now: external.input.txt changed" in refused.stderr
    assert gsstereo(*advised(refused)).exit_code == 0
    assert gsstereo("report", scene).exit_code == 0
    assert "seed 5" in (scene / "gsstereo/count/unit-0.txt").read_text()  # made again as it was


def test_a_new_version_of_an_early_stage_is_noticed(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountStage, "version", 2)
    assert "version (1 -> 2)" in gsstereo("report", scene).stderr


def test_a_damaged_early_result_is_noticed(scene: Path) -> None:
    (scene / "gsstereo/count/unit-0.txt").unlink()
    assert "unit-0.txt of count is missing or was changed" in gsstereo("report", scene).stderr


def test_results_can_be_used_without_what_is_gone_as_a_whole(scene: Path) -> None:
    (scene / "input.txt").unlink()
    assert gsstereo("report", scene).exit_code == 0
    shutil.rmtree(scene / "gsstereo/count")
    assert gsstereo("report", scene).exit_code == 0


def test_a_plan_says_that_the_chain_is_broken_unless_it_mends_it(scene: Path) -> None:
    run_stage(CountStage(), CountConfig(units=7), scene)
    [alone] = planned(scene, ("report", ReportConfig()), stages=STAGES)
    assert alone.state == "blocked"
    assert "gsstereo refresh" in alone.reason
    steps = [("count", CountConfig(units=7)), ("sum", Config()), ("report", ReportConfig())]
    assert [status.state for status in planned(scene, *steps, stages=STAGES)] == ["up to date", "stale", "stale"]


def test_what_is_only_looked_at_is_shown_with_a_warning(scene: Path) -> None:
    assert Chain(ScenePaths.of(scene), STAGES).sentence() is None
    run_stage(CountStage(), CountConfig(units=7), scene)
    said = Chain(ScenePaths.of(scene), STAGES).sentence()
    assert said is not None
    assert "report and sum (sum was made of an earlier count)" in said
    assert "--only" not in said


def test_refresh_makes_only_what_is_asked_for_and_stale(scene: Path) -> None:
    run_stage(CountStage(), CountConfig(units=7), scene)
    plan = json.loads(gsstereo("refresh", scene, "--dry-run", "--json").stdout)
    assert [entry["folder"] for entry in plan] == ["sum", "report"]
    assert gsstereo("refresh", scene, "--only", "sum").exit_code == 0
    assert number_in_report(scene) == "3"
    assert gsstereo("refresh", scene).exit_code == 0
    assert number_in_report(scene) == "7"
    assert "Nothing to do" in gsstereo("refresh", scene).stdout
    assert "no finished pairs/other" in gsstereo("refresh", scene, "--only", "pairs/other").stderr


def test_results_elsewhere_are_refreshed_where_they_are(scene: Path, tmp_path: Path) -> None:
    shutil.move(scene / "gsstereo", tmp_path / "out")
    (scene / "input.txt").write_text("other")
    words = advised(gsstereo("report", scene, "--out", tmp_path / "out"))
    assert gsstereo(*words).exit_code == 0
    assert gsstereo("report", scene, "--out", tmp_path / "out").exit_code == 0
    assert not (scene / "gsstereo").exists()


def test_a_data_set_is_not_exported_or_trained_on_after_its_pairs_have_changed(scene: Path) -> None:
    dataset = scene / "gsstereo/dataset/fused"
    shutil.copytree(scene / "gsstereo/sum", dataset)
    (dataset / "dataset.json").write_text("{}")  # enough to be taken for a data set
    paths = ScenePaths.of(scene)
    assert Chain(paths, STAGES).problem("dataset/fused") is None
    run_stage(CountStage(), CountConfig(units=7), scene)
    for words in (
        ("export", scene, "--format", "kitti", "--to", scene / "kitti"),
        ("export", dataset, "--format", "kitti", "--to", scene / "kitti"),
        ("train", scene, "--data", dataset),
        ("train", scene, "--dataset", "fused"),
    ):
        assert advised(gsstereo(*words))[-2:] == ["--only", "dataset/fused"], words
