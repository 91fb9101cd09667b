"""Plain tables and JSON for the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gs_stereo.pipeline.graph import StepStatus
from gs_stereo.pipeline.runner import StageReport
from gs_stereo.pipeline.scene import ScenePaths

_MIB = 1 << 20


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns padded to their widest cell, two spaces apart, a rule below the header."""
    widths = [max(len(str(row[column])) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def print_reports(paths: ScenePaths, reports: Sequence[StageReport], *, as_json: bool) -> None:
    """The outcome of a run."""
    if as_json:
        print_json({"scene": str(paths.scene), "stages": [_report_json(report) for report in reports]})
        return
    if all(report.action == "skipped" for report in reports):
        print(f"Nothing to do: everything in {paths.output} is up to date.")
    rows = [
        [
            report.stage,
            report.action if report.action != "skipped" else "up to date",
            f"{report.manifest.seconds:.1f}",
            f"{report.manifest.peak_memory_bytes / _MIB:.0f}",
            ", ".join(f"{name} {value}" for name, value in report.manifest.summary.items()),
        ]
        for report in reports
    ]
    print_table(["stage", "status", "seconds", "peak MiB", "result"], rows)
    for report in reports:
        if report.manifest.drops:
            counted = ", ".join(f"{count} x {reason}" for reason, count in sorted(report.manifest.drops.items()))
            print(f"{report.stage} left out: {counted}")
        if report.manifest.text:
            print(f"\n{report.manifest.text}\n")
    print(f"Results are in {reports[-1].folder}")


def _report_json(report: StageReport) -> dict[str, Any]:
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


def print_plan(steps: Sequence[StepStatus], *, as_json: bool) -> None:
    """The state of each stage and why."""
    if as_json:
        print_json([{"stage": s.stage, "folder": s.folder, "state": s.state, "reason": s.reason} for s in steps])
        return
    print_table(["stage", "folder", "state", "why"], [[s.stage, s.folder, s.state, s.reason] for s in steps])
