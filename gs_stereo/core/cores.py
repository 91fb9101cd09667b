"""The cores that this process may use, and threads that sleep while they wait.

Every pool of threads or processes is as large as `cores()`. A pool divides its cores among its processes, and what
these start inherits the share, so pools within pools never multiply.

OpenMP, OpenBLAS and OpenCV by default let a thread that waits for the others turn round and round. On a busy machine it
so takes the core that the others need: beside two busy processes on two cores a fit took 128 s, and 79 s with threads
that sleep (35 and 27 s alone). The libraries read these variables when they are loaded, so they are set before that.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from pathlib import Path

VARIABLE = "GSSTEREO_THREADS"
"""Cores that a process and all that it starts may use, where it is less than what the machine gives them."""

_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
_SLEEP = {
    "OMP_WAIT_POLICY": "passive",
    "OPENBLAS_THREAD_TIMEOUT": "4",  # its least: 2^4 cycles
    "OPENCV_THREAD_POOL_ACTIVE_WAIT_MAIN": "0",
    "OPENCV_THREAD_POOL_ACTIVE_WAIT_WORKER": "0",
}


def cores() -> int:
    """How many threads may compute at once: the least of affinity, the quota of the control group, and `VARIABLE`."""
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = [affine, _number(os.environ.get(VARIABLE)), quota()]
    return min(count for count in found if count is not None)


def quota(root: Path = Path("/")) -> int | None:
    """Cores that the control groups of this process, of version 1 or 2, let it use, rounded up; None = no limit.

    root: where the system's files are.
    """
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    limits = []
    for line in groups:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / controllers
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
        for folder in (top / group.strip("/"), *(top / group.strip("/")).parents):
            limits.append(_quota_of(folder, names))  # a group is bound by all those around it
            if folder == top:
                break
    return min((limit for limit in limits if limit is not None), default=None)


def _quota_of(folder: Path, names: tuple[str, ...]) -> int | None:
    try:
        words = [word for name in names for word in (folder / name).read_text(encoding="ascii").split()]
        microseconds, period = (int(word) for word in words)
    except (OSError, ValueError):  # no such file, or no limit: `max`
        return None
    return max(1, ceil(microseconds / period)) if microseconds > 0 and period > 0 else None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and int(text) else None


def sharing(processes: int = 1) -> Mapping[str, str]:
    """Variables of the environment of each of so many processes that share our cores. Smaller counts stay as given."""
    share = max(1, cores() // processes)
    counts = {name: str(min(_number(os.environ.get(name)) or share, share)) for name in _COUNTS}
    given = {name: os.environ[name] for name in _SLEEP if name in os.environ}
    return {**_SLEEP, **given, **counts, VARIABLE: str(share)}


@contextmanager
def shared_by(processes: int) -> Iterator[None]:
    """What is started in this context is one of so many processes."""
    before = dict(os.environ)
    os.environ.update(sharing(processes))
    try:
        yield
    finally:
        for name in sharing():
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


def use_cores(most: int | None) -> None:
    """Let this process use `most` cores, all by default. Call it before torch, numpy and OpenCV are imported.

    It concerns the whole process, so only those call it that own one.
    """
    if most is not None:
        os.environ[VARIABLE] = str(most)
    os.environ.update(sharing())
