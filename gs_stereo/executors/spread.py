"""The units of one cell on this machine and on others that have nothing to do: who does which, and what of lost ones.

Elsewhere a unit is only sent where its files are seen. Whatever goes wrong there, it is done again here, where it fails
as it always does; so the result is that of this machine alone.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gs_stereo.executors.local import processes
from gs_stereo.log import logger

U = TypeVar("U")
R = TypeVar("R")

_AHEAD = 2
"""Units that are given to a process or a helper at once, so that none waits for the next while results are read."""
_LOOK_S = 1.0


@dataclass(frozen=True)
class Done(Generic[R]):
    """The result of a unit that was done elsewhere."""

    result: R


@dataclass(frozen=True)
class Refused:
    """A unit that was not done elsewhere. blind: the machine that does not see its files, if that is why."""

    blind: str = ""


class Helpers(Protocol):
    """Idle cores of other processes or machines, for the units of one call of `map`."""

    def room(self, sent: int) -> int:
        """How many units could run at once just now, of which `sent` are there already."""
        ...

    def submit(self, number: int) -> "Future[Done[Any] | Refused]":
        """Send a unit, by its number. Whatever the future raises means that the unit is not done."""
        ...

    def refused(self, answer: Refused) -> None: ...

    def take_back(self, number: int) -> bool:
        """Keep a unit that was sent from being done there; False if it has begun."""
        ...

    def close(self) -> None:
        """End what is still there, and let nothing begin any more."""
        ...


def spread(function: Callable[[U], R], units: Sequence[U], count: int, helpers: Helpers) -> Iterator[R]:
    """Results in the order of the units, done by `count` processes here and by whatever helpers there are.

    Raises what `function` raises here, and StageError if a process here dies.
    """
    fresh, own = deque(range(len(units))), deque[int]()  # own: those that come back, and are done here
    here, there = dict[Future[R], int](), dict[Future[Done[R] | Refused], int]()
    results = dict[int, R]()
    try:
        with processes(count) as pool:
            for number in range(len(units)):
                while number not in results:
                    while fresh and len(there) < _AHEAD * helpers.room(len(there)):
                        sent = fresh.popleft()
                        there[helpers.submit(sent)] = sent
                    while len(here) < (_AHEAD * count if count > 1 else 1):
                        if not own and not fresh:
                            own.extend(_taken_back(there, helpers))
                        if not own and not fresh:
                            break
                        taken = (own or fresh).popleft()
                        here[pool.submit(function, units[taken])] = taken
                    at_work: list[Future[Any]] = [*here, *there]
                    ended = wait(at_work, _LOOK_S, FIRST_COMPLETED).done
                    for local in ended & here.keys():
                        results[here.pop(local)] = local.result()
                    for remote in ended & there.keys():
                        _take(remote, there.pop(remote), results, own, helpers)
                yield results.pop(number)
    finally:
        helpers.close()


def _taken_back(there: dict["Future[Done[R] | Refused]", int], helpers: Helpers) -> Iterator[int]:
    """A unit that waits elsewhere while nothing is left to do here: the one that was sent last."""
    for future, number in reversed(list(there.items())):
        if helpers.take_back(number):
            del there[future]
            yield number
            return


def _take(
    future: "Future[Done[R] | Refused]", number: int, results: dict[int, R], own: deque[int], helpers: Helpers
) -> None:
    """The result of a unit elsewhere, or one more unit to do here."""
    try:
        answer = future.result()
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        logger.info("unit %d was lost elsewhere and is done here (%s)", number, reason)
        answer = Refused()
    if isinstance(answer, Done):
        results[number] = answer.result
    else:
        own.append(number)
        helpers.refused(answer)
