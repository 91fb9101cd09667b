"""Progress where there is no terminal, and times as people read them."""

from __future__ import annotations

import io
import logging

import pytest

from gs_stereo import log


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that `log` sees; set clock[0]."""
    now = [100.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.INFO, "gs_stereo")
    monkeypatch.setattr(log.logger, "propagate", True)


def test_lines_are_rare_and_tell_rate_and_time_left(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with log.progress("label", 100, "pair") as bar:
        bar.advance(10)
        clock[0] += 5
        bar.advance(10)
        clock[0] += 6
        bar.advance(12, "refused")
    assert caplog.messages == ["label: 32/100 pair (2.0/s, 34 s left) refused"]


def test_a_line_tells_what_is_left_of_a_run_of_several_stages(
    clock: list[float], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.Progress, "outlook", log.Outlook(later_s=60.0, ends_at=210.0))
    with log.progress("label", 100, "pair") as bar:
        bar.advance(10)
        clock[0] += 11
        bar.advance(22)
        clock[0] += 11
        bar.advance(3)
    assert caplog.messages[0] == "label: 32/100 pair (2.0/s, 34 s left, 1 min 39 s of the run)"
    assert caplog.messages[1] == "label: 35/100 pair (1.1/s, 57 s left, 1 min 57 s of the run)"


def test_what_was_done_before_says_nothing_about_the_rate(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with log.progress("fit", 3000, "step") as bar:
        clock[0] += 60  # preparations
        bar.advance(2000, "resumed")
        for _ in range(5):
            clock[0] += 20
            bar.advance(5)
    assert caplog.messages[0] == "fit: 2000/3000 step resumed"
    assert caplog.messages[-1] == "fit: 2025/3000 step (4.0 s each, 1 h 05 min left)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (93784, "26 h 03 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert log.duration(seconds) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_goes_above_the_bar_and_no_bar_is_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(log.sys, "stderr", terminal)
    monkeypatch.setattr(log.logger, "handlers", [])
    monkeypatch.setattr(log.logger, "propagate", False)
    log.setup_logging()
    with log.progress("fit", 3000, "step") as bar:
        bar.advance(2000, "resumed")
        log.logger.info("something to know")
        bar.advance(1, "loss 0.1")
    log.logger.info("done")
    shown = terminal.getvalue()
    assert "2000/3000" in shown
    assert "\rsomething to know\n" in shown
    last = shown.rsplit("\n", 2)[-2]
    assert last.rsplit("\r", 1)[-1] == "done"  # the bar was wiped before it


def test_quiet_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(log.sys, "stderr", terminal)
    monkeypatch.setattr(log.logger, "handlers", [])
    monkeypatch.setattr(log.logger, "level", logging.INFO)
    log.setup_logging(quiet=True)
    with log.progress("fit", 3000, "step") as bar:
        bar.advance(2000)
    assert terminal.getvalue() == ""
