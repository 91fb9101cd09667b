"""The README.md of an export: files, units, the value that means "no label", scale, what was left out, licences."""

import json

from gs_stereo.datasets.layouts.protocol import ExportJob, Holds
from gs_stereo.datasets.layouts.selection import LOW_CONFIDENCE, TOO_LARGE, LabelCounts
from gs_stereo.datasets.licences import licence_of, one_line

README_NAME = "README.md"
_README = """\
---
pretty_name: {pretty_name}
{licence_fields}
tags:
- stereo
- disparity
---

# {scene}: rectified stereo in {layout} layout

{samples} stereo samples rendered from a Gaussian splat of photos, labels by {label}, \
split `{split}`, made by {generator}. Ids, cameras and poses are in `export.json`.

| file | what |
|---|---|
{files}

Numbers count the samples from 0. Loaders that find one file from another replace words such as `left`
anywhere in a path: keep such words out of the path of this folder.

## Units

{units}

## Labels

{labels}

## Licence

{licence}
"""


def readme(name: str, holds: Holds, job: ExportJob, sample_count: int, counts: LabelCounts) -> str:
    """Markdown with a YAML header in Hugging Face's form; the same facts give the same text."""
    info, licence = job.info, licence_of(job.info, job.config.photo_licence)
    return _README.format(
        pretty_name=json.dumps(f"{info.scene}, stereo in {name} layout", ensure_ascii=False),
        licence_fields="\n".join(licence.yaml_lines()),
        scene=one_line(info.scene),
        layout=name,
        samples=sample_count,
        label=one_line(info.label),
        split=info.split,
        generator=one_line(info.generator),
        files="\n".join(f"| `{path}` | {meaning} |" for path, meaning in holds.files),
        units="\n".join(_units(holds, info.metres_per_unit)),
        labels="\n".join(_labels(holds, job, counts)),
        licence="\n".join(licence.card_lines()),
    )


def _units(holds: Holds, metres_per_unit: float | None) -> list[str]:
    steps = "float32, as labelled"
    if holds.steps_per_px is not None:
        steps = (
            f"steps of 1/{holds.steps_per_px:g} px up to {holds.max_px:.6g} px; a known disparity is at least one "
            "step, because 0 means no label"
        )
    known = None if metres_per_unit is None else f"1 scene unit = {metres_per_unit:g} m"
    held = {"confidence": holds.confidence, "flags": holds.flags, "cameras": holds.camera}
    absent = ", ".join(word for word, there in held.items() if not there)
    return [
        f"- disparity: pixels, of the left image, x_left - x_right >= 0; {steps}",
        f"- no label: {holds.unknown}",
        "- depth: z = f baseline / disparity; images are 8-bit sRGB",
        f"- scale: {known or 'unknown (lengths in metres are nan)'}",
        *([f"- no place in this layout for: {absent}"] if absent else []),
    ]


def _labels(holds: Holds, job: ExportJob, counts: LabelCounts) -> list[str]:
    share, least = counts.labels / counts.pixels if counts.pixels else 0.0, job.config.min_confidence
    lines = [f"- exported: {counts.labels} of {counts.pixels} pixels ({share:.1%})"]
    if least > 0:
        lines.append(f"- left out with a confidence below {least:g}: {counts.left_out[LOW_CONFIDENCE]} pixels")
    if holds.max_px is not None:
        lines.append(f"- left out beyond {holds.max_px:.6g} px: {counts.left_out[TOO_LARGE]} pixels")
    return lines
