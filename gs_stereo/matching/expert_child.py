"""A supervised child process that answers requests: fed, listened to, timed, and ended with its parent.

The other side is `expert_worker.py`. Whatever happens to the child (crash, kill, silence, nonsense) is a StageError
with the end of its log.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gs_stereo.errors import PluginError, StageError
from gs_stereo.matching.expert_worker import FRAME, MAGIC

_LOG_BYTES, _LOG_LINES, _LOG_CHARACTERS = 16384, 4, 600
_HEADER_BYTES = 1 << 20
_GRACE_S = 2.0
_POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A frame from the child: its JSON header and its payload."""

    header: Mapping[str, Any]
    payload: bytes


class ExpertChild:
    """One child process and the pipes to it. Use as a context manager, or call `close()`."""

    def __init__(self, name: str, command: Sequence[str], *, folder: Path, silence_timeout_s: float) -> None:
        self._name = name
        self._silence_timeout_s = silence_timeout_s
        self._log = _LogTail()
        self._inbox = _Inbox()
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=_environment(),
                start_new_session=True,  # so that helpers of a wrapper such as conda end with it
                bufsize=0,
            )
        except OSError as error:
            raise PluginError(
                f"Cannot start {command[0]} for {name}: {error.strerror}; check expert_python."
            ) from error
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._threads = [
            threading.Thread(target=self._inbox.follow, args=(self._process.stdout,)),
            threading.Thread(target=self._log.follow, args=(self._process.stderr,)),
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()
        self._finalizer = weakref.finalize(self, _end, self._process, self._threads)

    def request(
        self, header: Mapping[str, Any], payload: bytes = b"", *, timeout_s: float, answer_bytes: int = 0
    ) -> Answer:
        """Send a request and wait for its answer. On any failure the child is ended and a StageError raised.

        answer_bytes: the largest payload that the answer may have.
        """
        self._inbox.payload_limit = answer_bytes
        deadline = time.monotonic() + timeout_s
        try:
            self._send(header, payload)
            return self._wait(deadline, timeout_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the child, gently first, and close the pipes."""
        self._finalizer()

    def log_tail(self) -> str:
        """The last lines of what the child printed."""
        return self._log.text()

    def _send(self, header: Mapping[str, Any], payload: bytes) -> None:
        """Write from a thread, so that a child that does not read cannot block this one."""
        text = json.dumps(header).encode("utf-8")
        assert self._process.stdin is not None
        parts = (FRAME.pack(MAGIC, len(text), len(payload)), text, payload)
        writer = threading.Thread(target=_write, args=(self._process.stdin, parts), daemon=True)
        writer.start()
        writer.join(self._silence_timeout_s)
        if writer.is_alive():
            raise self._failure(f"did not read its input for {self._silence_timeout_s:g} s")

    def _wait(self, deadline: float, timeout_s: float) -> Answer:
        asked = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                answer = self._inbox.answers.get(timeout=_POLL_S)
                if answer is None:
                    raise self._failure(None)
                return answer
            now = time.monotonic()
            if now > deadline:
                raise self._failure(f"took longer than {timeout_s:g} s")
            if now - max(asked, self._inbox.heard) > self._silence_timeout_s:
                raise self._failure(f"gave no sign of life for {self._silence_timeout_s:g} s")

    def _failure(self, what: str | None) -> StageError:
        """The StageError for a child that broke the rules (`what`), or that has ended by itself (None)."""
        if what is None:
            what, fix = _how_it_ended(_exit_code(self._process))
        else:
            fix = "raise its timeout setting, use a smaller scale, or a GPU"
        self.close()
        return StageError(f"{self._name} {what} (its log ends with: {self.log_tail()}); {fix}.")


def _environment() -> dict[str, str]:
    """This environment without what would mix our Python with theirs; nothing is written into the checkout."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONFAULTHANDLER": "1", "PYTHONSAFEPATH": "1"}


class _LogTail:
    """Follows a stream and keeps its last bytes."""

    def __init__(self) -> None:
        self._last = b""

    def follow(self, stream: IO[bytes]) -> None:
        while part := _read_some(stream, 4096):
            self._last = (self._last + part)[-_LOG_BYTES:]

    def text(self) -> str:
        lines = [line.strip() for line in self._last.decode("utf-8", errors="replace").splitlines()]
        return " | ".join([line for line in lines if line][-_LOG_LINES:])[-_LOG_CHARACTERS:] or "nothing"


class _Inbox:
    """What the child has sent. `answers` ends with None, `heard` is the time of its last sign of life."""

    def __init__(self) -> None:
        self.answers: queue.Queue[Answer | None] = queue.Queue()
        self.heard = time.monotonic()
        self.payload_limit = 0

    def follow(self, stream: IO[bytes]) -> None:
        """Read frames until the stream ends or holds what is no frame."""
        with contextlib.suppress(EOFError, ValueError, TypeError, RecursionError):
            while True:
                magic, header_bytes, payload_bytes = FRAME.unpack(_exactly(stream, FRAME.size))
                if magic != MAGIC or header_bytes > _HEADER_BYTES or payload_bytes > self.payload_limit:
                    break
                header = dict(json.loads(_exactly(stream, header_bytes)))
                payload = _exactly(stream, payload_bytes)
                self.heard = time.monotonic()
                if header.get("kind") != "alive":
                    self.answers.put(Answer(header=header, payload=payload))
        self.answers.put(None)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    parts = []
    while count:
        part = _read_some(stream, min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _read_some(stream: IO[bytes], count: int) -> bytes:
    """At least one byte, or none at the end of the stream."""
    try:
        return stream.read(count) or b""
    except (OSError, ValueError):  # closed under us
        return b""


def _write(stream: IO[bytes], parts: Sequence[bytes]) -> None:
    """A broken pipe is no news here: the end of the child's output tells it too."""
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[stream.write(view) :]
    except (OSError, ValueError):
        pass


def _exit_code(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        return None


def _how_it_ended(code: int | None) -> tuple[str, str]:
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return "was killed, probably because memory ran out", "use a smaller scale or batch_size"
    if code is not None and (code < 0 or code > 128):
        number = -code if code < 0 else code - 128
        return f"was ended by signal {number}", "check that its own demo runs in that environment"
    how = "sent what is no answer" if code is None else f"ended with code {code}"
    return how, "check that its own demo runs in that environment"


def _end(process: subprocess.Popen[bytes], threads: Sequence[threading.Thread]) -> None:
    """Close its stdin, which tells it to go; kill its whole group if it stays. Leaves no process and no pipe."""
    assert process.stdin is not None
    if process.poll() is None:
        _close_quietly(process.stdin)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    _kill_group(process)
    process.wait()
    for thread in threads:
        thread.join(_GRACE_S)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            _close_quietly(pipe)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """The group outlives a leader that has already gone, so it is signalled in any case."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _close_quietly(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        pipe.close()
