"""Fleets of toy scenes: plan, run, resume, failures set aside, dead workers, claims, two drivers, and the verbs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from builders import write_shifted_pairs
from toy_stages import TOY_STAGES, CountConfig, run_toy_cell, steps_of
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app
from gs_stereo.config import Config
from gs_stereo.core.records import write_record
from gs_stereo.errors import ConfigError, InputError, StageError
from gs_stereo.executors.fleet import FleetDriver, FleetEvent, FleetSettings, failed_tries, run_one
from gs_stereo.executors.pool import LocalPool
from gs_stereo.io.remote import Place
from gs_stereo.pipeline.claims import Claim, HeldClaim, read_claim, take_claim
from gs_stereo.pipeline.jobs import JobList, Plan, plan_jobs
from gs_stereo.stages.registry import STAGES


def plan(folders: list[Path], output: str | None = None, units: int = 2) -> Plan:
    steps = steps_of(("count", CountConfig(units=units)), ("sum", Config()))
    return plan_jobs(steps, [str(folder) for folder in folders], output=output, seed=3)


@pytest.fixture
def rooms(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"room_{letter}" for letter in "abc"]
    for room in found:
        room.mkdir()
        (room / "input.txt").write_text(f"photo of {room.name}")
    return found


@pytest.fixture
def settings(tmp_path: Path) -> FleetSettings:
    return FleetSettings(cache=str(tmp_path / "cache"), backoff_s=0.01, lease_s=0.6)


def drive(jobs: JobList, settings: FleetSettings, slots: int = 1) -> list[FleetEvent]:
    return list(FleetDriver(jobs, LocalPool(slots), run_toy_cell, settings).run())


def counted(events: list[FleetEvent]) -> dict[str, int]:
    counts = Counter[str]()
    for event in events:
        counts[event.kind] += event.count
    return dict(counts)


def published(rooms: list[Path]) -> dict[str, bytes]:
    """Name and content of all result files; manifests say how long it took."""
    paths = [path for room in rooms for kind in ("count", "sum") for path in (room / "gsstereo" / kind).iterdir()]
    return {str(path): path.read_bytes() for path in sorted(paths) if path.name != "manifest.json"}


def test_a_fleet_is_done_once_and_then_only_what_has_changed(rooms: list[Path], settings: FleetSettings) -> None:
    jobs = plan(rooms).jobs
    assert counted(drive(jobs, settings, slots=2)) == {"done": 6}
    assert len(published(rooms)) == 9
    assert counted(drive(jobs, settings)) == {"skipped": 6}
    (rooms[1] / "input.txt").write_text("another photo")
    assert counted(drive(jobs, settings)) == {"skipped": 4, "done": 2}
    assert counted(drive(plan(rooms, units=1).jobs, settings)) == {"done": 6}
    (rooms[0] / "gsstereo/sum/manifest.json").unlink()
    assert counted(drive(plan(rooms, units=1).jobs, settings)) == {"skipped": 5, "done": 1}


def test_a_scene_that_fails_is_set_aside_until_it_is_mended(rooms: list[Path], settings: FleetSettings) -> None:
    (rooms[1] / "input.txt").rename(rooms[1] / "other.txt")
    jobs = plan(rooms).jobs
    events = drive(jobs, settings)
    assert counted(events) == {"done": 4, "aside": 1}  # bad input is not tried again
    [aside] = [event for event in events if event.kind == "aside"]
    assert (aside.scene, aside.stage) == ("room_b", "count")
    assert "input.txt" in aside.reason
    assert counted(drive(jobs, settings)) == {"skipped": 4, "aside": 1}
    (rooms[1] / "input.txt").write_text("photo")
    assert counted(drive(jobs, settings)) == {"skipped": 4, "done": 2}


def test_a_worker_that_dies_or_hangs_is_replaced(rooms: list[Path], settings: FleetSettings) -> None:
    (rooms[0] / "die_once").touch()
    (rooms[1] / "hang_once").touch()
    jobs = plan(rooms).jobs
    events = drive(jobs, replace(settings, deadline_s=5.0), slots=2)
    assert counted(events) == {"done": 6, "retry": 2}
    died, hung = sorted(event.reason for event in events if event.kind == "retry")
    assert died.startswith("The worker of count of room_a was lost (its process died with exit code 9")
    assert hung.endswith("(its process died with exit code -14, its deadline of 5 s was over).")
    lost = [(each.scene, each.number, each.reason.split(" after ")[0]) for each in failed_tries(jobs)]
    assert lost == [("room_a", 1, "was lost"), ("room_b", 1, "was lost")]


def test_a_cell_that_never_ends_well_is_given_up(rooms: list[Path], settings: FleetSettings) -> None:
    (rooms[0] / "gsstereo").mkdir()
    (rooms[0] / "gsstereo" / "die_after").write_text("0")
    jobs = plan(rooms[:1]).jobs
    assert counted(drive(jobs, replace(settings, tries=2))) == {"retry": 1, "aside": 1}
    assert counted(drive(jobs, settings)) == {"aside": 1}
    (rooms[0] / "gsstereo" / "die_after").unlink()  # outside the scene's files, so that somebody has to say so
    assert counted(drive(jobs, replace(settings, retry=True))) == {"done": 2}


def test_a_plan_names_what_is_no_scene_and_refuses_two_of_one_name(rooms: list[Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = plan([*rooms, tmp_path / "empty", tmp_path / "nowhere", rooms[0] / "input.txt", rooms[0]])
    assert [scene.name for scene in found.jobs.scenes] == ["room_a", "room_b", "room_c"]
    assert [reason.split(" ")[0] for reason in found.refused.values()] == ["There", "The", str(rooms[0] / "input.txt")]
    twin = tmp_path / "elsewhere" / "room_a"
    twin.mkdir(parents=True)
    (twin / "input.txt").touch()
    found = plan([*rooms, twin])
    assert len(found.jobs.scenes) == 3
    assert "A scene 'room_a' is in the list already" in found.refused[str(twin)]
    with pytest.raises(InputError, match="There is no scene to work on"):
        plan([tmp_path / "nowhere"])


def test_a_plan_refuses_two_results_in_one_folder(recipe: Path, rooms: list[Path]) -> None:
    recipe.write_text("stages: [{stage: count}, {stage: sum}, {stage: sum}]\n")
    result = gsstereo("plan", "--config", recipe, *rooms)
    assert (result.exit_code, result.stderr) == (
        ConfigError.exit_code,
        "gsstereo: The recipe makes sum twice; leave one out, or give its result another name.\n",
    )


def test_results_can_lie_elsewhere(rooms: list[Path], settings: FleetSettings, tmp_path: Path) -> None:
    drive(plan(rooms, output=str(tmp_path / "out")).jobs, settings)
    assert not (rooms[0] / "gsstereo").exists()
    assert (tmp_path / "out/captures/room_a/sum/sum.txt").read_text() == "2"


def test_a_scheduler_may_start_one_process_a_cell(rooms: list[Path], settings: FleetSettings) -> None:
    jobs = plan(rooms).jobs
    with pytest.raises(StageError, match="needs count of room_b, which is not finished"):
        run_one(jobs, 4, run_toy_cell, settings)
    assert [run_one(jobs, index, run_toy_cell, settings).state for index in range(6)] == ["done"] * 6
    assert run_one(jobs, 4, run_toy_cell, settings).state == "skipped"
    assert counted(drive(jobs, settings)) == {"skipped": 6}


def test_of_many_that_want_a_cell_one_gets_it(tmp_path: Path) -> None:
    place, got = Place(str(tmp_path)), list[HeldClaim]()

    def want(number: int) -> None:
        claim = take_claim(place, "cell", f"token {number}", beat_s=1)
        if isinstance(claim, HeldClaim):
            got.append(claim)

    threads = [threading.Thread(target=want, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    with got[0]:
        assert isinstance(take_claim(place, "cell", "late", beat_s=1), Claim)
    assert isinstance(take_claim(place, "cell", "later", beat_s=1), HeldClaim)


def test_a_claim_dies_with_its_heartbeat_and_its_holder_notices(tmp_path: Path) -> None:
    place = Place(str(tmp_path))
    slow = take_claim(place, "cell", "slow", beat_s=3600)
    assert isinstance(slow, HeldClaim)
    seen = read_claim(place, "cell")
    assert seen is not None
    elsewhere = replace(seen, machine="another machine")
    assert not elsewhere.is_dead_here
    assert replace(seen, pid=2**22 + 1).is_dead_here
    assert isinstance(take_claim(place, "cell", "b", beat_s=1, over=replace(seen, beat=1)), Claim)  # it beat since
    assert slow.is_mine()
    assert isinstance(take_claim(place, "cell", "b", beat_s=1, over=seen), HeldClaim)
    assert not slow.is_mine()


def test_a_cell_of_a_dead_machine_is_taken_over(rooms: list[Path], settings: FleetSettings) -> None:
    fleet = rooms[0] / "gsstereo" / ".fleet"
    fleet.mkdir(parents=True)
    lost = Claim(number=1, token="x", host="node-7", machine="another machine", pid=1)
    write_record(fleet / "count.claim-00001", lost)
    events = drive(plan(rooms[:1]).jobs, settings)
    assert counted(events) == {"held": 1, "done": 2}
    assert events[0].reason == "process 1 on node-7 works on it"


@pytest.mark.parametrize("clock", ["right", pytest.param("two days late", marks=pytest.mark.slow)])
def test_two_drivers_share_a_list_and_a_killed_one_is_no_loss(
    rooms: list[Path], settings: FleetSettings, tmp_path: Path, clock: str
) -> None:
    jobs = plan(rooms).jobs
    write_record(tmp_path / "jobs.json", jobs)
    code = (
        "import sys; from pathlib import Path; from gs_stereo.pipeline.jobs import read_jobs; from test_fleet import *;"
        "print(counted(drive(read_jobs(Path(sys.argv[1])), FleetSettings(cache='x', lease_s=3), 1)), flush=True)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "jobs.json")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    if clock != "right":
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not libraries:
            pytest.skip("libfaketime is not installed; `apt install faketime`")
        environment |= {"LD_PRELOAD": str(libraries[0]), "FAKETIME": "-2d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    (rooms[0] / "hang_once").touch()
    first = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 60
    while (rooms[0] / "hang_once").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    events = list[FleetEvent]()
    for event in FleetDriver(jobs, LocalPool(1), run_toy_cell, replace(settings, lease_s=30.0)).run():
        events.append(event)
        if len(events) == 5:  # the second driver has done all that is free
            first.send_signal(signal.SIGKILL)
            first.wait()
    assert counted(events) == {"held": 1, "done": 6}
    assert len(published(rooms)) == 9
    assert counted(drive(jobs, settings)) == {"skipped": 6}


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, place in TOY_STAGES.builtin.items():
        monkeypatch.setitem(STAGES.builtin, name, place)
    path = tmp_path / "toy.yaml"
    path.write_text("stages: [{stage: count, set: {units: 2}}, {stage: sum}]\n")
    return path


def gsstereo(*words: object) -> Result:
    return CliRunner().invoke(app, ["fleet", *map(str, words)])


def test_the_verbs(recipe: Path, rooms: list[Path], tmp_path: Path) -> None:
    listed = tmp_path / "scenes.txt"
    listed.write_text("# the rooms\nroom_a\nroom_b\nnowhere\n")
    planned = gsstereo("plan", "--config", recipe, listed)
    assert planned.exit_code == 0
    assert "nowhere does not exist" in planned.stderr
    (jobs := tmp_path / "jobs.json").write_text(planned.stdout)
    for index in (0, 2):
        assert gsstereo("run", jobs, "--index", index).stdout == f"done: cell {index} of 4\n"
    assert gsstereo("run", jobs, "--index", 1, "--stage", "sum").exit_code == StageError.exit_code
    assert "has the indices 0 to 3" in gsstereo("run", jobs, "--index", 4).stderr
    stages = json.loads(gsstereo("status", jobs, "--json").stdout)["stages"]
    assert stages == [{"stage": "count", "done": 1}, {"stage": "sum", "done": 1}]
    (rooms[1] / "input.txt").unlink()
    (rooms[1] / "<b>.txt").touch()
    failed = gsstereo("run", jobs, "--index", 1)
    assert failed.exit_code == StageError.exit_code
    done = gsstereo("run", jobs, "--json")
    assert done.exit_code == StageError.exit_code
    assert json.loads(done.stdout)["skipped"] == 2
    assert "1 of 2 scenes are set aside" in done.stderr
    table = gsstereo("status", jobs, "--html", tmp_path / "fleet.html").stdout
    tries = json.loads(gsstereo("status", jobs, "--json", "--tries").stdout)["failed_tries"]
    assert [(each["scene"], each["stage"], each["number"]) for each in tries] == [("room_b", "count", 1)]
    assert "input.txt" in tries[0]["reason"]
    assert "room_b" in table.split("set aside")[1]
    assert "room_b/input.txt" in (tmp_path / "fleet.html").read_text()


def test_what_is_finished_is_published(tmp_path: Path) -> None:
    from gs_stereo.pipeline.recipe import RecipeEntry, resolve_step

    rooms = [tmp_path / name for name in ("attic", "barn", "cave")]
    for room in rooms:
        room.mkdir()
        (room / "photo.png").write_bytes(room.name.encode())
    step = resolve_step(RecipeEntry(stage="label"), STAGES)
    jobs = plan_jobs([step], map(str, rooms), output=None, seed=0).jobs
    write_record(tmp_path / "jobs.json", jobs)
    for room in rooms[:2]:
        folder = write_shifted_pairs(room / "gsstereo" / step.folder, 2, (24, 32), scene=room.name)
        (folder / "manifest.json").write_text("{}")
    result = gsstereo("publish", tmp_path / "jobs.json", "--to", tmp_path / "all", "--shares", "train=0.5,test=0.5")
    assert result.exit_code == 0, result.stderr
    assert "2 scenes: 2 train, 2 test samples" in result.stdout
    assert "left out cave: " in result.stderr
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "README.md",
        "croissant.json",
        "scenes.json",
        "test",
        "train",
    ]
    url = "memory://shop/all"
    words = ("publish", tmp_path / "jobs.json", "--shares", "train=0.5,test=0.5", "--cache", tmp_path / "cache", "--to")
    assert gsstereo(*words, url).exit_code == 0
    sent = {file.path: Place(url).read(file.path) for file in Place(url).files()}
    made = sorted(path for path in (tmp_path / "all").rglob("*") if path.is_file())
    assert sent == {path.relative_to(tmp_path / "all").as_posix(): path.read_bytes() for path in made}
    assert list((tmp_path / "cache").iterdir()) == []
    for target in (tmp_path / "all", url):
        again = gsstereo(*words, target)
        assert (again.exit_code, "is there already" in again.stderr) == (InputError.exit_code, True)
    Place(url).remove(sent)
    wrong = gsstereo("publish", tmp_path / "jobs.json", "--to", tmp_path / "b", "--shares", "train:1")
    assert (wrong.exit_code, "is not understood" in wrong.stderr) == (ConfigError.exit_code, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "nowhere.json"), "fleet plan SCENES"),
        (("run", "nowhere.json", "--stage", "fit"), "fleet plan SCENES"),
        (("plan", "nowhere"), "There is no scene to work on"),
        (("plan", "foo://bucket/room"), "foo://"),
    ],
)
def test_bad_words_are_one_sentence(words: tuple[str, ...], said: str) -> None:
    result = gsstereo(*words)
    assert result.exit_code in (2, 3)
    assert said in result.stderr
    assert result.stderr.startswith("gsstereo: ")
    assert len(result.stderr.splitlines()) == 1
