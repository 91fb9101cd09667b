"""Pairs -> labels -> HDF5 shards, index and card in `dataset/<name>/`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gs_stereo import __version__
from gs_stereo.core.prefetch import read_ahead
from gs_stereo.labels import view_sources
from gs_stereo.labels.config import TRUST_MODEL_FILE
from gs_stereo.labels.experts import FUSED, MULTIBASELINE, external_files, workers_for
from gs_stereo.labels.pair_label import LabelJob, LabelStageConfig, label_job, provenance_of, uncalibrated
from gs_stereo.labels.view_sources import ViewAsks, ViewJob, nearest_pairs, offsets_of, view_job
from gs_stereo.log import logger, progress
from gs_stereo.pipeline.scene import DATASETS_FOLDER, ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.splat import folder as splat_folder
from gs_stereo.stages import reconstruct
from gs_stereo.stages.render_pairs import PairDone, pairs_folder, read_index

if TYPE_CHECKING:
    from gs_stereo.datasets.card import CardFacts
    from gs_stereo.datasets.write import DatasetInfo, ShardSample

LABELS_FOLDER, VIEWS_FOLDER = ".labels", ".views"
_Job = TypeVar("_Job", LabelJob, ViewJob)


def dataset_folder(name: str) -> str:
    """Where a data set is published."""
    return f"{DATASETS_FOLDER}/{name}"


class LabelStage:
    """Publishes `<split>-*.h5`, `dataset.json`, the card `README.md` and `croissant.json`."""

    name = "label"
    version = 5
    config_type = LabelStageConfig
    replaces_others = False

    def folder(self, config: LabelStageConfig) -> str:
        return dataset_folder(config.dataset_name)

    def inputs(self, paths: ScenePaths, config: LabelStageConfig) -> StageInputs:
        published = {reconstruct.FOLDER: "reconstruct", pairs_folder(config.pairs): "render-pairs"}
        if MULTIBASELINE in config.experts_asked:
            published[splat_folder.FOLDER] = "fit"
        external = {k: v for name in config.matchers for k, v in external_files(name, config.experts).items()}
        return StageInputs(published=published, external={**external, TRUST_MODEL_FILE.name: TRUST_MODEL_FILE})

    def run(self, context: StageContext, config: LabelStageConfig) -> StageOutcome:
        from gs_stereo.datasets.card import FactCounter, write_card
        from gs_stereo.datasets.write import ShardWriting, write_dataset

        pairs = read_index(context.published(pairs_folder(config.pairs)))
        info = _dataset_info(context, config)
        writing = ShardWriting(samples_per_shard=config.samples_per_shard, compression=config.compression)
        _remove_shards(context.work_dir)
        counter = FactCounter()
        with closing(self._labelled(context, config, pairs)) as labelled:
            samples = counter.watch(_samples(context, config, labelled))
            index = write_dataset(context.work_dir, samples, info, sample_count=len(pairs), writing=writing)
        facts = counter.facts(index)
        write_card(context.work_dir, facts)
        for name in (LABELS_FOLDER, VIEWS_FOLDER):
            shutil.rmtree(context.work_dir / name, ignore_errors=True)
        return _outcome(facts)

    def _labelled(
        self, context: StageContext, config: LabelStageConfig, pairs: list[PairDone]
    ) -> Generator[PairDone, None, None]:
        """The pairs in their order, each as soon as its label file is there; the next ones are labelled meanwhile."""
        folder = context.published(pairs_folder(config.pairs))
        if strangers := uncalibrated(config):
            names = ", ".join(strangers)
            logger.warning(f"The confidence of fused labels was calibrated without {names}; it may be off with them.")
        if config.expert in (FUSED, MULTIBASELINE):
            view_sources.clear_caches()
            views = _view_jobs(context, config, folder, pairs)
            files = {name: job.file for name, job in views.items()}
            for _ in _finished(context, "views", view_job, views, files, None):
                pass
        first = _first_pairs(pairs)
        jobs = {pair.sample_id: _job(context, config, folder, pair, first[pair.view_id]) for pair in pairs}
        files = {name: job.label_file for name, job in jobs.items()}
        finished = _finished(context, "label", label_job, jobs, files, workers_for(config.matchers))
        for pair, _ in zip(pairs, finished, strict=True):
            yield pair


def _finished(
    context: StageContext,
    title: str,
    function: Callable[[_Job], object],
    jobs: Mapping[str, _Job],
    files: Mapping[str, Path],
    workers: int | None,
) -> Iterator[str]:
    """Run the jobs that are not done yet, record the file of each, and yield the names of all in their order."""
    todo = {name: job for name, job in jobs.items() if not context.units.done(f"{title}/{name}")}
    with progress(title, len(jobs), "pair" if title == "label" else "view") as bar:
        results = context.executor.map(function, list(todo.values()), workers=workers)
        for name in jobs:
            if name in todo:
                next(results)
                context.units.record(f"{title}/{name}", [files[name]])
            yield name
            bar.advance()


def _view_jobs(
    context: StageContext, config: LabelStageConfig, folder: Path, pairs: list[PairDone]
) -> dict[str, ViewJob]:
    """One job for each left view, under the sample id of its first pair."""
    from gs_stereo.io.pairs import read_rig

    first = _first_pairs(pairs)
    cameras = {folder / pair.sample_id: read_rig(folder / pair.sample_id).left for pair in first.values()}
    asks = _asks(context, config, pairs)
    jobs = {}
    for pair in first.values():
        path = folder / pair.sample_id
        depth = pair.measures["left"]["median_depth"]
        near = nearest_pairs(cameras, path, depth, config.fused.neighbours) if config.expert == FUSED and depth else ()
        jobs[pair.sample_id] = ViewJob(
            pair_dir=path,
            neighbours=near,
            reconstruct_dir=context.published(reconstruct.FOLDER),
            fit_dir=context.published(splat_folder.FOLDER),
            file=_view_file(context, pair),
            asks=asks,
        )
    return jobs


def _first_pairs(pairs: list[PairDone]) -> dict[str, PairDone]:
    """The first pair of each view."""
    first: dict[str, PairDone] = {}
    for pair in pairs:
        first.setdefault(pair.view_id, pair)
    return first


def _asks(context: StageContext, config: LabelStageConfig, pairs: list[PairDone]) -> ViewAsks:
    from gs_stereo.io.reconstruction import load_summary

    error_px = load_summary(context.published(reconstruct.FOLDER)).mean_reprojection_error_px
    good_poses = error_px is None or error_px <= config.fused.max_reprojection_px
    wants_photos = config.expert == FUSED and config.fused.photos and good_poses
    stack = MULTIBASELINE in config.experts_asked
    return ViewAsks(
        photos=config.fused.photo_count if wants_photos else 0,
        silhouettes=config.expert == FUSED,
        stack_offsets=offsets_of([pair.measures["baseline"] for pair in pairs]) if stack else (),
        multiview=config.multiview,
        backend=config.backend,
    )


def _view_file(context: StageContext, pair: PairDone) -> Path:
    return context.work_dir / VIEWS_FOLDER / f"{pair.sample_id}.npz"


def _job(context: StageContext, config: LabelStageConfig, folder: Path, pair: PairDone, view: PairDone) -> LabelJob:
    view_file = _view_file(context, view) if config.expert in (FUSED, MULTIBASELINE) else None
    return LabelJob(
        pair_dir=folder / pair.sample_id, label_file=_label_file(context, pair), config=config, view_file=view_file
    )


def _label_file(context: StageContext, pair: PairDone) -> Path:
    return context.work_dir / LABELS_FOLDER / f"{pair.sample_id}.npz"


def _samples(context: StageContext, config: LabelStageConfig, labelled: Iterable[PairDone]) -> Iterator[ShardSample]:
    folder = context.published(pairs_folder(config.pairs))

    def read(pair: PairDone) -> ShardSample:
        return _sample(folder / pair.sample_id, _label_file(context, pair))

    return read_ahead(read, labelled)


def _sample(pair_dir: Path, label_file: Path) -> ShardSample:
    from gs_stereo.datasets.write import sample_of
    from gs_stereo.io.pairs import read_images
    from gs_stereo.types import StereoLabel

    with np.load(label_file, allow_pickle=False) as maps:
        label = StereoLabel(**{name: maps[name] for name in maps.files})
    return sample_of(read_images(pair_dir), label)


def _remove_shards(folder: Path) -> None:
    """Shards of an interrupted run: they are written in one go."""
    for path in [*folder.glob("*.h5"), folder / "dataset.json"]:
        path.unlink(missing_ok=True)


def _dataset_info(context: StageContext, config: LabelStageConfig) -> DatasetInfo:
    from gs_stereo.datasets.write import DatasetInfo
    from gs_stereo.io.reconstruction import load_summary

    return DatasetInfo(
        scene=context.paths.name,
        split=config.split,
        label=config.dataset_name,
        provenance=provenance_of(config),
        generator=f"gs_stereo {__version__}",
        metres_per_unit=load_summary(context.published(reconstruct.FOLDER)).metres_per_unit,
        config=_stored_config(config),
    )


def _stored_config(config: LabelStageConfig) -> dict[str, Any]:
    """The settings that decide the label, and the photos' licence; not those of other experts and of storage."""
    values = config.model_dump(mode="json")
    names = ["expert", "pairs", "rules", "photo_licence"]
    names += ["fused"] if config.expert == FUSED else []
    names += ["multiview"] if config.expert in (FUSED, MULTIBASELINE) else []
    return {name: values[name] for name in names}


def _outcome(facts: CardFacts) -> StageOutcome:
    least, mean, most = facts.disparity_px
    samples = facts.index.sample_count
    return StageOutcome(
        metrics={
            "samples": samples,
            "views": facts.view_count,
            "coverage": facts.coverage,
            "mean_confidence": facts.mean_confidence if facts.coverage else None,
            "mean_disparity_px": mean if facts.coverage else None,
        },
        summary={
            "samples": f"{samples} in {len(facts.index.shards)} shards",
            "coverage": f"{facts.coverage:.1%}",
            "disparity": f"{least:.1f} to {most:.1f} px, mean {mean:.1f}",
        },
    )
