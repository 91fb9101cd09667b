"""The README.md of an export: files, units, the value that means "no label", scale, what was left out, licences."""

from __future__ import annotations

import json

from gs_stereo.datasets.layouts.protocol import ExportJob, Holds
from gs_stereo.datasets.layouts.selection import LOW_CONFIDENCE, TOO_LARGE, LabelCounts
from gs_stereo.datasets.licences import DatasetLicence, licence_of, one_line

README_NAME = "README.md"


def readme(name: str, holds: Holds, job: ExportJob, sample_count: int, counts: LabelCounts) -> str:
    """Markdown with a YAML header in Hugging Face's form; the same facts give the same text."""
    info, licence = job.info, licence_of(job.info, job.config.photo_licence)
    lines = [
        *_header(name, job, licence),
        f"{sample_count} stereo samples rendered from a Gaussian splat of photos, labels by {one_line(info.label)}, "
        f"split `{info.split}`, made by {one_line(info.generator)}. Ids, cameras and poses are in `export.json`.",
        "",
        "| file | what |",
        "|---|---|",
        *(f"| `{path}` | {meaning} |" for path, meaning in holds.files),
        "",
        "Numbers count the samples from 0. Loaders that find one file from another replace words such as `left`",
        "anywhere in a path: keep such words out of the path of this folder.",
        "",
        *_units(holds, job),
        *_left_out(holds, job, counts),
        "## Licence",
        "",
        *licence.card_lines(),
        "",
    ]
    return "\n".join(lines)


def _header(name: str, job: ExportJob, licence: DatasetLicence) -> list[str]:
    title = json.dumps(f"{job.info.scene}, stereo in {name} layout", ensure_ascii=False)
    return [
        "---",
        f"pretty_name: {title}",
        *licence.yaml_lines(),
        "tags:",
        "- stereo",
        "- disparity",
        "---",
        "",
        f"# {one_line(job.info.scene)}: rectified stereo in {name} layout",
        "",
    ]


def _units(holds: Holds, job: ExportJob) -> list[str]:
    scale = job.info.metres_per_unit
    steps = "float32, as labelled" if holds.steps_per_px is None else _steps_text(holds)
    absent = [
        word
        for word, held in (("confidence", holds.confidence), ("flags", holds.flags), ("cameras", holds.camera))
        if not held
    ]
    return [
        "## Units",
        "",
        f"- disparity: pixels, of the left image, x_left - x_right >= 0; {steps}",
        f"- no label: {holds.unknown}",
        "- depth: z = f baseline / disparity; images are 8-bit sRGB",
        f"- scale: {'unknown (lengths in metres are nan)' if scale is None else f'1 scene unit = {scale:g} m'}",
        *([f"- no place in this layout for: {', '.join(absent)}"] if absent else []),
        "",
    ]


def _steps_text(holds: Holds) -> str:
    return (
        f"steps of 1/{holds.steps_per_px:g} px up to {holds.max_px:.6g} px; a known disparity is at least one step, "
        "because 0 means no label"
    )


def _left_out(holds: Holds, job: ExportJob, counts: LabelCounts) -> list[str]:
    share = counts.labels / counts.pixels if counts.pixels else 0.0
    lines = ["## Labels", "", f"- exported: {counts.labels} of {counts.pixels} pixels ({share:.1%})"]
    if job.config.min_confidence > 0:
        number = counts.left_out[LOW_CONFIDENCE]
        lines.append(f"- left out with a confidence below {job.config.min_confidence:g}: {number} pixels")
    if holds.max_px is not None:
        lines.append(f"- left out beyond {holds.max_px:.6g} px: {counts.left_out[TOO_LARGE]} pixels")
    return [*lines, ""]
