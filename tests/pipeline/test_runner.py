"""The stage contract: skip, stale, resume after SIGKILL, atomic publication, locks, full disks."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import Field
from toy_stages import CountConfig, CountStage, FullDiskStage, SumStage, planned, run

from gs_stereo.config import MEANS, Config
from gs_stereo.errors import InputError, StageError
from gs_stereo.pipeline.manifest import read_manifest


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    folder = tmp_path / "scene"
    folder.mkdir()
    (folder / "input.txt").write_text("photo")
    return folder


def test_a_stage_publishes_a_complete_folder_and_is_then_skipped(scene: Path) -> None:
    first = run(CountStage(), CountConfig(), scene)
    second = run(CountStage(), CountConfig(), scene)
    assert (first.action, second.action) == ("done", "skipped")
    published = scene / "gsstereo" / "count"
    assert sorted(path.name for path in published.iterdir()) == ["manifest.json", *(f"unit-{i}.txt" for i in range(4))]
    manifest = read_manifest(published)
    assert manifest is not None
    assert manifest.drops == {"odd": 1}
    assert {output.path for output in manifest.outputs} == {f"unit-{i}.txt" for i in range(4)}
    assert not list((scene / "gsstereo").glob("*.tmp-*"))


@pytest.mark.parametrize(
    ("config", "seed", "reason"),
    [(CountConfig(units=5), 0, "config.units (4 -> 5)"), (CountConfig(), 1, "seed (0 -> 1)")],
)
def test_a_changed_setting_makes_it_stale_and_is_named(
    scene: Path, config: CountConfig, seed: int, reason: str
) -> None:
    run(CountStage(), CountConfig(), scene)
    [status] = planned(scene, ("count", config), seed=seed)
    assert (status.state, status.reason) == ("stale", reason)
    assert run(CountStage(), config, scene, seed=seed).action == "done"


def test_a_changed_photo_makes_it_stale_and_is_named(scene: Path) -> None:
    run(CountStage(), CountConfig(), scene)
    (scene / "input.txt").write_text("another photo")
    [status] = planned(scene, ("count", CountConfig()))
    assert (status.state, status.reason) == ("stale", "external.input.txt changed")


def test_a_later_stage_is_stale_when_an_earlier_one_is(scene: Path) -> None:
    for stage, config in ((CountStage(), CountConfig()), (SumStage(), Config())):
        run(stage, config, scene)
    plan = planned(scene, ("count", CountConfig(units=9)), ("sum", Config()))
    assert [(status.state, status.waits_for) for status in plan] == [("stale", None), ("stale", "count scene")]
    plan = planned(scene, ("count", CountConfig()), ("sum", Config()))
    assert [(status.state, status.waits_for) for status in plan] == [("up to date", None)] * 2


def test_force_makes_it_again(scene: Path) -> None:
    run(CountStage(), CountConfig(), scene)
    report = run(CountStage(), CountConfig(), scene, force=True)
    assert report.action == "done"
    assert report.manifest.metrics["made"] == 4


def test_a_killed_stage_resumes_and_ends_as_if_nothing_had_happened(scene: Path, tmp_path: Path) -> None:
    output = scene / "gsstereo"
    output.mkdir()
    (output / "die_after").write_text("2")
    code = (
        "import sys; from pathlib import Path; from toy_stages import *;"
        "run(CountStage(), CountConfig(), Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    killed = subprocess.run([sys.executable, "-c", code, str(scene)], env=environment, check=False)
    assert killed.returncode == -9
    assert not (output / "count").exists()
    (output / "die_after").unlink()
    [status] = planned(scene, ("count", CountConfig()))
    assert status.state == "interrupted"

    report = run(CountStage(), CountConfig(), scene)
    assert report.action == "resumed"
    assert report.manifest.metrics["made"] == 2  # the two finished units were kept

    untouched = tmp_path / "untouched"
    untouched.mkdir()
    (untouched / "input.txt").write_text("photo")
    assert run(CountStage(), CountConfig(), untouched).manifest.outputs == report.manifest.outputs


def test_a_damaged_unit_of_an_interrupted_run_is_made_again(scene: Path) -> None:
    class Fails(CountStage):
        def run(self, context, config):
            super().run(context, config)
            (context.work_dir / "unit-1.txt").write_text("torn")
            raise StageError("x")

    with pytest.raises(StageError):
        run(Fails(), CountConfig(), scene)
    report = run(CountStage(), CountConfig(), scene)
    assert report.manifest.metrics["made"] == 1
    assert (report.folder / "unit-1.txt").read_text() == "unit 1 seed 0\n"


@pytest.mark.parametrize("left", [".manifest.json.tmp-77.json", ".unit-3.txt.tmp-77.txt", ".0001.tmp-77/left.png"])
def test_what_a_killed_writer_left_in_the_work_folder_is_never_published(scene: Path, left: str) -> None:
    class Stops(CountStage):
        def run(self, context, config):
            super().run(context, config)
            (context.work_dir / left).parent.mkdir(exist_ok=True)
            (context.work_dir / left).touch()
            raise StageError("as if killed")

    with pytest.raises(StageError):
        run(Stops(), CountConfig(), scene)
    report = run(CountStage(), CountConfig(), scene)
    assert report.action == "resumed"
    assert {output.path for output in report.manifest.outputs} == {f"unit-{i}.txt" for i in range(4)}
    assert not [path for path in report.folder.iterdir() if path.name.startswith(".")]


def test_a_failing_stage_keeps_the_old_result(scene: Path) -> None:
    run(CountStage(), CountConfig(), scene)

    class Fails(CountStage):
        def run(self, context, config):
            raise StageError("no luck")

    with pytest.raises(StageError, match="no luck"):
        run(Fails(), CountConfig(units=7), scene)
    manifest = read_manifest(scene / "gsstereo" / "count")
    assert manifest is not None
    assert manifest.parts["config"]["units"] == 4


def test_a_crash_between_the_two_renames_is_healed(scene: Path) -> None:
    report = run(CountStage(), CountConfig(), scene)
    os.replace(report.folder, report.folder.with_name("count.old"))
    assert run(CountStage(), CountConfig(), scene).action == "skipped"


@pytest.mark.parametrize("damage", ["missing", "shortened", "manifest"])
def test_a_damaged_result_is_noticed_and_made_again(scene: Path, damage: str) -> None:
    folder = run(CountStage(), CountConfig(), scene).folder
    if damage == "missing":
        (folder / "unit-2.txt").unlink()
    elif damage == "shortened":
        (folder / "unit-2.txt").write_text("")
    else:
        (folder / "manifest.json").write_text('{"format": 1')
    [status] = planned(scene, ("count", CountConfig()))
    assert status.state == "damaged"
    assert run(CountStage(), CountConfig(), scene).action == "done"
    assert (folder / "unit-2.txt").read_text() == "unit 2 seed 0\n"


def test_work_of_other_settings_is_removed(scene: Path) -> None:
    old = scene / "gsstereo" / "count.tmp-0123456789ab"
    old.mkdir(parents=True)
    run(CountStage(), CountConfig(), scene)
    assert not old.exists()


def test_two_processes_do_not_work_on_one_stage(scene: Path) -> None:
    folder = scene / "gsstereo"
    folder.mkdir()
    with (folder / ".count.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StageError, match="Another gsstereo process"):
            run(CountStage(), CountConfig(), scene)


def test_a_full_disk_is_one_sentence(scene: Path) -> None:
    with pytest.raises(StageError, match="the disk is full; free some space"):
        run(FullDiskStage(), Config(), scene)


def test_a_missing_earlier_stage_names_the_command(scene: Path) -> None:
    with pytest.raises(InputError, match="run `gsstereo count` first"):
        run(SumStage(), Config(), scene)


def test_a_result_of_another_kind_of_stage_is_kept(scene: Path) -> None:
    run(CountStage(), CountConfig(), scene)

    class Other(CountStage):
        name = "other"

    class Replacing(Other):
        replaces_others = True

    assert run(Other(), CountConfig(units=1), scene).action == "skipped"
    assert run(Replacing(), CountConfig(units=1), scene).action == "done"


def test_the_manifest_records_how_it_was_made(scene: Path) -> None:
    folder = run(CountStage(), CountConfig(), scene).folder
    values = json.loads((folder / "manifest.json").read_text())
    assert values["parts"]["config"] == {"units": 4, "text": "unit"}
    assert set(values["parts"]["external"]) == {"input.txt"}
    assert values["peak_memory_bytes"] > 1_000_000
    assert "numpy" in values["libraries"]


def test_settings_that_do_not_decide_make_nothing_stale_and_are_kept(scene: Path) -> None:
    class Patient(CountConfig):
        timeout_s: float = Field(default=1.0, json_schema_extra=MEANS)

    class PatientStage(CountStage):
        config_type = Patient

    assert run(PatientStage(), Patient(), scene).action == "done"
    report = run(PatientStage(), Patient(timeout_s=2.0), scene)
    assert report.action == "skipped"
    assert report.manifest.parts["means"] == {"timeout_s": 1.0}
    assert run(PatientStage(), Patient(units=3), scene).action == "done"
