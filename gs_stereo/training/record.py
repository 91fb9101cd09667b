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

import numpy as np

from gs_stereo.core.atomic import write_errors, write_text
from gs_stereo.errors import PluginError
from gs_stereo.imaging.charts import Axes, Series, chart_file

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


def curves_svg(records: Sequence[Record]) -> str:
    """Training loss and held-out EPE over the steps, both in px on one logarithmic axis."""
    loss = [(record.step, record.loss) for record in records if isinstance(record, LossRecord)]
    error = [(record.step, record.epe_px) for record in records if isinstance(record, ValidationRecord)]
    series = [_curve("training loss", "a", loss), _curve("held-out EPE", "b", error)]
    axes = Axes(x_label="step", y_label="px", logarithmic=True)
    return chart_file([line for line in series if len(line.x)], axes, title="Training")


def _curve(name: str, style: str, points: Sequence[tuple[int, float]]) -> Series:
    """The points that a logarithm has."""
    known = np.array([point for point in points if point[1] > 0 and math.isfinite(point[1])], np.float64).reshape(-1, 2)
    return Series(name=name, x=known[:, 0], y=known[:, 1], style=style)
