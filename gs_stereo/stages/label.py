"""Pairs -> labels -> HDF5 shards, index and card in `dataset/<name>/`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from gs_stereo import __version__
from gs_stereo.config import Config
from gs_stereo.io.atomic import atomic_path
from gs_stereo.labels.config import LabelConfig
from gs_stereo.log import progress
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.stages import reconstruct
from gs_stereo.stages.experts import SPLAT, ExpertsConfig, external_files, make_matcher, predict_both, workers_for
from gs_stereo.stages.names import FOLDER_NAME
from gs_stereo.stages.render_pairs import PairDone, pairs_folder, read_index

if TYPE_CHECKING:
    from gs_stereo.io.shards import DatasetInfo, ShardSample
    from gs_stereo.labels.card import CardFacts
    from gs_stereo.types import Provenance, StereoLabel, StereoPair

LABELS_FOLDER = ".labels"
_SURE_OF_RANGE_PERCENTILE = 99.9
_RANGE_MARGIN_PX = 8.0


class LabelStageConfig(Config):
    """Which expert labels which pairs, by which rules, and how the shards are written."""

    expert: str = Field(default="splat", description="Label source: splat, or the name of a matcher.")
    pairs: str = Field(default="default", pattern=FOLDER_NAME, description="Name of the set of pairs.")
    name: str | None = Field(
        default=None, pattern=FOLDER_NAME, description="Name of the data set; the expert's name by default."
    )
    split: str = Field(default="train", pattern=FOLDER_NAME, description="Split name in the shards.")
    rules: LabelConfig = Field(default=LabelConfig(), description="When a pixel gets a label, flags, confidence.")
    experts: ExpertsConfig = Field(default=ExpertsConfig(), description="Settings of the experts.")
    samples_per_shard: int = Field(default=128, ge=1, le=65536, description="64 to 256 is sensible.")
    compression: Literal["zstd", "gzip"] = Field(
        default="zstd", description="zstd is small and fast; gzip needs no plug-in to read."
    )
    photo_licence: str | None = Field(
        default=None, max_length=200, description="Licence of the photos, for the card: cc-by-4.0 or the like."
    )

    @property
    def dataset_name(self) -> str:
        return self.name or re.sub(r"[^A-Za-z0-9_-]", "-", self.expert)


@dataclass(frozen=True, kw_only=True)
class LabelJob:
    """One pair to label: a unit of work."""

    pair_dir: Path
    label_file: Path
    config: LabelStageConfig


def dataset_folder(name: str) -> str:
    """Where a data set is published."""
    return f"dataset/{name}"


class LabelStage:
    """Publishes `<split>-*.h5`, `dataset.json`, the card `README.md` and `croissant.json`."""

    name = "label"
    version = 2
    config_type = LabelStageConfig
    replaces_others = False

    def folder(self, config: LabelStageConfig) -> str:
        return dataset_folder(config.dataset_name)

    def inputs(self, paths: ScenePaths, config: LabelStageConfig) -> StageInputs:
        return StageInputs(
            published={reconstruct.FOLDER: "reconstruct", pairs_folder(config.pairs): "render-pairs"},
            external=external_files(config.expert, config.experts),
        )

    def run(self, context: StageContext, config: LabelStageConfig) -> StageOutcome:
        from gs_stereo.io.shards import ShardWriting, verify_dataset, write_dataset
        from gs_stereo.labels.card import collect_facts, write_card

        pairs = read_index(context.published(pairs_folder(config.pairs)))
        self._label_pairs(context, config, pairs)
        info = _dataset_info(context, config)
        writing = ShardWriting(samples_per_shard=config.samples_per_shard, compression=config.compression)
        _remove_shards(context.work_dir)
        samples = _samples(context, config, pairs)
        write_dataset(context.work_dir, samples, info, sample_count=len(pairs), writing=writing)
        verify_dataset(context.work_dir)
        facts = collect_facts(context.work_dir)
        write_card(context.work_dir, facts)
        shutil.rmtree(context.work_dir / LABELS_FOLDER)
        return _outcome(facts)

    def _label_pairs(self, context: StageContext, config: LabelStageConfig, pairs: list[PairDone]) -> None:
        folder = context.published(pairs_folder(config.pairs))
        jobs = {pair.sample_id: _job(context, config, folder, pair) for pair in pairs}
        todo = {name: job for name, job in jobs.items() if not context.units.done(name)}
        with progress("label", len(pairs), "pair") as bar:
            bar.advance(len(pairs) - len(todo))
            for name in context.executor.map(label_job, list(todo.values()), workers=workers_for(config.expert)):
                context.units.record(name, [jobs[name].label_file])
                bar.advance()


def _job(context: StageContext, config: LabelStageConfig, folder: Path, pair: PairDone) -> LabelJob:
    file = context.work_dir / LABELS_FOLDER / f"{pair.sample_id}.npz"
    return LabelJob(pair_dir=folder / pair.sample_id, label_file=file, config=config)


def label_job(job: LabelJob) -> str:
    """Label one pair and write its maps; returns the sample's id."""
    from gs_stereo.io.pairs import read_pair

    pair = read_pair(job.pair_dir)
    label = label_pair(pair, job.config)
    with atomic_path(job.label_file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **asdict(label))
    return pair.sample_id


