"""How long a run takes: the preset that fits a time, and what is left of it while it runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gs_stereo.log import Outlook, Progress, duration, logger

if TYPE_CHECKING:
    from gs_stereo.pipeline.cell import Cell, CellResult

PRESETS = ("quality", None, "fast", "draft")
"""From the best results to the soonest; None = the defaults."""

_UNITS_S = {"s": 1, "m": 60, "h": 3600}
_LEAST_SHARE, _MOST_SHARE = 0.25, 8.0  # how far what has run may correct what is expected of the rest


def preset_within(budget: str, cells_of: Callable[[str | None], Sequence[Cell]]) -> str | None:
    """The best preset whose cells, those that are not up to date, take no longer than a budget such as `10m`.

    The soonest one, with a warning, if none does. ConfigError for another text.
    """
    from gs_stereo.core.cores import cores
    from gs_stereo.errors import ConfigError
    from gs_stereo.pipeline.graph import assess_cells
    from gs_stereo.stages.costs import cell_costs
    from gs_stereo.stages.registry import STAGES

    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", budget)
    if match is None:
        raise ConfigError(f"--budget {budget} is no time; write it as 90s, 10m or 1h.")
    limit_s = float(match[1]) * _UNITS_S[match[2]]
    for preset in PRESETS:
        cells = cells_of(preset)
        waiting = [status.state != "up to date" for status in assess_cells(cells, STAGES)]
        costs = [cost for cost, wait in zip(cell_costs(cells), waiting, strict=True) if wait and cost]
        seconds = sum(cost.seconds(cores()) for cost in costs)
        if seconds <= limit_s:
            break
    name, about = preset or "of the defaults", duration(seconds)
    if seconds <= limit_s:
        logger.info("The preset %s takes about %s on %d cores.", name, about, cores())
    else:
        logger.warning("Even the preset %s takes about %s on %d cores; fewer photos take less.", name, about, cores())
    return preset


class Forecast:
    """What is left of a run of one scene: what is expected of each stage, corrected by how long the first ones took."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        from gs_stereo.core.cores import cores
        from gs_stereo.stages.costs import cell_costs

        self._expected_s = [cost.seconds(cores()) if cost else 0.0 for cost in cell_costs(cells)]
        self._done, self._took_s, self._thought_s = 0, 0.0, 0.0

    def watched(self, results: Iterable[CellResult]) -> Iterator[CellResult]:
        """The results as they come, while progress bars tell what is left of the run."""
        from gs_stereo.errors import GsStereoError

        try:
            self._look_ahead()
            for result in results:
                outcome, expected_s = result.outcome, self._expected_s[self._done]
                if not isinstance(outcome, GsStereoError) and outcome.action == "done" and expected_s:
                    self._took_s += outcome.manifest.seconds
                    self._thought_s += expected_s
                self._done += 1
                self._look_ahead()
                yield result
        finally:
            Progress.outlook = None

    def _rest_s(self) -> list[float]:
        """Of each stage that has not ended."""
        share = self._took_s / self._thought_s if self._thought_s else 1.0
        share = min(max(share, _LEAST_SHARE), _MOST_SHARE)
        return [share * seconds for seconds in self._expected_s[self._done :]]

    def _look_ahead(self) -> None:
        rest = self._rest_s()
        outlook = Outlook(later_s=sum(rest[1:]), ends_at=time.monotonic() + sum(rest))
        Progress.outlook = outlook if sum(rest[1:]) else None

    def left(self) -> str:
        """What is left, as the end of a sentence; empty if nothing is."""
        left_s = sum(self._rest_s())
        return f"; about {duration(left_s)} left" if left_s >= 1 else ""
