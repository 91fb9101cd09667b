"""`export_dataset`: a finished data set in another layout, in a folder that appears whole or not at all.

Beside the layout's own files the folder holds `README.md` and `export.json`: where the data comes from, what was left
out, and what most layouts have no place for (ids, cameras and poses of every sample).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gs_stereo.core.atomic import atomic_folder, write_text
from gs_stereo.core.hashing import sha256_file
from gs_stereo.core.records import json_text, read_object
from gs_stereo.datasets.layouts.protocol import EXPORTERS, ExportConfig, ExportJob
from gs_stereo.datasets.layouts.readme import README_NAME, readme
from gs_stereo.datasets.layouts.selection import LOW_CONFIDENCE, TOO_LARGE, LabelCounts, selected
from gs_stereo.datasets.licences import licence_of
from gs_stereo.datasets.schema import INDEX_NAME, ShardSample
from gs_stereo.errors import InputError
from gs_stereo.log import Progress, progress

EXPORT_NAME = "export.json"
FORMAT = "gs_stereo.export"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ExportSummary:
    """What was written: pixels with a label, and labels left out by reason."""

    layout: str
    samples: int
    files: int
    bytes: int
    pixels: int
    labels: int
    left_out: dict[str, int]
    licence: str


def export_dataset(
    source: Path, target: Path, layout: str, config: ExportConfig = ExportConfig(), *, force: bool = False
) -> ExportSummary:
    """Write the data set in `source` to the new folder `target` in the layout of a registered exporter.

    The same data set and settings give the same bytes. Raises PluginError for an unknown layout and InputError if the
    data set is broken, has nothing that the layout can take, or `target` is not free. With `force`, `target` may hold
    an earlier export, which is replaced; a folder of anything else is never touched.
    """
    from gs_stereo.datasets.read import read_dataset
    from gs_stereo.datasets.write import verify_dataset

    exporter = EXPORTERS.load(layout)()
    _check_target(source, target, force=force)
    index, index_sha256 = verify_dataset(source), sha256_file(source / INDEX_NAME)
    job, counts, licence = ExportJob(info=index, config=config), LabelCounts(), licence_of(index, config.photo_licence)
    samples: list[dict[str, Any]] = []
    with atomic_folder(target) as work, progress("export", index.sample_count, "sample") as bar:
        stream = selected(read_dataset(source), exporter.holds, config, counts)
        names = exporter.write(work, _noted(stream, samples, bar), job)
        if counts.left_out.total() and not counts.labels:
            beyond = counts.left_out[TOO_LARGE] > counts.left_out[LOW_CONFIDENCE]
            fix = "choose webdataset, which holds every disparity" if beyond else "lower --min-confidence"
            raise InputError(f"Not one label of {source} would be exported; {fix}.")
        write_text(work / README_NAME, readme(layout, exporter.holds, job, len(names), counts))
        values = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "layout": layout,
            "scene": index.scene,
            "split": index.split,
            "label": index.label,
            "label_provenance": json.loads(index.provenance_json),
            "licence": asdict(licence),
            "metres_per_unit": index.metres_per_unit,
            "generator": index.generator,
            "settings": config.model_dump(mode="json"),
            "source_index_sha256": index_sha256,
            "pixels": counts.pixels,
            "labels": counts.labels,
            "left_out": dict(sorted(counts.left_out.items())),
            "samples": [{"name": name, **facts} for name, facts in zip(names, samples, strict=True)],
        }
        write_text(work / EXPORT_NAME, json_text(values))
        if sha256_file(source / INDEX_NAME) != index_sha256:
            raise InputError(f"The data set {source} was made anew while it was exported; export it again.")
        sizes = [path.stat().st_size for path in work.rglob("*") if path.is_file()]
    return ExportSummary(
        layout=layout,
        samples=len(names),
        files=len(sizes),
        bytes=sum(sizes),
        pixels=counts.pixels,
        labels=counts.labels,
        left_out=dict(sorted(counts.left_out.items())),
        licence=licence.name or licence.identifier,
    )


def _check_target(source: Path, target: Path, *, force: bool) -> None:
    """InputError unless `target` is free, or with `force` an earlier export, and apart from the data set."""
    place, data = target.resolve(), source.resolve()
    if place == data or data in place.parents or place in data.parents:
        raise InputError(f"The export {target} would lie in the data set {source} or around it; choose another folder.")
    if place.exists() and not place.is_dir():
        raise InputError(f"{target} is a file, not a folder; choose another folder.")
    if place.is_dir() and any(place.iterdir()):
        if not force:
            raise InputError(f"The folder {target} is not empty; choose another, or replace an export with --force.")
        if not _is_export(place):
            raise InputError(f"The folder {target} holds something else than an export; delete it or choose another.")


def _is_export(folder: Path) -> bool:
    try:
        return read_object(folder / EXPORT_NAME, fix="export again").get("format") == FORMAT
    except InputError:
        return False


def _noted(samples: Iterable[ShardSample], facts: list[dict[str, Any]], bar: Progress) -> Iterator[ShardSample]:
    """The samples as they come; notes what the layout may have no place for."""
    for sample in samples:
        yield sample
        facts.append(
            {
                "sample_id": sample.sample_id,
                "view_id": sample.view_id,
                "baseline": sample.baseline,
                "intrinsics": sample.intrinsics.tolist(),
                "cam_from_world": sample.cam_from_world.tolist(),
            }
        )
        bar.advance()
