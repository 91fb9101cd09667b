"""The record of a run: lines of JSON, a drawing of the curves, and TensorBoard events if they are wanted."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gs_stereo.errors import PluginError
from gs_stereo.io.atomic import write_text

LOG_NAME = "log.jsonl"
CURVES_NAME = "curves.svg"


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


def write_record(folder: Path, records: Sequence[Record]) -> None:
    """`log.jsonl` and `curves.svg`."""
    write_text(folder / LOG_NAME, log_text(records))
    write_text(folder / CURVES_NAME, curves_svg(records))


def write_tensorboard(folder: Path, records: Sequence[Record]) -> None:
    """TensorBoard events of all records; PluginError without the tensorboard package."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise PluginError("TensorBoard is not installed; pip install tensorboard or set tensorboard=false.") from error
    with SummaryWriter(str(folder)) as writer:
        for record in records:
            line = _line(record)
            kind, step = line.pop("kind"), line.pop("step")
            for name, value in line.items():
                if value is not None:
                    writer.add_scalar(f"{kind}/{name}", value, step)


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
    for number, (name, points) in enumerate(curves.items()):
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
