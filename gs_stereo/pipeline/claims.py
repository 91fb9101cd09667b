"""Claims: of all drivers and machines that want a cell, one works on it, and a dead one is followed by another.

A claim is a file `NAME.claim-00001` that is created if absent; whoever takes over creates the next number, so that of
all who try one succeeds on any store. None is removed, so that they tell of every try. Its holder counts a heartbeat
up. Nobody compares clocks: a claim is dead when an observer has seen the same beat for the length of a lease by its own
clock, or at once if its process was on this machine and is gone.
"""

import os
import re
import socket
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated

from pydantic import Field

from gs_stereo.core.records import Record, json_text, record_from_json
from gs_stereo.errors import GsStereoError
from gs_stereo.io.remote import Place

FLEET_FOLDER = ".fleet"
_NUMBER = re.compile(r"(.*)\.claim-(\d{5,})")


@dataclass(frozen=True, kw_only=True)
class Claim(Record):
    """Who works on a cell. machine: of the running kernel and its process ids. beat: counted up while it lives.

    ended: how that went, once it is released.
    """

    number: int
    token: str
    host: str
    machine: str
    pid: Annotated[int, Field(ge=0, lt=1 << 31)]
    beat: int = 0
    released: bool = False
    ended: str = ""

    @property
    def is_dead_here(self) -> bool:
        """True if its process was on this machine and is gone."""
        if self.machine != this_machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


def this_machine() -> str:
    """A text that two processes share if and only if they see each other's process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()}/{uuid.getnode()}"


def read_claim(place: Place, name: str) -> Claim | None:
    """The claim with the highest number, released or not; None if there has never been one."""
    numbers = [number for found, number in _numbers(place) if found == name]
    return _read(place, name, max(numbers)) if numbers else None


def read_claims(place: Place) -> dict[str, list[Claim]]:
    """Every try of every cell of a scene, in order, by the cell's name."""
    found = dict[str, list[Claim]]()
    for name, number in sorted(_numbers(place)):
        found.setdefault(name, []).append(_read(place, name, number))
    return found


def _numbers(place: Place) -> list[tuple[str, int]]:
    return [(match[1], int(match[2])) for match in map(_NUMBER.fullmatch, place.names(FLEET_FOLDER)) if match]


def _read(place: Place, name: str, number: int) -> Claim:
    try:
        return replace(record_from_json(Claim, place.read(_path(name, number)) or b""), number=number)
    except ValueError:  # it is just being written, or its writer died meanwhile
        return Claim(number=number, token="", host="unknown", machine="", pid=0)


def take_claim(place: Place, name: str, token: str, *, beat_s: float, over: Claim | None = None) -> "HeldClaim | Claim":
    """Take the cell `name` of a scene whose results are at `place`, or say who has it.

    token: what the new claim is known by. over: a claim that is known to be dead if it is still as it was seen.
    """
    found = read_claim(place, name)
    free = found is None or found.released or found.token == token or found.is_dead_here or found == over
    if found is not None and not free:
        return found
    number = 1 if found is None else found.number + 1
    claim = Claim(number=number, token=token, host=socket.gethostname(), machine=this_machine(), pid=os.getpid())
    if not place.create(_path(name, number), json_text(claim).encode()):
        return read_claim(place, name) or claim
    return HeldClaim(place, name, claim, beat_s)


class HeldClaim:
    """A claim of ours, in a `with` block: its heart beats in a thread, and it is released at the end.

    ended: what is written down then; by default the error that ended the block.
    """

    def __init__(self, place: Place, name: str, claim: Claim, beat_s: float) -> None:
        self._place, self._name, self._claim, self._beat_s = place, name, claim, beat_s
        self.ended = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def is_mine(self) -> bool:
        """False if another one has taken it over, because our heart was not heard."""
        found = read_claim(self._place, self._name)
        return found is not None and found.number == self._claim.number

    def __enter__(self) -> "HeldClaim":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()
        with suppress(GsStereoError):  # a store that does not answer: the claim will be found dead
            self._write(replace(self._claim, released=True, ended=self.ended or str(error)))

    def _beat(self) -> None:
        while not self._end.wait(self._beat_s):
            self._claim = replace(self._claim, beat=self._claim.beat + 1)
            with suppress(GsStereoError):
                self._write(self._claim)

    def _write(self, claim: Claim) -> None:
        self._place.write(_path(self._name, claim.number), json_text(claim).encode())


def _path(name: str, number: int) -> str:
    return f"{FLEET_FOLDER}/{name}.claim-{number:05d}"
