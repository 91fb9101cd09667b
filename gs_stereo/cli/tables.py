"""Plain tables and JSON for the terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gs_stereo.log import duration

if TYPE_CHECKING:
    from gs_stereo.pipeline.cell import StageReport
    from gs_stereo.pipeline.graph import CellStatus
    from gs_stereo.pipeline.scene import ScenePaths

_MIB, _GIB = 1 << 20, 1 << 30
_GAP = "  "
_NARROWEST = 24


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns padded to their widest cell, a rule below the header. On a terminal the last column is wrapped to fit.

    Numbers (a column whose cells all begin with a digit) are right-aligned.
    """
    texts = [[str(cell) for cell in row] for row in rows]
    *widths, last = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    margin = sum(widths) + len(_GAP) * len(widths)
    if sys.stdout.isatty():
        last = min(last, max(shutil.get_terminal_size().columns - margin, _NARROWEST))
    numeric = [bool(texts) and all(row[column][:1].isdigit() for row in texts) for column in range(len(header))]
    for row in [list(header), ["-" * width for width in [*widths, last]], *texts]:
        cells = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row[:-1], widths, numeric, strict=False)
        ]
        first, *more = textwrap.wrap(row[-1], last, break_on_hyphens=False) or [""]
        for line in [_GAP.join([*cells, first]).rstrip(), *(" " * margin + line for line in more)]:
            print(line)


def memory(size_bytes: int) -> str:
    """`388 MiB` or `1.6 GiB`."""
    return f"{size_bytes / _GIB:.1f} GiB" if size_bytes >= _GIB else f"{size_bytes / _MIB:.0f} MiB"


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """NaN and infinity become null."""
    from gs_stereo.core.records import json_text

    print(json_text(value), end="")


def print_reports(paths: ScenePaths, reports: Sequence[StageReport], *, as_json: bool) -> None:
    """The outcome of a run."""
    if as_json:
        print_json(reports_json(paths.scene, reports))
        return
    if all(report.action == "skipped" for report in reports):
        print(f"Nothing to do: everything in {paths.output} is up to date.")
    stages = [report.stage for report in reports]
    rows = [
        [
            f"{report.stage} {report.folder.name}" if stages.count(report.stage) > 1 else report.stage,
            report.action if report.action != "skipped" else "up to date",
            duration(report.manifest.seconds),
            memory(report.manifest.peak_memory_bytes),
            ", ".join(f"{name} {value}" for name, value in report.manifest.summary.items()),
        ]
        for report in reports
    ]
    print_table(["stage", "status", "time", "memory", "result"], rows)
    for report in reports:
        if report.manifest.drops:
            counted = ", ".join(f"{count} x {reason}" for reason, count in sorted(report.manifest.drops.items()))
            print(f"{report.stage} left out: {counted}")
        if report.manifest.text:
            print(f"\n{report.manifest.text}")
    print(f"\nResults are in {reports[-1].folder}")


def reports_json(scene: Path, reports: Sequence[StageReport]) -> dict[str, Any]:
    """The outcome of a run on one scene as JSON values."""
    return {"scene": str(scene), "stages": [report_json(report) for report in reports]}


def report_json(report: StageReport) -> dict[str, Any]:
    """What was done to one stage as JSON values."""
    manifest = report.manifest
    return {
        "stage": report.stage,
        "action": report.action,
        "folder": str(report.folder),
        "seconds": manifest.seconds,
        "peak_memory_bytes": manifest.peak_memory_bytes,
        "device": manifest.device,
        "metrics": dict(manifest.metrics),
        "drops": dict(manifest.drops),
    }


def print_plan(plan: Sequence[CellStatus], *, as_json: bool) -> None:
    """The state of each stage and why; with several scenes, of which."""
    several = len({status.cell.scene for status in plan}) > 1
    rows = [
        ({"scene": s.cell.scene} if several else {})
        | {"stage": s.cell.stage, "folder": s.cell.folder, "state": s.state, "reason": s.reason}
        for s in plan
    ]
    if as_json:
        print_json(rows)
        return
    header = [*(["scene"] if several else []), "stage", "folder", "state", "why"]
    print_table(header, [list(row.values()) for row in rows])
