"""A data set and all that led to it -> `report/` with the verdict, as a page for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gs_stereo import __version__
from gs_stereo.core.atomic import write_text
from gs_stereo.core.hashing import sha256_file
from gs_stereo.datasets.schema import INDEX_NAME, read_index
from gs_stereo.errors import InputError
from gs_stereo.log import progress
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.manifest import MANIFEST_NAME, read_manifest
from gs_stereo.pipeline.scene import DATASETS_FOLDER, ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.quality.config import QualityConfig
from gs_stereo.report.config import ReportConfig
from gs_stereo.stages import reconstruct

if TYPE_CHECKING:
    from gs_stereo.datasets.schema import DatasetIndex, ShardSample
    from gs_stereo.io.reconstruction import PhotosOfReconstruction
    from gs_stereo.quality.dataset import DatasetMeasures
    from gs_stereo.quality.sample import SampleMeasures
    from gs_stereo.quality.verdict import Verdict
    from gs_stereo.types import SparseScene

FOLDER = "report"
PAGE_NAME = "index.html"
QUALITY_NAME = "quality.json"


@dataclass(frozen=True, kw_only=True)
class MeasureJob:
    """One sample to measure: a unit of work. reconstruct_dir: None where there is no reconstruction."""

    dataset_dir: Path
    number: int
    reconstruct_dir: Path | None
    limits: QualityConfig


class ReportStage:
    """Publishes `index.html` and `quality.json`."""

    name = "report"
    version = 1
    config_type = ReportConfig
    replaces_others = False

    def folder(self, config: ReportConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: ReportConfig) -> StageInputs:
        """The shards themselves are fingerprinted, so that one that was changed by hand is judged anew."""
        name = config.dataset or next(reversed(paths.datasets()), None)
        if name is None:
            return StageInputs()
        folder = paths.published(DATASETS_FOLDER) / name
        files = sorted([*folder.glob("*.h5"), *folder.glob(INDEX_NAME)])
        verbs = {f"evaluation/{name}": "evaluate-labels", reconstruct.FOLDER: "reconstruct"}
        published = {f"{DATASETS_FOLDER}/{name}": "label"} if _has_manifest(folder) or not files else {}
        published |= {other: verb for other, verb in verbs.items() if _has_manifest(paths.published(other))}
        return StageInputs(published=published, external={f"{name}/{path.name}": path for path in files})

    def resources(self, config: ReportConfig) -> Resources:
        return Resources(cores=2, gpus=int(config.backend == "gsplat"), memory_mb=1500)

    def run(self, context: StageContext, config: ReportConfig) -> StageOutcome:
        _forget()  # another scene may have been loaded in this process
        try:
            return self._judge(context, config)
        finally:
            _forget()  # closes the shards

    def _judge(self, context: StageContext, config: ReportConfig) -> StageOutcome:
        from gs_stereo.quality.dataset import measure_dataset
        from gs_stereo.quality.verdict import judge, sample_numbers

        name = config.dataset or context.paths.newest_dataset()
        folder = context.published(DATASETS_FOLDER) / name
        index = read_index(folder)
        damaged = _damaged_shards(folder, index)
        chosen = _chosen(index.sample_count, config.limits.max_samples, context.seed)
        samples = list(_measured(context, config, folder, chosen))
        measures = measure_dataset(
            samples, config.limits, width=index.width, sample_count=index.sample_count, damaged_shards=damaged
        )
        verdict = judge(measures, config.limits)
        values = {"dataset": name, **verdict.to_json()}
        document = {**values, "samples": sample_numbers(measures)}
        write_text(context.work_dir / QUALITY_NAME, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        page = _page(context, config, (name, index), (measures, verdict, chosen))
        write_text(context.work_dir / PAGE_NAME, page)
        return _outcome(values, verdict)


def capture_folder(paths: ScenePaths, dataset_dir: Path) -> Path | None:
    """The reconstruction that a data set was made of; None if there is none, or if it was made anew since then.

    A data set without a manifest comes from elsewhere and is compared with what is there.
    """
    folder = paths.published(reconstruct.FOLDER)
    current, dataset = read_manifest(folder), read_manifest(dataset_dir)
    if current is None:
        return None
    used = dataset.parts.get("inputs", {}).get(reconstruct.FOLDER) if dataset else None
    return folder if used in (None, current.fingerprint) else None


def _has_manifest(folder: Path) -> bool:
    return (folder / MANIFEST_NAME).is_file()


def _damaged_shards(folder: Path, index: DatasetIndex) -> list[str]:
    """Shards that are not what the index says. InputError for one that is missing or that HDF5 cannot open."""
    from gs_stereo.datasets.probe import probe_shards

    paths = [folder / entry.file for entry in index.shards]
    if missing := [path for path in paths if not path.is_file()]:
        raise InputError(f"The shard {missing[0]} is missing; label again or copy it again.")
    probe_shards(paths)
    return [entry.file for entry, path in zip(index.shards, paths, strict=True) if sha256_file(path) != entry.sha256]


def _chosen(count: int, most: int, seed: int) -> list[int]:
    """Numbers of the samples to measure. Drawn at random, because every second view may be special."""
    if count <= most:
        return list(range(count))
    return sorted(np.random.default_rng(seed).choice(count, size=most, replace=False).tolist())


def _measured(context: StageContext, config: ReportConfig, folder: Path, chosen: list[int]) -> Iterator[SampleMeasures]:
    capture = capture_folder(context.paths, folder)
    jobs = [
        MeasureJob(dataset_dir=folder, number=number, reconstruct_dir=capture, limits=config.limits)
        for number in chosen
    ]
    with progress("report", len(jobs), "sample") as bar:
        for measures in context.executor.map(measure_job, jobs):
            bar.advance()
            yield measures


def measure_job(job: MeasureJob) -> SampleMeasures:
    """Measure one sample."""
    from gs_stereo.quality.sample import measure_sample

    sample = _sample_reader(job.dataset_dir)(job.number)
    scene, photos = _capture(job.reconstruct_dir) if job.reconstruct_dir else (None, None)
    known = photos is not None and sample.view_id in photos.names
    photo = photos(sample.view_id) if photos is not None and known else None
    return measure_sample(sample, job.limits, scene, photo)


@lru_cache(maxsize=1)
def _capture(folder: Path) -> tuple[SparseScene, PhotosOfReconstruction]:
    """The sparse scene and the photos, loaded once a process."""
    from gs_stereo.io.reconstruction import PhotosOfReconstruction, load_sparse_scene

    return load_sparse_scene(folder), PhotosOfReconstruction(folder)


class _SampleReader:
    """Samples of a data set by their number over all shards."""

    def __init__(self, folder: Path) -> None:
        from gs_stereo.datasets.read import ShardReader

        self._readers = [ShardReader(folder / entry.file) for entry in read_index(folder).shards]
        self._ends = np.cumsum([len(reader) for reader in self._readers])

    def __call__(self, number: int) -> ShardSample:
        shard = int(np.searchsorted(self._ends, number, side="right"))
        if shard == len(self._readers):
            raise InputError(f"The shards hold fewer samples than {INDEX_NAME} says; label again or copy them again.")
        return self._readers[shard].read(number - (int(self._ends[shard - 1]) if shard else 0))


@lru_cache(maxsize=1)
def _sample_reader(folder: Path) -> _SampleReader:
    return _SampleReader(folder)


def _forget() -> None:
    _capture.cache_clear()
    _sample_reader.cache_clear()


def _page(
    context: StageContext,
    config: ReportConfig,
    dataset: tuple[str, DatasetIndex],
    judged: tuple[DatasetMeasures, Verdict, list[int]],
) -> str:
    from gs_stereo.datasets.card import collect_facts
    from gs_stereo.report.capture_facts import capture_facts, fit_facts
    from gs_stereo.report.facts import ReportFacts
    from gs_stereo.report.gather import dataset_pictures, library_licences, lineage, stage_values
    from gs_stereo.report.page import render_page

    (name, index), (measures, verdict, chosen), paths = dataset, judged, context.paths
    folder = paths.published(DATASETS_FOLDER) / name
    stages = lineage(paths, f"{DATASETS_FOLDER}/{name}")
    return render_page(
        ReportFacts(
            scene=index.info.scene,
            dataset=name,
            other_datasets=tuple(sorted(set(paths.datasets()) - {name})),
            index=index,
            card=collect_facts(folder),
            verdict=verdict,
            measures=measures,
            pictures=dataset_pictures(_sample_reader(folder), chosen, measures, index.info.metres_per_unit or 1.0),
            stages=stages,
            licences=library_licences(stages),
            capture=capture_facts(capture_folder(paths, folder)),
            fit=fit_facts(paths, config) if any(stage.folder == "fit" for stage in stages) else None,
            evaluation=stage_values(paths.published(f"evaluation/{name}") / "report.json"),
            code_version=__version__,
        )
    )


def _outcome(values: dict[str, Any], verdict: Verdict) -> StageOutcome:
    return StageOutcome(
        metrics=values,
        summary={"verdict": verdict.name, "reasons": str(len(verdict.reasons))},
        text=f"Data set {values['dataset']}. {verdict.to_text()}",
    )
