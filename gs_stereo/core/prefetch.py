"""Reading one item ahead while the last one is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetched(read: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`read` of every item, in order, by a thread that is one item ahead. An error appears at its item's turn."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for item in items:
            waiting.append(pool.submit(read, item))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
