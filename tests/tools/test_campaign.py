"""A short form of the campaign, and that it sees what it is there to see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import campaign
import numpy as np
import pytest
from fuzz import mutated

ROOT = Path(__file__).parents[2]

_READERS = """
import json, os, signal, sys, time
from pathlib import Path
import fuzz
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import read_photo
from gs_stereo.io.transforms import read_transforms
from gs_stereo.pipeline.recipe import load_recipe
from gs_stereo.sfm.scale import read_camera_positions

def our_error(folder): raise InputError("x")
def foreign(folder): {}["x"]
def crash(folder): os.kill(os.getpid(), signal.SIGSEGV)
def hang(folder): time.sleep(60)
def greedy(folder): b"x" * (1 << 29)

fuzz.LIMIT_S, fuzz.LIMIT_BYTES = 3.0, 1 << 29
work = Path(sys.argv[1])
made = {function.__name__: function for function in (our_error, foreign, crash, hang, greedy)}
answers = {name: fuzz.outcome_of(function, work).verdict for name, function in made.items()}
fuzz.LIMIT_S, fuzz.LIMIT_BYTES = 10.0, 2 << 30
real = {
    "transforms": ("t.json", lambda f: read_transforms(f / "t.json")),
    "positions": ("p.txt", lambda f: read_camera_positions(f / "p.txt")),
    "recipe": ("r.yaml", lambda f: load_recipe(f / "r.yaml")),
    "photo": ("a.png", lambda f: read_photo(f / "a.png")),
}
targets = {name: fuzz.Target(folder=work, files=(file,), read=read) for name, (file, read) in real.items()}
outcomes = list(fuzz.fuzz(targets, seed=0, count=40, work=work.parent))
print(json.dumps({"answers": answers, **fuzz.summary(outcomes)}))
"""


def test_faults_of_readers_are_seen_and_ours_have_none(tmp_path: Path) -> None:
    from gs_stereo.imaging.images import write_png

    work = tmp_path / "sound"
    work.mkdir()
    frame = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}
    (work / "t.json").write_text(json.dumps({"fl_x": 30.0, "w": 40, "h": 30, "frames": [frame]}))
    (work / "p.txt").write_text("a.jpg 1 2 3\nb.jpg 2 3 4\n")
    (work / "r.yaml").write_text("name: r\nstages:\n  - stage: fit\n    set: {iterations: 7}\n")
    write_png(work / "a.png", np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tools'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _READERS, str(work)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    expected = {"our_error": "refused", "foreign": "fault", "crash": "crash", "hang": "hang", "greedy": "memory"}
    assert found["answers"] == expected
    assert found["faults"] == []
    assert found["mutations"] == 160
    assert all(counts.get("refused", 0) >= 5 for counts in found["by target"].values())


def test_mutations_are_repeated_by_their_seed() -> None:
    for data in (b'{"a": [1, 2.5, {"b": null}], "c": 7}', b"name: 3\nother: 4\n", bytes(range(256)) * 4):
        first = [mutated(data, np.random.default_rng([7, number])) for number in range(50)]
        assert first == [mutated(data, np.random.default_rng([7, number])) for number in range(50)]
        assert len(set(first)) > 30
        assert sum(changed == data for changed in first) < 10


def test_differences_of_results_are_seen_but_not_their_times(tmp_path: Path) -> None:
    for name, seconds in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name / ".cache").mkdir(parents=True)
        values = {"stage": "fit", "seconds": seconds, "peak_memory_bytes": int(seconds)}
        (tmp_path / name / "manifest.json").write_text(json.dumps(values))
        (tmp_path / name / "x.bin").write_bytes(b"x")
        (tmp_path / name / ".cache/hashes.json").write_text(name)
    calm, other = (campaign.contents(tmp_path / name) for name in "ab")
    assert campaign.differences(calm, other) == []
    (tmp_path / "b/.x.bin.tmp-7.bin").touch()
    (tmp_path / "b/x.bin").write_bytes(b"y")
    (tmp_path / "b/manifest.json").write_text(json.dumps({"stage": "label"}))
    changed = campaign.differences(calm, campaign.contents(tmp_path / "b"))
    assert changed == [".x.bin.tmp-7.bin", "manifest.json", "x.bin"]


def test_processes_that_outlive_their_parent_are_seen() -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(9)'])"
    assert campaign.Run([], "outlives", code=("-c", code)).ended() == 0
    assert len(campaign.alive("outlives")) == 1
    assert campaign.alive("another") == []


_KILLED = """
import json, sys
from pathlib import Path
import campaign

work = Path(sys.argv[1])
def run(name, number=0):
    pairs = "pairs={textures: 4, texture_px: 64}"
    words = ("sample-pairs", str(work / name), "--count", "1", "--width", "64", "--height", "64", "--set", pairs, "-q")
    fork = campaign.Fork(words, "mark", (work / name, number))
    return fork.ended(), int((fork.said.split() or ["0"])[-1])

whole = run("whole")
print(json.dumps([whole, run("killed", whole[1] // 2), run("killed")]))
print(campaign.differences(*(campaign.contents(work / name) for name in ("whole", "killed"))))
"""


def test_a_run_dies_at_the_operation_that_was_chosen(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tools'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    (code, operations), (killed, _), (again, left) = json.loads(said[0])
    assert (code, killed, again) == (0, -9, 0)
    assert 0 < left < operations  # it went on where it was
    assert said[1] == "['manifest.json']"  # which names the folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("kills", "--count", "6"),
        ("operations", "--count", "2", "--verb", "label", "--verb", "export", "--verb", "train"),
        ("fuzz", "--count", "25"),
    ],
)
def test_the_campaign_in_short(tmp_path_factory: pytest.TempPathFactory, words: tuple[str, ...]) -> None:
    work = tmp_path_factory.getbasetemp() / "campaign"  # the undisturbed scene is made once
    command = [sys.executable, str(ROOT / "tools/campaign.py"), *words, "--work", str(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
