"""Logging and progress: bars on a terminal, plain lines elsewhere, nothing with --quiet.

Everything a person reads while a command runs goes to stderr, so that stdout stays clean for `--json`.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("gs_stereo")


def setup_logging(*, quiet: bool = False, verbose: bool = False) -> None:
    """Send the package's log to stderr. Called by the command line, never by library code."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


class Progress:
    """A count that moves towards a total: a tqdm bar on a terminal, a line every few seconds elsewhere."""

    _SECONDS_BETWEEN_LINES = 10.0

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._count = 0
        self._start = self._last_line = time.monotonic()
        self._bar = None
        if logger.isEnabledFor(logging.INFO) and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(desc=title, total=total, unit=unit, file=sys.stderr, dynamic_ncols=True, leave=False)

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count `count` more units as done and show `note` (for example a loss) beside the bar."""
        self._count += count
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._last_line > self._SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            logger.info("%s", self._line(note))

    def _line(self, note: str) -> str:
        seconds = time.monotonic() - self._start
        of = f"/{self._total}" if self._total else ""
        rate = self._count / max(seconds, 1e-9)
        left = f", {(self._total - self._count) / rate:.0f} s left" if self._total and rate > 0 else ""
        return f"{self._title}: {self._count}{of} {self._unit} ({rate:.1f}/s{left}) {note}".rstrip()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


@contextmanager
def progress(title: str, total: int | None = None, unit: str = "it") -> Iterator[Progress]:
    """Show the progress of a long step while the block runs."""
    bar = Progress(title, total, unit)
    try:
        yield bar
    finally:
        bar.close()
