"""Units of a cell here and elsewhere: whoever does them, results come in order, and none is lost."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from gs_stereo.errors import StageError
from gs_stereo.executors.spread import Done, Refused, spread


def square(value: int) -> tuple[int, int]:
    """The square, and who found it."""
    if value < 0:
        raise StageError("A negative unit.")
    return value * value, os.getpid()


class Elsewhere:
    """Other machines, played by threads. answer: what becomes of a unit there; None = it waits and never begins."""

    def __init__(self, room: int, answer: dict[int, Any]) -> None:
        self._room, self._answer = room, answer
        self.sent, self.back, self.answers, self.closed = list[int](), list[int](), list[Refused](), False

    def room(self, sent: int) -> int:
        return self._room

    def submit(self, number: int) -> Future[Any]:
        future, answer = Future[Any](), self._answer.get(number, Done((number * number, 0)))
        self.sent.append(number)
        if isinstance(answer, Exception):
            future.set_exception(answer)
        elif answer is not None:
            threading.Timer(0.01, future.set_result, [answer]).start()
        return future

    def refused(self, answer: Refused) -> None:
        self.answers.append(answer)

    def take_back(self, number: int) -> bool:
        if self._answer.get(number, 0) is not None or number in self.back:
            return False
        self.back.append(number)
        return True

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("count", [1, 2])
def test_results_come_in_order_whoever_makes_them(count: int) -> None:
    others = Elsewhere(2, {1: ConnectionError("the node is gone"), 2: Refused(blind="node 3"), 3: None})
    found = list(spread(square, range(12), count, others))
    assert [result for result, _ in found] == [number * number for number in range(12)]
    assert {number for number, (_, pid) in enumerate(found) if pid == 0} == set(others.sent) - {1, 2, 3}
    assert (others.back, Refused(blind="node 3") in others.answers, others.closed) == ([3], True, True)


def test_without_room_all_is_done_here() -> None:
    others = Elsewhere(0, {})
    assert [pid for _, pid in spread(square, range(5), 1, others)] == [os.getpid()] * 5
    assert others.sent == []


def test_a_unit_that_fails_elsewhere_fails_here_as_it_always_does() -> None:
    others = Elsewhere(1, {number: RuntimeError("wrapped") for number in range(4)})
    with pytest.raises(StageError, match="A negative unit"):
        list(spread(square, [1, -1, 2, 3], 1, others))
    assert others.closed
