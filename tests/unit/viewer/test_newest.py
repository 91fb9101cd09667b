"""The render thread: the newest request wins, errors are reported, nothing hangs."""

from __future__ import annotations

import threading

from gs_stereo.viewer.newest import NewestWins

LONG_S = 20.0


def test_of_many_requests_only_the_first_and_the_newest_are_done() -> None:
    done: list[int] = []
    started, go_on = threading.Event(), threading.Event()
    worker = NewestWins("test", lambda error: None)

    def slow() -> None:
        started.set()
        go_on.wait(LONG_S)
        done.append(0)

    worker.submit(slow)
    assert started.wait(LONG_S)
    for number in range(1, 50):
        worker.submit(lambda number=number: done.append(number))
    go_on.set()
    assert worker.wait_until_idle(LONG_S)
    worker.stop()
    assert done == [0, 49]


def test_an_error_is_reported_and_the_thread_goes_on() -> None:
    errors: list[Exception] = []
    done: list[str] = []
    worker = NewestWins("test", errors.append)

    def broken() -> None:
        raise ValueError("broken file")

    worker.submit(broken)
    assert worker.wait_until_idle(LONG_S)
    worker.submit(lambda: done.append("next"))
    assert worker.wait_until_idle(LONG_S)
    worker.stop()
    assert [str(error) for error in errors] == ["broken file"]
    assert done == ["next"]


def test_what_waits_when_it_is_stopped_is_dropped() -> None:
    done: list[str] = []
    started, go_on = threading.Event(), threading.Event()
    worker = NewestWins("test", lambda error: None)
    worker.submit(lambda: (started.set(), go_on.wait(LONG_S)))
    assert started.wait(LONG_S)
    worker.submit(lambda: done.append("late"))
    stopper = threading.Thread(target=worker.stop)
    stopper.start()
    while worker._next is not None:  # until stop() has taken the waiting one away
        stopper.join(0.001)
    go_on.set()
    stopper.join(LONG_S)
    assert not stopper.is_alive()
    assert done == []
