"""The record of a run: lines of JSON, a drawing of the curves, and TensorBoard events if they are wanted.

While the run goes on, `LiveRecord` keeps the lines and events in its folder, for people who watch. What is published
in the end is written anew from all records, so that it does not depend on interruptions.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from gs_stereo.core.atomic import write_errors, write_text
from gs_stereo.core.records import json_text
from gs_stereo.errors import PluginError
from gs_stereo.imaging.charts import Axes, Series, chart_file

LOG_NAME = "log.jsonl"
CURVES_NAME = "curves.svg"
TENSORBOARD_NAME = "tensorboard"


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """Numbers after `step` steps: means over the steps since the record before, or scores on what is held out."""

    kind: Literal["train", "validation"]
    step: int
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A number of the records of one kind, drawn over the steps."""

    title: str
    kind: Literal["train", "validation"]
    value: str


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What is drawn on one logarithmic axis: at most two curves of one unit."""

    curves: tuple[Curve, ...] = (Curve(title="training loss", kind="train", value="loss"),)
    unit: str = ""

    def svg(self, records: Sequence[TrainingRecord]) -> str:
        """The drawing; a logarithm has no zero and no NaN, so these are left out."""
        series = []
        for curve, style in zip(self.curves, "ab", strict=False):
            points = [(record.step, record.values[curve.value]) for record in records if record.kind == curve.kind]
            known = np.array([(x, y) for x, y in points if y > 0 and math.isfinite(y)], np.float64).reshape(-1, 2)
            if len(known):
                series.append(Series(name=curve.title, x=known[:, 0], y=known[:, 1], style=style))
        return chart_file(series, Axes(x_label="step", y_label=self.unit, logarithmic=True), title="Training")


def last_validation(records: Sequence[TrainingRecord]) -> TrainingRecord | None:
    """The newest scores on what is held out."""
    return next((record for record in reversed(records) if record.kind == "validation"), None)


def log_text(records: Sequence[TrainingRecord]) -> str:
    """One JSON object a line, in order. NaN becomes null."""
    lines = ({"kind": record.kind, "step": record.step, **record.values} for record in records)
    return "".join(json_text(line, indent=None) for line in lines)


def write_record(folder: Path, records: Sequence[TrainingRecord], curves: Curves, *, tensorboard: bool = False) -> None:
    """`log.jsonl`, `curves.svg`, and the events if they are wanted, in place of what is there."""
    with LiveRecord(folder, records, tensorboard=tensorboard):
        write_text(folder / CURVES_NAME, curves.svg(records))


class LiveRecord:
    """Keeps `log.jsonl`, and TensorBoard events in `tensorboard/` if they are wanted, up to date while a run goes on.

    It begins with the records so far, in place of what an interrupted run left there: records that came after its last
    checkpoint are made again. Then every record is appended and flushed. PluginError without the tensorboard package.
    """

    def __init__(self, folder: Path, records: Sequence[TrainingRecord], *, tensorboard: bool = False) -> None:
        self._log = folder / LOG_NAME
        shutil.rmtree(folder / TENSORBOARD_NAME, ignore_errors=True)
        self._events = _event_writer(folder / TENSORBOARD_NAME) if tensorboard else None
        write_text(self._log, log_text(records))
        for record in records:
            self._add_events(record)

    def add(self, record: TrainingRecord) -> None:
        """One more record."""
        with write_errors(self._log), self._log.open("a", encoding="utf-8") as stream:
            stream.write(log_text([record]))
        self._add_events(record)

    def __enter__(self) -> LiveRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._events is not None:
            self._events.close()

    def _add_events(self, record: TrainingRecord) -> None:
        if self._events is None:
            return
        for name, value in record.values.items():
            if math.isfinite(value):
                self._events.add_scalar(f"{record.kind}/{name}", value, record.step)
        self._events.flush()


def _event_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise PluginError("TensorBoard is not installed; pip install tensorboard or set tensorboard=false.") from error
    return SummaryWriter(str(folder))
