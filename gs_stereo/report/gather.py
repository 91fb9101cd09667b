"""Reads what the page shows from published folders: manifests, curves, pictures of samples, licences."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, metadata

import numpy as np
from jaxtyping import Float

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.imaging.colour_maps import anaglyph, coloured, shown_range
from gs_stereo.imaging.images import resize_to
from gs_stereo.metrics.image import psnr
from gs_stereo.pipeline.manifest import read_manifest
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.quality.dataset import DatasetMeasures
from gs_stereo.report.facts import DatasetPictures, ShownSample, StageRecord, Thumbnail
from gs_stereo.report.generated import GeneratedEyes
from gs_stereo.report.pictures import SHOWN_EDGE_PX, data_uri, shrunk_map, stack_sheet

MAX_THUMBNAILS = 60
MAX_SHOWN_EACH = 3
CONFIDENCE_BINS = 20
_THUMBNAIL_EDGE_PX = 260
_STACK_EDGE_PX = 1400
_LONGEST_LICENCE = 120


def lineage(paths: ScenePaths, folder: str) -> tuple[StageRecord, ...]:
    """The manifests behind a folder, in the order in which they were made, the folder itself last.

    A folder without a manifest (a dataset from elsewhere) has no lineage.
    """
    found: dict[str, StageRecord] = {}

    def visit(name: str) -> None:
        if name in found:
            return
        manifest = read_manifest(paths.published(name))
        if manifest is None:
            return
        inputs = manifest.parts.get("inputs", {})
        for earlier in sorted(inputs) if isinstance(inputs, Mapping) else ():
            visit(str(earlier))
        found[name] = StageRecord(folder=name, manifest=manifest)

    visit(folder)
    return tuple(found.values())


def library_licences(stages: Sequence[StageRecord]) -> tuple[tuple[str, str, str], ...]:
    """(library, version as recorded, licence as the installed package states it) over all stages."""
    recorded: dict[str, set[str]] = {}
    for stage in stages:
        for name, version in stage.manifest.libraries.items():
            recorded.setdefault(str(name), set()).add(str(version))
    return tuple((name, ", ".join(sorted(versions)), _licence(name)) for name, versions in sorted(recorded.items()))


def _licence(name: str) -> str:
    if name == "python":
        return "PSF-2.0"
    try:
        values = metadata(name)
    except PackageNotFoundError:
        return "not installed here"
    for key in ("License-Expression", "License"):
        text = " ".join(values[key].split()) if key in values else ""
        if text:
            return text if len(text) <= _LONGEST_LICENCE else f"{text[:_LONGEST_LICENCE]}..."
    classes = [text for text in values.get_all("Classifier") or [] if text.startswith("License ::")]
    return classes[0].rsplit("::", 1)[-1].strip() if classes else "see its LICENSE file"


def dataset_pictures(
    read: Callable[[int], ShardSample],
    chosen: Sequence[int],
    measures: DatasetMeasures,
    metres_per_unit: float,
    generated: GeneratedEyes | None = None,
    truth_of: Callable[[ShardSample], np.ndarray | None] = lambda sample: None,
) -> DatasetPictures:
    """Pictures of the measured samples.

    read: a sample by its number. chosen: numbers of the measured samples. truth_of: what a generated eye should see.
    """
    views = [sample.small for sample in measures.samples]
    disparities = [view.camera.focal_px * view.baseline / view.depth.ravel() for view in views]
    limits = shown_range(np.concatenate([np.zeros(0), *disparities]))
    counts = np.zeros(CONFIDENCE_BINS, dtype=np.int64)
    sheet = set(np.unique(np.linspace(0, len(chosen) - 1, min(MAX_THUMBNAILS, len(chosen))).astype(int)).tolist())
    ranks = _ranks(measures.consistency)
    thumbnails, shown = [], {}
    for position, number in enumerate(chosen):
        sample = read(number)
        known = np.isfinite(sample.disparity)
        levels = np.minimum(sample.confidence[known].astype(np.int64) * CONFIDENCE_BINS // 256, CONFIDENCE_BINS - 1)
        counts += np.bincount(levels, minlength=CONFIDENCE_BINS)
        if position in sheet:
            thumbnails.append(_thumbnail(sample, measures, position, limits))
        if position in ranks:
            pair = shown_sample(sample, ranks[position], _notes(measures, position), metres_per_unit)
            shown[position] = pair if generated is None else with_truth(pair, sample, generated, truth_of(sample))
    return DatasetPictures(
        thumbnails=tuple(thumbnails),
        shown=tuple(shown[position] for position in ranks),
        confidence_counts=counts,
        disparity_range_px=limits,
    )


def _ranks(consistency: Float[np.ndarray, "n"]) -> dict[int, str]:
    """Positions to show in full: the worst first, then the best; all of a small dataset."""
    order = [int(index) for index in np.argsort(np.nan_to_num(consistency, nan=-1.0), kind="stable")]
    worst = order[:MAX_SHOWN_EACH]
    best = [index for index in order[::-1][:MAX_SHOWN_EACH] if index not in worst]
    names = {index: f"worst {place}" for place, index in enumerate(worst, 1)}
    return {**names, **{index: f"best {place}" for place, index in enumerate(best, 1)}}


def _thumbnail(sample: ShardSample, measures: DatasetMeasures, position: int, limits: tuple[float, float]) -> Thumbnail:
    return Thumbnail(
        sample_id=sample.sample_id,
        left=data_uri(sample.left, _THUMBNAIL_EDGE_PX, 70),
        disparity=data_uri(coloured(shrunk_map(sample.disparity, _THUMBNAIL_EDGE_PX), *limits), _THUMBNAIL_EDGE_PX, 70),
        median_disparity_px=measures.samples[position].disparity_px,
    )


def shown_sample(
    sample: ShardSample, rank: str, notes: tuple[tuple[str, str], ...], metres_per_unit: float
) -> ShownSample:
    """A pair in full."""
    known = sample.disparity[np.isfinite(sample.disparity)].astype(np.float64)
    low, high = shown_range(known)
    focal_times_baseline = sample.rig.focal_times_baseline * metres_per_unit
    median = round(float(np.median(known))) if known.size else 0
    confidence = np.where(np.isfinite(sample.disparity), sample.confidence / 255.0, np.nan)
    height, width = sample.left.shape[:2]
    return ShownSample(
        sample_id=sample.sample_id,
        rank=rank,
        left=data_uri(sample.left, SHOWN_EDGE_PX),
        right=data_uri(sample.right, SHOWN_EDGE_PX),
        anaglyph=data_uri(anaglyph(sample.left, sample.right, min(median, width // 3)), SHOWN_EDGE_PX),
        disparity=data_uri(coloured(shrunk_map(sample.disparity, SHOWN_EDGE_PX), low, high), SHOWN_EDGE_PX),
        confidence=data_uri(coloured(shrunk_map(confidence, SHOWN_EDGE_PX), 0.0, 1.0), SHOWN_EDGE_PX),
        disparity_range_px=(low, high),
        depth_range=(focal_times_baseline / max(low, 1e-6), focal_times_baseline / max(high, 1e-6)),
        size=(width, height),
        notes=notes,
        stack=data_uri(stack_sheet(sample.views, sample.view_depth), _STACK_EDGE_PX)
        if sample.views is not None and sample.view_depth is not None
        else None,
    )


def with_truth(
    shown: ShownSample, sample: ShardSample, generated: GeneratedEyes, truth: np.ndarray | None
) -> ShownSample:
    """The pair, with what is known of its generated eye."""
    left = generated.is_left(sample)
    notes = (("generated eye", "left" if left else "right"), *shown.notes)
    if truth is None:
        return replace(shown, notes=notes)
    made = resize_to(sample.left if left else sample.right, truth.shape[1], truth.shape[0])
    quality = ("generated against rendered", f"{psnr(made / 255, truth / 255):.1f} dB")
    return replace(
        shown,
        notes=(*notes, quality),
        made=shown.left if left else shown.right,
        truth=data_uri(truth, SHOWN_EDGE_PX),
    )


def _notes(measures: DatasetMeasures, position: int) -> tuple[tuple[str, str], ...]:
    sample = measures.samples[position]
    points = sample.points.factor if sample.points else math.nan
    notes = (
        ("consistency", _share(measures.consistency[position])),
        ("looks different after warping", _share(sample.different_share)),
        ("contradicted by neighbours", _share(measures.conflict[position])),
        ("row offset", _value(sample.row_offset_px, "px", 2)),
        ("label over matches", _value(sample.labels.factor, "", 3)),
        ("label depth over points", _value(points, "", 3)),
        ("labelled pixels", _share(sample.coverage)),
    )
    marks = [name for name in ("swapped", "blurred", "blank", "repeated") if getattr(measures, name)[position]]
    return (*notes, ("marked", ", ".join(marks))) if marks else notes


def _share(value: float) -> str:
    return "not measured" if not math.isfinite(value) else f"{100 * value:.1f} %"


def _value(value: float, unit: str, digits: int) -> str:
    return "not measured" if not math.isfinite(value) else f"{round(value, digits) + 0.0:.{digits}f} {unit}".strip()
