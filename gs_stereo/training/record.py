"""The record of a run: lines of JSON, a drawing of the curves, and TensorBoard events if they are wanted.

While the run goes on, `live_record` keeps the lines and events in its folder, for people who watch. What is published
in the end is written anew from all records, so that it does not depend on interruptions.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
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
    with live_record(folder, records, tensorboard=tensorboard):
        write_text(folder / CURVES_NAME, curves.svg(records))


@contextmanager
def live_record(
    folder: Path, records: Sequence[TrainingRecord], *, tensorboard: bool = False
) -> Iterator[Callable[[TrainingRecord], None]]:
    """Keeps `log.jsonl`, and TensorBoard events in `tensorboard/` if they are wanted, up to date while a run goes on.

    It begins with the records so far, in place of what an interrupted run left there: records that came after its last
    checkpoint are made again. Then every record that is given is appended and flushed. PluginError without the
    tensorboard package.
    """
    log = folder / LOG_NAME
    shutil.rmtree(folder / TENSORBOARD_NAME, ignore_errors=True)
    events: Any = _event_writer(folder / TENSORBOARD_NAME) if tensorboard else None

    def add_events(record: TrainingRecord) -> None:
        for name, value in record.values.items():
            if math.isfinite(value):
                events.add_scalar(f"{record.kind}/{name}", value, record.step)
        events.flush()

    def add(record: TrainingRecord) -> None:
        with write_errors(log), log.open("a", encoding="utf-8") as stream:
            stream.write(log_text([record]))
        if events is not None:
            add_events(record)

    write_text(log, log_text(records))
    try:
        for record in records if events is not None else ():
            add_events(record)
        yield add
    finally:
        if events is not None:
            events.close()


def _event_writer(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise PluginError("TensorBoard is not installed; pip install tensorboard or set tensorboard=false.") from error
    return SummaryWriter(str(folder))
