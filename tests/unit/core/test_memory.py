"""Freed memory is used again instead of asking the system for more."""

from __future__ import annotations

import platform
import resource

import numpy as np
import pytest

from gs_stereo.core.memory import reuse_freed_memory
from gs_stereo.executors.local import LocalExecutor

ROUNDS, ARRAYS, BYTES = 5, 32, 3 << 20  # numpy asks for huge pages from 4 MiB on: they would not be counted


def pages_of_many_arrays(unit: int) -> int:
    """Fresh pages that `ROUNDS` times the same arrays cost, after a first time."""
    before = 0
    for number in range(ROUNDS + 1):
        arrays = [np.ones(BYTES, np.uint8) for _ in range(ARRAYS)]
        del arrays
        if number == 0:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_workers_reuse_the_memory_of_freed_arrays() -> None:
    pages_of_one_round = ARRAYS * BYTES // resource.getpagesize()
    for pages in LocalExecutor(2).map(pages_of_many_arrays, [0, 1]):
        assert pages < pages_of_one_round


def test_another_libc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not reuse_freed_memory()