def label_pair(pair: StereoPair, config: LabelStageConfig) -> StereoLabel:
    """The label of a pair by the configured expert."""
    from gs_stereo.labels.matched import matched_label
    from gs_stereo.labels.splat import splat_label

    if config.expert == SPLAT:
        return splat_label(pair, config.rules)
    matcher = make_matcher(config.expert, config.experts)
    left, right = predict_both(matcher, pair, _largest_disparity_px(pair))
    return matched_label(pair, left, config.rules, right)


def _largest_disparity_px(pair: StereoPair) -> float:
    """The search range that the rendered depth asks for; a quarter of the width where there is no depth."""
    depths = pair.left_depth.median[np.isfinite(pair.left_depth.median) & (pair.left_depth.median > 0)]
    width = pair.left.shape[1]
    if depths.size == 0:
        return width / 4
    nearest = np.percentile(depths, 100 - _SURE_OF_RANGE_PERCENTILE)
    return float(min(pair.rig.focal_times_baseline / nearest + _RANGE_MARGIN_PX, width))


def _samples(context: StageContext, config: LabelStageConfig, pairs: list[PairDone]) -> Iterator[ShardSample]:
    from gs_stereo.io.pairs import read_pair
    from gs_stereo.io.shards import sample_of
    from gs_stereo.types import StereoLabel

    folder = context.published(pairs_folder(config.pairs))
    with progress("label, shards", len(pairs), "pair") as bar:
        for pair in pairs:
            job = _job(context, config, folder, pair)
            with np.load(job.label_file, allow_pickle=False) as maps:
                label = StereoLabel(**{name: maps[name] for name in maps.files})
            yield sample_of(read_pair(job.pair_dir), label)
            bar.advance()


def _remove_shards(folder: Path) -> None:
    """Shards of an interrupted run: they are written in one go."""
    for path in [*folder.glob("*.h5"), folder / "dataset.json"]:
        path.unlink(missing_ok=True)


def _dataset_info(context: StageContext, config: LabelStageConfig) -> DatasetInfo:
    from gs_stereo.io.reconstruction import load_summary
    from gs_stereo.io.shards import DatasetInfo

    return DatasetInfo(
        scene=context.paths.name,
        split=config.split,
        label=config.dataset_name,
        provenance=_provenance(config),
        generator=f"gs_stereo {__version__}",
        metres_per_unit=load_summary(context.published(reconstruct.FOLDER)).metres_per_unit,
        config=_stored_config(config),
    )


def _stored_config(config: LabelStageConfig) -> dict[str, Any]:
    """The settings that decide the label, and the photos' licence; not those of other experts and of storage."""
    values = config.model_dump(mode="json")
    return {name: values[name] for name in ("expert", "pairs", "rules", "photo_licence")}


def _provenance(config: LabelStageConfig) -> Provenance:
    from gs_stereo.labels.splat import splat_provenance

    if config.expert == SPLAT:
        return splat_provenance(config.rules)
    return make_matcher(config.expert, config.experts).provenance


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
