"""The child's side of `core.child`: requests come in on stdin, answers go out on stdout, both as frames.

A frame is magic, length of a JSON header, length of a payload (`FRAME`), then both. A header has a `kind`; `alive` and
`progress` are no answers. This file imports the standard library only, so that a worker can load it by its path into an
interpreter that does not have this package. Python 3.8 is enough.
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import struct
import threading
import time
from typing import Any

FRAME = struct.Struct("<4sIQ")
MAGIC = b"GSX1"
LIFELINE = "GS_STEREO_LIFELINE"
_ALIVE_EVERY_S = 1.0


class Channel:
    """Frames to and from the parent; safe to send from several threads. alive: say every second that we are.

    The process ends when the parent closes stdin or is gone, even in the middle of its work. Whatever native or foreign
    code prints goes to stderr, so that it cannot end up between the frames.
    """

    def __init__(self, *, alive: bool = False) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()
        self._requests: queue.Queue[tuple[dict[str, Any], bytearray]] = queue.Queue()
        _end_with_parent()
        for forever in (self._read, self._say_alive) if alive else (self._read,):
            threading.Thread(target=forever, daemon=True).start()

    def receive(self) -> tuple[dict[str, Any], bytearray]:
        """Header and payload of the next request."""
        return self._requests.get()

    def send(self, header: dict[str, Any], payload: Any = b"") -> None:
        """payload: bytes, or an array in one piece."""
        text, data = json.dumps(header).encode("utf-8"), memoryview(payload).cast("B")
        with self._lock:
            for part in (FRAME.pack(MAGIC, len(text), data.nbytes) + text, data):
                view = memoryview(part)
                while view:
                    view = view[os.write(self._out, view) :]

    def _read(self) -> None:
        while True:
            magic, header_bytes, payload_bytes = FRAME.unpack(_exactly(FRAME.size))
            if magic != MAGIC:
                os._exit(2)
            header = json.loads(bytes(_exactly(header_bytes)).decode("utf-8"))
            self._requests.put((header, _exactly(payload_bytes)))

    def _say_alive(self) -> None:
        while True:
            time.sleep(_ALIVE_EVERY_S)
            try:
                self.send({"kind": "alive"})
            except OSError:
                os._exit(0)


def _exactly(count: int) -> bytearray:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        part = os.read(0, min(len(view), 1 << 20))
        if not part:
            os._exit(0)
        view[: len(part)] = part
        view = view[len(part) :]
    return data


def _end_with_parent() -> None:
    """Let the kernel kill this process when the parent is gone: native code may keep every Python thread from noticing.

    The parent alone holds the other end of a pipe in which nothing ever comes; a signal is sent when it closes. Unlike
    PR_SET_PDEATHSIG it does not matter which thread of the parent started this process, and whether that goes on.
    """
    lifeline = os.environ.pop(LIFELINE, None)
    if lifeline is None:
        return
    try:
        import fcntl

        pipe = int(lifeline)
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([pipe], [], [], 0)[0]:  # it closed before the kernel watched it
            os._exit(0)
    except (ImportError, AttributeError, OSError):
        return  # no Linux, or a wrapper closed the pipe: then the end of stdin has to do
