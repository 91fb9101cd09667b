"""The local executor: order, errors of units, and workers that die."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gs_stereo.core.cores import cores, sharing
from gs_stereo.errors import InputError, StageError
from gs_stereo.executors.local import LocalExecutor


def square(value: int) -> int:
    if value < 0:
        raise InputError("negative")
    return value * value


def die(value: int) -> int:
    os._exit(9)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_units(workers: int) -> None:
    assert list(LocalExecutor(workers).map(square, range(7))) == [value * value for value in range(7)]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_error_of_a_unit_reaches_the_caller(workers: int) -> None:
    with pytest.raises(InputError, match="negative"):
        list(LocalExecutor(workers).map(square, [1, -1, 2]))


def test_a_worker_that_dies_is_a_stage_error() -> None:
    with pytest.raises(StageError, match="A worker process died"):
        list(LocalExecutor(2).map(die, [1, 2, 3]))


def test_one_worker_spawns_nothing() -> None:
    assert list(LocalExecutor(4).map(lambda value: os.getpid(), [0, 1], workers=1)) == [os.getpid()] * 2


def threads_of_libraries(value: int) -> tuple[int, int, int]:
    """Of our own pools, torch and OpenCV in a worker."""
    import cv2
    import torch

    return cores(), torch.get_num_threads(), cv2.getNumThreads()


def test_threads_times_workers_are_no_more_than_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in sharing():
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    for found in LocalExecutor(2).map(threads_of_libraries, [1, 2]):
        assert max(found) * 2 <= max(2, cores())
    assert dict(os.environ) == before


_PARENT = """
import os, sys, time
from pathlib import Path
from gs_stereo.executors.local import LocalExecutor

def busy(folder):
    (Path(folder) / str(os.getpid())).touch()
    while True:  # as native code that never looks up
        sum(range(10**6))

if __name__ == "__main__":
    list(LocalExecutor(2).map(busy, [sys.argv[1]] * 2))
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script, marks = tmp_path / "parent.py", tmp_path / "pids"
    script.write_text(_PARENT)
    marks.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    parent = subprocess.Popen([sys.executable, str(script), str(marks)], env=environment)
    wait_for(lambda: len(list(marks.iterdir())) == 2, 60)
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(runs(int(mark.name)) for mark in marks.iterdir()), 2)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def runs(pid: int) -> bool:
    """Alive and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
