"""Processes of this machine that do one task at a time each, and may die or be killed without harm to the others."""

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, TypeVar

from gs_stereo.core.channel import end_when_closed
from gs_stereo.core.cores import shared_by
from gs_stereo.core.memory import reuse_freed_memory
from gs_stereo.errors import GsStereoError
from gs_stereo.executors.local import LocalExecutor
from gs_stereo.pipeline.cell import Cell, Executor, Resources

R = TypeVar("R")


class WorkerLostError(Exception):
    """The process or machine that did a task is gone, with the reason as far as it is known."""


class Pool(Protocol):
    """Where tasks run. A task is a picklable function without arguments; a ticket stands for one that was given."""

    slots: int

    @staticmethod
    def executor(cell: Cell, workers: int | None) -> Executor:
        """For the units of a cell, in the process that does it; with at most so many processes there."""
        ...

    def submit(self, task: Callable[[], Any], resources: Resources, near: str, *, elsewhere: bool = False) -> Any:
        """Start a task and return its ticket; at most `slots` at once.

        near: tasks of one scene, which share files. elsewhere: the last one failed, maybe because of its machine.
        """
        ...

    def wait(self, tickets: Sequence[Any], timeout_s: float) -> list[Any]:
        """Those tickets whose tasks have ended, after waiting for one at most so long."""
        ...

    def result(self, ticket: Any) -> Any:
        """What the task returned; what it raised if that is one of our errors, else WorkerLostError."""
        ...

    def kill(self, ticket: Any) -> None:
        """End a task that takes too long."""
        ...

    def close(self) -> None: ...


@dataclass(eq=False)
class _Worker:
    process: Any
    pipe: Connection
    near: str = ""


class LocalPool:
    """At most `slots` processes, started when they are first needed; each has its share of the cores."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._idle: list[_Worker] = []

    @staticmethod
    def executor(cell: Cell, workers: int | None) -> LocalExecutor:
        return LocalExecutor(workers)

    def submit(self, task: Callable[[], Any], resources: Resources, near: str, *, elsewhere: bool = False) -> _Worker:
        alive = [worker for worker in self._idle if worker.process.is_alive()]
        worker = next((each for each in alive if each.near == near), None) or (
            alive[0] if alive else _start(self.slots)
        )
        self._idle = [each for each in alive if each is not worker]
        worker.near = near
        worker.pipe.send(task)
        return worker

    def wait(self, tickets: Sequence[_Worker], timeout_s: float) -> list[_Worker]:
        ready = wait([worker.pipe for worker in tickets], timeout_s)
        return [worker for worker in tickets if worker.pipe in ready]

    def result(self, ticket: _Worker) -> Any:
        try:
            result = ticket.pipe.recv()
        except (EOFError, OSError) as error:
            ticket.process.join()
            raise WorkerLostError(f"its process died with exit code {ticket.process.exitcode}") from error
        self._idle.append(ticket)
        if isinstance(result, GsStereoError):
            raise result
        if isinstance(result, BaseException):
            raise WorkerLostError(f"{type(result).__name__}: {result}") from result
        return result

    def kill(self, ticket: _Worker) -> None:
        ticket.process.kill()
        ticket.process.join()
        ticket.pipe.close()

    def close(self) -> None:
        for worker in self._idle:
            worker.pipe.close()
        for worker in self._idle:
            worker.process.join()
        self._idle = []


def local_pool(at_once: int | None = None, address: str | None = None) -> LocalPool:
    """One cell at once by default, for a cell's own units keep all cores busy."""
    return LocalPool(at_once or 1)


def _start(slots: int) -> _Worker:
    # Spawned: a fork would copy a process in which OpenMP and CUDA threads already run.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,))
    with shared_by(slots):
        process.start()
    theirs.close()
    return _Worker(process=process, pipe=ours)


def _serve(pipe: Connection) -> None:
    """Do tasks until the pipe is closed, and end with the process that started us."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    end_when_closed(parent.sentinel)
    reuse_freed_memory()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            result = task()
        except Exception as error:
            result = error
        try:
            pipe.send(result)
        except (TypeError, ValueError, AttributeError):  # an error that cannot be pickled
            pipe.send(RuntimeError(f"{type(result).__name__}: {result}"))
