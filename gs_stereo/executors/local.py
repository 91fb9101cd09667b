"""Cells in this process one after the other, and their units in a pool of processes on this machine."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from gs_stereo.core.channel import end_when_closed
from gs_stereo.core.cores import cores, shared_by
from gs_stereo.core.memory import reuse_freed_memory
from gs_stereo.errors import GsStereoError, StageError
from gs_stereo.pipeline.cell import Cell, CellResult, Executor, StageReport

U = TypeVar("U")
R = TypeVar("R")


def _start_worker() -> None:
    """A worker ends with the process that started it, even if that is killed in the middle of a unit."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    end_when_closed(parent.sentinel)
    reuse_freed_memory()


class LocalExecutor:
    """Runs everything on this machine. `workers`: processes at most (None = one a core)."""

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers or cores()

    def run(self, cells: Sequence[Cell], run_cell: Callable[[Cell, Executor], StageReport]) -> Iterator[CellResult]:
        """The cells in their order, in this process. Those that need a failed one are left out."""
        failed: set[str] = set()
        for cell in cells:
            if not failed.isdisjoint(cell.needs):
                failed.add(cell.key)
                continue
            try:
                outcome: StageReport | GsStereoError = run_cell(cell, self)
            except GsStereoError as error:
                failed.add(cell.key)
                outcome = error
            yield CellResult(cell=cell, outcome=outcome)

    def map(self, function: Callable[[U], R], units: Sequence[U], *, workers: int | None = None) -> Iterator[R]:
        """Results in the order of the units. With one worker or one unit nothing is spawned.

        Raises StageError if a worker process dies (for example for lack of memory).
        """
        count = min(self._workers, workers or self._workers, len(units))
        if count <= 1:
            yield from map(function, units)
            return
        with processes(count) as pool:
            yield from pool.map(function, units)


class _ThisProcess(futures.Executor):
    """Does at once, in this process, what it is given."""

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> "futures.Future[R]":
        future = futures.Future[R]()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def processes(count: int) -> Iterator[futures.Executor]:
    """A pool of so many processes that share the cores; of one, it is this process. StageError if one dies."""
    if count == 1:
        yield _ThisProcess()
        return
    # Processes are spawned: a fork would copy a process in which OpenMP and CUDA threads already run.
    context = multiprocessing.get_context("spawn")
    pool = _Pool(count, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise StageError("A worker process died, maybe for lack of memory; run again with --workers 1.") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Pool(futures.ProcessPoolExecutor):
    """Starts its processes, which it does when it is given work, as sharers of the cores."""

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(max_workers=count, **kwargs)
        self._count = count

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> "futures.Future[R]":
        with shared_by(self._count):
            return super().submit(function, *args, **kwargs)
