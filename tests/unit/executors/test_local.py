"""The local executor: order, errors of units, and workers that die."""

from __future__ import annotations

import os

import pytest

from gs_stereo.errors import InputError, StageError
from gs_stereo.executors.local import LocalExecutor


def square(value: int) -> int:
    if value < 0:
        raise InputError("negative")
    return value * value


def numpy_threads(value: int) -> str | None:
    """What a worker is told about threads of numpy."""
    return os.environ.get("OPENBLAS_NUM_THREADS")


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


def test_workers_multiply_in_one_thread_and_the_caller_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert list(LocalExecutor(2).map(numpy_threads, [1, 2])) == ["1", "1"]
    assert numpy_threads(0) is None
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    assert list(LocalExecutor(2).map(numpy_threads, [1, 2])) == ["3", "3"]
    assert numpy_threads(0) == "3"
