"""Cells in this process one after the other, and their units in a pool of processes on this machine."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

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
        # Processes are spawned: a fork would copy a process in which OpenMP and CUDA threads already run.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(max_workers=count, mp_context=context, initializer=_start_worker)
        try:
            with shared_by(count):
                results = pool.map(function, units)
            yield from results
        except BrokenProcessPool as error:
            raise StageError("A worker process died, maybe for lack of memory; run again with --workers 1.") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
