"""A supervised child process that answers requests: fed, listened to, timed, and ended with its parent.

Code that can crash, hang or eat all memory (COLMAP, HDF5 on broken files, foreign nets) runs in one. Whatever happens
to the child (crash, kill, silence, nonsense) is a `ChildError` with the end of its log. The other side: `core.channel`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from gs_stereo.core.channel import LIFELINE, read_frame, write_frame
from gs_stereo.errors import PluginError, StageError

_LOG_BYTES, _LOG_LINES, _LOG_CHARACTERS = 16384, 4, 600
_GRACE_S = 2.0
_POLL_S = 0.5


class ChildError(StageError):
    """A child failed. code: its exit code if it ended by itself (negative: a signal), None if we had to end it."""

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Fixes:
    """What the user can do if the child was killed, crashed, failed, was too slow or did not start."""

    killed: str = "free some memory"
    crashed: str = "check its input"
    failed: str = "check the installation"
    slow: str = "check that the machine is not overloaded"
    not_started: str = "check the installation"


@dataclass(frozen=True, kw_only=True)
class Program:
    """What a child runs. name: begins the sentences about it. silence_timeout_s: for those that say they are alive."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    fixes: Fixes = Fixes()
    folder: Path | None = None
    memory_bytes: int | None = None
    silence_timeout_s: float | None = None

    @classmethod
    def of_module(cls, module: str, *, name: str, fixes: Fixes = Fixes(), memory_bytes: int | None = None) -> Program:
        """A module of this very package in this interpreter."""
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        return cls(
            name=name,
            command=[sys.executable, "-m", module],
            environment={**os.environ, "PYTHONPATH": path},
            fixes=fixes,
            memory_bytes=memory_bytes,
        )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A frame from the child: its JSON header and its payload."""

    header: Mapping[str, Any]
    payload: bytes | bytearray


class Child:
    """One child process and the pipes to it. Use as a context manager, or call `close()`."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._inbox = _Inbox()
        held_by_child, lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                list(program.command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=program.folder,
                env={**program.environment, LIFELINE: str(held_by_child)},
                pass_fds=(held_by_child,),
                start_new_session=True,  # so that helpers of a wrapper such as conda end with it
                bufsize=0,
            )
        except OSError as error:
            os.close(lifeline)
            raise PluginError(
                f"Cannot start {program.command[0]} for {program.name}: {error.strerror}; {program.fixes.not_started}."
            ) from error
        finally:
            os.close(held_by_child)
        if program.memory_bytes is not None:
            _limit_memory(self._process.pid, program.memory_bytes)
        pipes = {self._inbox.follow_answers: self._process.stdout, self._inbox.follow_log: self._process.stderr}
        threads = [threading.Thread(target=follow, args=(pipe,), daemon=True) for follow, pipe in pipes.items()]
        for thread in threads:
            thread.start()
        self._finalizer = weakref.finalize(self, _end, self._process, threads, lifeline)

    def request(
        self,
        header: Mapping[str, Any],
        payload: bytes = b"",
        *,
        timeout_s: float | None = None,
        answer_bytes: int = 0,
        on_progress: Callable[[Mapping[str, Any]], None] = lambda header: None,
    ) -> Answer:
        """Send a request and wait for its answer. On any failure the child is ended and a ChildError raised.

        answer_bytes: the largest payload that the answer may have. on_progress: gets the headers of kind `progress`.
        """
        self._inbox.payload_limit = answer_bytes
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            self._send(dict(header), payload, self._program.silence_timeout_s or timeout_s)
            while (answer := self._wait(deadline, timeout_s)).header.get("kind") == "progress":
                on_progress(answer.header)
        except BaseException:
            self.close()
            raise
        return answer

    def close(self) -> None:
        """End the child, gently first, and close the pipes."""
        self._finalizer()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def log_tail(self) -> str:
        """The last lines of what the child printed."""
        lines = [line.strip() for line in self._inbox.log.decode("utf-8", errors="replace").splitlines()]
        return " | ".join([line for line in lines if line][-_LOG_LINES:])[-_LOG_CHARACTERS:] or "nothing"

    def _send(self, header: dict[str, Any], payload: bytes, patience_s: float | None) -> None:
        """Write from a thread, so that a child that does not read cannot block this one."""

        def write() -> None:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError, ValueError):  # a broken pipe is no news: the child's output ends too
                write_frame(self._process.stdin.write, header, payload)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        writer.join(patience_s)
        if writer.is_alive():
            raise self._broke_a_rule(f"did not read its input for {patience_s:g} s")

    def _wait(self, deadline: float | None, timeout_s: float | None) -> Answer:
        asked, silence_s = time.monotonic(), self._program.silence_timeout_s
        while True:
            with contextlib.suppress(queue.Empty):
                answer = self._inbox.answers.get(timeout=_POLL_S)
                if answer is None:
                    raise self._ended()
                return answer
            now = time.monotonic()
            if deadline is not None and now > deadline:
                raise self._broke_a_rule(f"took longer than {timeout_s:g} s")
            if silence_s is not None and now - max(asked, self._inbox.heard) > silence_s:
                raise self._broke_a_rule(f"gave no sign of life for {silence_s:g} s")

    def _broke_a_rule(self, how: str) -> ChildError:
        return self._failure(how, self._program.fixes.slow, None)

    def _ended(self) -> ChildError:
        """The child has ended by itself, or has sent what is no frame."""
        fixes = self._program.fixes
        try:
            code = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            return self._failure("sent what is no answer", fixes.failed, None)
        number = -code if code < 0 else code - 128  # a shell around it says 128 + signal
        if number == signal.SIGKILL:
            return self._failure("was killed, probably because memory ran out", fixes.killed, -number)
        if number > 0:
            return self._failure(f"was ended by signal {number}", fixes.crashed, -number)
        return self._failure(f"ended with code {code}", fixes.failed, code)

    def _failure(self, how: str, fix: str, code: int | None) -> ChildError:
        self.close()
        return ChildError(f"{self._program.name} {how} (its log ends with: {self.log_tail()}); {fix}.", code)


