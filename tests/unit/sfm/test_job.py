"""The worker process: whatever happens to it, the caller gets a StageError and no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gs_stereo
from gs_stereo.core.records import json_text, record_from_json
from gs_stereo.errors import StageError
from gs_stereo.imaging.images import write_png
from gs_stereo.sfm.job import CameraGroup, Job, Progress, run_job


def noise_job(folder: Path, count: int = 3) -> Job:
    """Photos of pure noise: many features, no match."""
    names = [f"{index}.png" for index in range(count)]
    for index, name in enumerate(names):
        image = np.random.default_rng(index).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        write_png(folder / "images" / name, image)
    group = CameraGroup(
        names=names, model="SIMPLE_RADIAL", width=96, height=64, params=[100.0, 48.0, 32.0, 0.0], prior=False
    )
    pairs = [(a, b) for a in names for b in names if a < b]
    return Job(task="map", folder=str(folder / "images"), output=str(folder / "model"), groups=[group], pairs=pairs)


def test_job_round_trip(tmp_path: Path) -> None:
    job = noise_job(tmp_path)
    again = record_from_json(Job, json_text(job))
    assert again.names == job.names
    assert again.groups[0].params == job.groups[0].params


def test_noise_gives_no_model_but_an_answer(tmp_path: Path) -> None:
    seen: list[Progress] = []
    result = run_job(noise_job(tmp_path), seen.append)
    assert list(result.models) == []
    assert set(result.partners.values()) == {0}
    assert min(result.features.values()) > 0
    assert Progress(step="features", done=3, total=3) in seen
    assert Progress(step="pairs", done=3, total=3) in seen


def spy(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[Any]]:
    """Collect the processes that are started."""
    started: list[subprocess.Popen[Any]] = []
    popen = subprocess.Popen

    def start(*args: Any, **kwargs: Any) -> subprocess.Popen[Any]:
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr("gs_stereo.core.child.subprocess.Popen", start)
    return started


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGKILL, "memory ran out"), (signal.SIGABRT, "ended by signal 6")]
)
def test_killed_worker_is_a_stage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, expected: str
) -> None:
    started = spy(monkeypatch)

    def kill(_: Progress) -> None:
        if started[0].poll() is None:
            os.kill(started[0].pid, number)

    with pytest.raises(StageError, match=expected) as caught:
        run_job(noise_job(tmp_path), kill)
    assert "\n" not in str(caught.value)


def test_failure_inside_the_worker_tells_the_reason(tmp_path: Path) -> None:
    job = noise_job(tmp_path)
    (tmp_path / "model").write_text("a file where a folder should be")
    with pytest.raises(StageError, match="FileExistsError"):
        run_job(job)


def test_interrupt_leaves_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = spy(monkeypatch)

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(noise_job(tmp_path), interrupt)
    assert started[0].returncode is not None


def wait_for(condition: Callable[[], bool], seconds: float = 300.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """The parent is killed while the worker still has much to do; the worker must not go on."""
    (tmp_path / "job.json").write_text(json_text(noise_job(tmp_path, count=12)))
    parent_code = (
        "import sys; from pathlib import Path; import subprocess;"
        "from gs_stereo.core import child, records; from gs_stereo.sfm import job;"
        "real = subprocess.Popen;"
        "child.subprocess.Popen = lambda *a, **k: (p := real(*a, **k), Path(sys.argv[2]).write_text(str(p.pid)))[0];"
        "job.run_job(records.read_record(job.Job, Path(sys.argv[1]), fix=''))"
    )
    pid_file = tmp_path / "pid"
    root = str(Path(gs_stereo.__file__).parent.parent)
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_code, str(tmp_path / "job.json"), str(pid_file)],
        env={**os.environ, "PYTHONPATH": root},
    )
    try:
        assert wait_for(lambda: pid_file.exists() and bool(pid_file.read_text()))
        worker = int(pid_file.read_text())
    finally:
        parent.kill()
        parent.wait()
    assert wait_for(lambda: not is_running(worker))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
