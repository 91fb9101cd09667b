"""Logging and progress: bars on a terminal, plain lines elsewhere, nothing with --quiet.

Everything a person reads while a command runs goes to stderr, so that stdout stays clean for `--json`.
"""

import logging
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar

logger = logging.getLogger("gs_stereo")


class _BesideBars(logging.StreamHandler):
    """Writes a line above the bars that are on screen, not into them."""

    def emit(self, record: logging.LogRecord) -> None:
        if not Progress.bars_on_screen:
            super().emit(record)
            return
        from tqdm import tqdm

        with tqdm.external_write_mode(file=self.stream):
            super().emit(record)


def setup_logging(*, quiet: bool = False, verbose: bool = False) -> None:
    """Send the package's log to stderr. Called by the command line, never by library code."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    handler = _BesideBars(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def duration(seconds: float) -> str:
    """A time to read: `0.4 s`, `38 s`, `4 min 08 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What is expected of a run of several stages: seconds after the one that runs, and when (monotonic) it ends."""

    later_s: float
    ends_at: float

    def left_s(self, step_s: float) -> float:
        """Of the whole run, while a step of the stage has `step_s` left."""
        return max(step_s + self.later_s, self.ends_at - time.monotonic())


class Progress:
    """A count that moves towards a total: a tqdm bar on a terminal, a line every few seconds elsewhere."""

    bars_on_screen: ClassVar[int] = 0
    outlook: ClassVar[Outlook | None] = None
    _SECONDS_BETWEEN_LINES = 10.0

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._count = 0
        self._given: int | None = None  # units of the first call
        self._start = self._last_line = time.monotonic()
        self._bar = None
        if logger.isEnabledFor(logging.INFO) and sys.stderr.isatty():
            from tqdm import tqdm

            unit = f" {unit}" if unit else ""
            self._bar = tqdm(desc=title, total=total, unit=unit, file=sys.stderr, dynamic_ncols=True, leave=False)
            Progress.bars_on_screen += 1

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more units as done and show `note` (for example a loss) beside the bar."""
        if self._given is None:
            # The first units say nothing about the rate: they were done earlier, or came after long preparations.
            self._count = self._given = count
            self._start = time.monotonic()
            if self._bar is not None:
                self._bar.initial = self._bar.n = self._bar.last_print_n = count
                self._bar.unpause()
                self._bar.refresh()
        else:
            self._count += count
        if self._bar is not None:
            if note or self.outlook:
                self._bar.set_postfix_str(f"{note}{self._of_the_run(self._rate())}".lstrip(", "), refresh=False)
            self._bar.update(self._count - self._bar.n)
        elif time.monotonic() - self._last_line > self._SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            of = f"/{self._total}" if self._total else ""
            unit = f" {self._unit}" if self._unit else ""
            logger.info("%s", f"{self._title}: {self._count}{of}{unit}{self._speed(self._rate())} {note}".rstrip())

    def _rate(self) -> float:
        return (self._count - (self._given or 0)) / max(time.monotonic() - self._start, 1e-9)

    def _of_the_run(self, rate: float) -> str:
        if self.outlook is None:
            return ""
        step_s = (self._total - self._count) / rate if self._total and rate > 0 else 0.0
        return f", {duration(self.outlook.left_s(step_s))} of the run"

    def _speed(self, rate: float) -> str:
        if rate <= 0:
            return ""
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{duration(1 / rate)} each"
        left = f", {duration((self._total - self._count) / rate)} left" if self._total else ""
        return f" ({speed}{left}{self._of_the_run(rate)})"

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            Progress.bars_on_screen -= 1


def progress(title: str, total: int | None = None, unit: str = "it") -> closing[Progress]:
    """Show the progress of a long step while the `with` block runs."""
    return closing(Progress(title, total, unit))