class _Inbox:
    """What the child has sent. `answers` ends with None, `heard` is the time of its last sign of life."""

    def __init__(self) -> None:
        self.answers: queue.Queue[Answer | None] = queue.Queue()
        self.heard = time.monotonic()
        self.payload_limit = 0
        self.log = b""

    def follow_answers(self, pipe: IO[bytes]) -> None:
        """Read frames until the pipe ends or holds what is no frame."""
        with contextlib.suppress(EOFError, OSError, ValueError, TypeError, RecursionError):
            while True:
                header, payload = read_frame(pipe.read, lambda: self.payload_limit)
                self.heard = time.monotonic()
                if header.get("kind") != "alive":
                    self.answers.put(Answer(header=header, payload=payload))
        self.answers.put(None)

    def follow_log(self, pipe: IO[bytes]) -> None:
        """Keep the last bytes."""
        with contextlib.suppress(OSError, ValueError):
            while part := pipe.read(4096):
                self.log = (self.log + part)[-_LOG_BYTES:]


def _limit_memory(pid: int, most_bytes: int) -> None:
    """Of the address space of a process. Only Linux lets a parent set it."""
    import resource

    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
            limit = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
            resource.prlimit(pid, resource.RLIMIT_AS, (limit, hard))


def _end(process: subprocess.Popen[bytes], threads: Sequence[threading.Thread], lifeline: int) -> None:
    """Close its stdin, which tells it to go; kill its whole group if it stays. Leaves no process and no pipe."""
    assert process.stdin is not None
    if process.poll() is None:
        with contextlib.suppress(OSError):
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # the group outlives a leader that has already gone
    process.wait()
    for thread in threads:
        thread.join(_GRACE_S)
    for pipe in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()
    os.close(lifeline)
