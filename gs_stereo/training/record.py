"""The record of a run: lines of JSON, a drawing of the curves, and TensorBoard events if they are wanted.

While the run goes on, `LiveRecord` keeps the lines and events in its folder, for people who watch. What is published
in the end is written anew from all records, so that it does not depend on interruptions.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from gs_stereo.core.atomic import write_errors, write_text
from gs_stereo.errors import PluginError

LOG_NAME = "log.jsonl"
CURVES_NAME = "curves.svg"
TENSORBOARD_NAME = "tensorboard"


@dataclass(frozen=True, kw_only=True)
class LossRecord:
    """Mean loss of the steps since the record before, after `step` steps."""

    step: int
    loss: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class ValidationRecord:
    """Scores on the held-out pairs after `step` steps, whole images, all pixels pooled."""

    step: int
    pairs: int
    epe_px: float
    bad_1: float
    bad_2: float
    bad_3: float
    d1: float


Record = LossRecord | ValidationRecord


def log_text(records: Sequence[Record]) -> str:
    """One JSON object a line, in order; `kind` is train or validation. NaN becomes null."""
    return "".join(json.dumps(_line(record), allow_nan=False) + "\n" for record in records)


def _line(record: Record) -> dict[str, Any]:
    kind = "train" if isinstance(record, LossRecord) else "validation"
    values = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in asdict(record).items()}
    return {"kind": kind, **values}


def write_record(folder: Path, records: Sequence[Record], *, tensorboard: bool = False) -> None:
    """`log.jsonl`, `curves.svg`, and the events if they are wanted, in place of what is there."""
    with LiveRecord(folder, records, tensorboard=tensorboard):
        write_text(folder / CURVES_NAME, curves_svg(records))


class LiveRecord:
    """Keeps `log.jsonl`, and TensorBoard events in `tensorboard/` if they are wanted, up to date while a run goes on.

    It begins with the records so far, in place of what an interrupted run left there: records that came after its last
    checkpoint are made again. Then every record is appended and flushed. PluginError without the tensorboard package.
    """

    def __init__(self, folder: Path, records: Sequence[Record], *, tensorboard: bool = False) -> None:
        self._log = folder / LOG_NAME
        shutil.rmtree(folder / TENSORBOARD_NAME, ignore_errors=True)
        self._events = _event_writer(folder / TENSORBOARD_NAME) if tensorboard else None
        write_text(self._log, log_text(records))
        for record in records:
            self._add_events(record)

    def add(self, record: Record) -> None:
        """One more record."""
        with write_errors(self._log), self._log.open("a", encoding="utf-8") as stream:
            stream.write(log_text([record]))
        self._add_events(record)
        if self._events is not None:
            self._events.flush()

    def __enter__(self) -> LiveRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._events is not None:
            self._events.close()

    def _add_events(self, record: Record) -> None:
        if self._events is None:
            return
        line = _line(record)
        kind, step = line.pop("kind"), line.pop("step")
        for name, value in line.items():
            if value is not None:
                self._events.add_scalar(f"{kind}/{name}", value, step)


def _event_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise PluginError("TensorBoard is not installed; pip install tensorboard or set tensorboard=false.") from error
    return SummaryWriter(str(folder))


_WIDTH, _HEIGHT, _LEFT, _TOP, _PLOT_W, _PLOT_H = 760, 300, 56, 34, 640, 214
_COLOURS = {"training loss": "#2b6cb0", "held-out EPE": "#c05621"}


def curves_svg(records: Sequence[Record]) -> str:
    """Training loss and held-out EPE over the steps, both in px on one logarithmic axis."""
    curves = {
        "training loss": [(r.step, r.loss) for r in records if isinstance(r, LossRecord)],
        "held-out EPE": [(r.step, r.epe_px) for r in records if isinstance(r, ValidationRecord)],
    }
    curves = {name: [(x, y) for x, y in points if y > 0 and math.isfinite(y)] for name, points in curves.items()}
    everything = [point for points in curves.values() for point in points]
    last = max((step for step, _ in everything), default=1)
    decades = [math.log10(value) for _, value in everything] or [0.0]
    low, high = math.floor(min(decades)), max(math.ceil(max(decades)), math.floor(min(decades)) + 1)

    def place(step: float, value: float) -> str:
        x = _LEFT + _PLOT_W * step / last
        y = _TOP + _PLOT_H * (high - math.log10(value)) / (high - low)
        return f"{x:.1f},{y:.1f}"

    parts = [_grid(low, high, last)]
    drawn = {name: points for name, points in curves.items() if points}
    for number, (name, points) in enumerate(drawn.items()):
        line = " ".join(place(step, value) for step, value in points)
        colour, x = _COLOURS[name], _LEFT + 160 * number
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts.append(f'<text x="{x}" y="20" fill="{colour}">{name} (px)</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _grid(low: int, high: int, last: int) -> str:
    """Lines at powers of ten, and the ends of the step axis."""
    lines = []
    for decade in range(low, high + 1):
        y = _TOP + _PLOT_H * (high - decade) / (high - low)
        lines.append(f'<line x1="{_LEFT}" x2="{_LEFT + _PLOT_W}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{10.0**decade:g}</text>')
    below = _TOP + _PLOT_H + 20
    lines.append(f'<text x="{_LEFT}" y="{below}" fill="#555">0</text>')
    lines.append(f'<text x="{_LEFT + _PLOT_W}" y="{below}" text-anchor="end" fill="#555">{last} steps</text>')
    return "\n".join(lines)
