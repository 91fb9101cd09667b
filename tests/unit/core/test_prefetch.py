"""Reading ahead: order, how far, and when an error appears."""

from __future__ import annotations

import threading

import pytest

from gs_stereo.core.prefetch import prefetched


def test_the_order_is_kept() -> None:
    assert list(prefetched(lambda number: number * number, range(5))) == [0, 1, 4, 9, 16]
    assert list(prefetched(abs, [])) == []
    assert list(prefetched(abs, [-3])) == [3]


def test_the_next_item_is_read_while_the_last_one_is_used_and_no_more() -> None:
    begun = {number: threading.Event() for number in range(4)}

    def read(number: int) -> int:
        begun[number].set()
        return number

    results = prefetched(read, range(4))
    assert next(results) == 0
    assert begun[1].wait(timeout=30)
    assert not begun[2].is_set()
    assert list(results) == [1, 2, 3]


def test_an_error_appears_at_its_turn() -> None:
    results = prefetched(lambda number: 1 // number, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
