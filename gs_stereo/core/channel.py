"""Frames between a process and its child, and the child's side of `core.child`: requests on stdin, answers on stdout.

A frame is magic, length of a JSON header, length of a payload, then both. A header has a `kind`; `alive` and `progress`
are no answers. This file imports the standard library only, so that a worker can load it by its path into an
interpreter that does not have this package. Python 3.8 is enough.
"""

import json
import math
import os
import queue
import select
import signal
import struct
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

LIFELINE = "GS_STEREO_LIFELINE"
_FRAME = struct.Struct("<4sIQ")
_MAGIC = b"GSX1"
_HEADER_BYTES = 1 << 26
_ALIVE_EVERY_S = 1.0


def write_frame(write: Callable[[Any], int | None], header: dict[str, Any], payload: Any = b"") -> None:
    """Write all of it; `write` says how many bytes it took. payload: bytes, or an array in one piece."""
    text, data = json.dumps(header).encode("utf-8"), memoryview(payload).cast("B")
    for part in (_FRAME.pack(_MAGIC, len(text), data.nbytes) + text, data):
        view = memoryview(part)
        while view:
            view = view[write(view) :]


def read_frame(
    read: Callable[[int], bytes | None], payload_limit: Callable[[], float] = lambda: math.inf
) -> tuple[dict[str, Any], bytearray]:
    """Header and payload of the next frame. EOFError at the end, ValueError for what is no frame or a larger one.

    read: at most so many bytes, and none at the end. payload_limit: is asked when the frame arrives.
    """
    magic, header_bytes, payload_bytes = _FRAME.unpack(_exactly(read, _FRAME.size))
    if magic != _MAGIC or header_bytes > _HEADER_BYTES or payload_bytes > payload_limit():
        raise ValueError("no frame")
    header = json.loads(bytes(_exactly(read, header_bytes)).decode("utf-8"))
    return dict(header), _exactly(read, payload_bytes)


def _exactly(read: Callable[[int], bytes | None], count: int) -> bytearray:
    data = bytearray()
    while len(data) < count:
        part = read(min(count - len(data), 1 << 20))
        if not part:
            raise EOFError
        data += part
    return data


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
        """payload: as for `write_frame`."""
        with self._lock:
            write_frame(partial(os.write, self._out), header, payload)

    def _read(self) -> None:
        try:
            while True:
                self._requests.put(read_frame(partial(os.read, 0)))
        except EOFError:
            os._exit(0)

    def _say_alive(self) -> None:
        while True:
            time.sleep(_ALIVE_EVERY_S)
            try:
                self.send({"kind": "alive"})
            except OSError:
                os._exit(0)


def _end_with_parent() -> None:
    lifeline = os.environ.pop(LIFELINE, None)
    if lifeline is not None:
        end_when_closed(int(lifeline))


def end_when_closed(pipe: int) -> None:
    """Let the kernel kill this process when the parent is gone: native code may keep every Python thread from noticing.

    pipe: the parent alone holds its other end, and nothing ever comes through it; a signal is sent when it closes.
    Unlike PR_SET_PDEATHSIG it does not matter which thread of the parent started this process, and if that goes on.
    """
    try:
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([pipe], [], [], 0)[0]:  # it closed before the kernel watched it
            os._exit(0)
    except (ImportError, AttributeError, OSError):
        return  # no Linux, or a wrapper closed the pipe: then the end of stdin has to do
