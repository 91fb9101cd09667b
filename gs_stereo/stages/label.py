"""Pairs -> labels -> HDF5 shards, index and card in `dataset/<name>/`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from gs_stereo import __version__
from gs_stereo.errors import ConfigError, InputError, StageError
from gs_stereo.io.pair_index import read_pair_index
from gs_stereo.labels.config import MATCHER_PREFIX, TRUST_MODEL_FILE, LabelSettings
from gs_stereo.labels.protocol import with_generated_pixels
from gs_stereo.labels.sources import make_source
from gs_stereo.log import logger
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.manifest import read_manifest
from gs_stereo.pipeline.scene import DATASETS_FOLDER, FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.splat import folder as splat_folder
from gs_stereo.stages import reconstruct
from gs_stereo.stages.render_pairs import pairs_folder

if TYPE_CHECKING:
    from gs_stereo.audit.scores import AuditReport
    from gs_stereo.datasets.card import CardFacts
    from gs_stereo.datasets.schema import DatasetInfo
    from gs_stereo.labels.protocol import LabelSource
    from gs_stereo.labels.units import LabelFolders


_LABEL_SETTINGS = ("expert", "pairs", "rules", "sky")
"""Settings that decide the labels of every source."""
_KEPT_SETTINGS = ("photo_licence", "min_confidence", "max_bad_1")


class LabelStageConfig(LabelSettings):
    """Which source labels which pairs, by which rules, and how the shards are written."""

    pairs: str = Field(default="default", pattern=FOLDER_NAME, description="Name of the set of pairs.")
    name: str | None = Field(
        default=None, pattern=FOLDER_NAME, description="Name of the data set; the expert's name by default."
    )
    split: str = Field(default="train", pattern=FOLDER_NAME, description="Split name in the shards.")
    samples_per_shard: int = Field(default=128, ge=1, le=65536, description="64 to 256 is sensible.")
    compression: Literal["gzip", "zstd"] = Field(
        default="gzip",
        description="Any HDF5 reader opens gzip; zstd is read three times as fast, by other programs with hdf5plugin.",
    )
    photo_licence: str | None = Field(
        default=None, max_length=200, description="Licence of the photos, for the card: cc-by-4.0 or the like."
    )

    max_bad_1: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Keep only labels of which, with 95 % confidence, at most this share is wrong by more than 1 px, "
        "by the audit of labels made with the same settings.",
    )

    recalibrate: bool = Field(
        default=False,
        description="Make the confidence what it means in this capture, by the audit of labels made with the same "
        "settings.",
    )

    @model_validator(mode="after")
    def _one_use_of_an_audit(self) -> LabelStageConfig:
        if self.recalibrate and (self.max_bad_1 is not None or self.recalibration is not None):
            raise ValueError("recalibrate finds a recalibration itself, and a promise is about confidence as it is")
        return self

    @property
    def dataset_name(self) -> str:
        """By default the expert's name; with `-sure` for labels that keep a promise, `-recalibrated`."""
        name = re.sub(r"[^A-Za-z0-9_-]", "-", self.expert.removeprefix(MATCHER_PREFIX))
        ending = "-sure" if self.max_bad_1 is not None else "-recalibrated" if self.recalibrate else ""
        return self.name or name + ending


AUDIT_FOLDER = "audit/report"
"""Where labels of planted photos were compared with the truth; see `stages.audit`."""


def dataset_folder(name: str) -> str:
    """Where a data set is published."""
    return f"{DATASETS_FOLDER}/{name}"


class LabelStage(Stage):
    """Publishes `<split>-*.h5`, `dataset.json`, the card `README.md` and `croissant.json`."""

    name = "label"
    version = 9
    config_type = LabelStageConfig

    def folder(self, config: LabelStageConfig) -> str:
        return dataset_folder(config.dataset_name)

    def inputs(self, paths: ScenePaths, config: LabelStageConfig) -> StageInputs:
        source = make_source(config)
        pairs, needs = pairs_folder(config.pairs), source.needs
        published = {pairs: "render-pairs"}
        if _made_of(reconstruct.FOLDER, paths.published(pairs)):
            published[reconstruct.FOLDER] = "reconstruct"
        # For a stack, and for photos as the splat was fitted to them.
        if needs.stack or (needs.photos > 0 and _made_of(splat_folder.FOLDER, paths.published(pairs))):
            published[splat_folder.FOLDER] = "fit"
        if config.max_bad_1 is not None or config.recalibrate:
            published[AUDIT_FOLDER] = "audit"
        external = {**source.external_files(), TRUST_MODEL_FILE.name: TRUST_MODEL_FILE}
        return StageInputs(published=published, external=external)

    def resources(self, config: LabelStageConfig) -> Resources:
        source = make_source(config)
        renders = source.needs.stack and config.backend == "gsplat"
        return Resources(cores=2, gpus=max(source.gpus(), int(renders)), memory_mb=2500)

    def run(self, context: StageContext, config: LabelStageConfig) -> StageOutcome:
        from gs_stereo.datasets.card import FactCounter, write_card
        from gs_stereo.datasets.write import ShardWriting, write_dataset
        from gs_stereo.labels.units import LabelFolders, label_view, labelled_samples, plan_units

        source, read = make_source(config), self.inputs(context.paths, config).published
        for note in source.notes():
            logger.warning(note)
        if config.max_bad_1 is not None:
            config = _sure(_audit_of_such_labels(context, config, source), config, config.max_bad_1)
        elif config.recalibrate:
            found = _audit_of_such_labels(context, config, source).own.recalibration
            config = config.model_copy(update={"recalibration": found})
        pairs_dir = context.published(pairs_folder(config.pairs))
        rendered = _made_of(splat_folder.FOLDER, pairs_dir)
        if source.needs_depth and not rendered:
            raise InputError(f"The pairs {pairs_dir} have no depth; label them with a matcher, such as --expert lite.")
        folders = LabelFolders(
            pairs=pairs_dir,
            rendered=rendered,
            reconstruction=context.published_folder(reconstruct.FOLDER) if reconstruct.FOLDER in read else None,
            fit=context.published_folder(splat_folder.FOLDER) if splat_folder.FOLDER in read else None,
            work=context.work_dir / ".labels",
        )
        entries = read_pair_index(folders.pairs)
        views = plan_units(entries, folders, config, source.needs)
        labelled = context.finished("label", label_view, views, noun="view", workers=source.processes())
        counter = FactCounter()
        samples = counter.watch(labelled_samples(entries, views, labelled))  # while the next views are labelled
        info = _dataset_info(context, config, source, folders)
        writing = ShardWriting(samples_per_shard=config.samples_per_shard, compression=config.compression)
        for path in [*context.work_dir.glob("*.h5"), context.work_dir / "dataset.json"]:
            path.unlink(missing_ok=True)  # of an interrupted run: shards are written in one go
        index = write_dataset(context.work_dir, samples, info, sample_count=len(entries), writing=writing)
        facts = counter.facts(index)
        write_card(context.work_dir, facts)
        shutil.rmtree(folders.work, ignore_errors=True)
        return _outcome(facts)


def made_of_dataset(paths: ScenePaths, folder: str, dataset: str) -> bool:
    """Whether a published folder was made of a data set as it is now."""
    own = dataset_folder(dataset)
    made, current = read_manifest(paths.published(folder)), read_manifest(paths.published(own))
    return bool(made and current and made.parts.get("inputs", {}).get(own) == current.fingerprint)


def _audit_of_such_labels(context: StageContext, config: LabelStageConfig, source: LabelSource) -> AuditReport:
    """What an audit says of labels made with these settings; InputError if it is of others."""
    from gs_stereo.audit.scores import REPORT_FILE, AuditReport
    from gs_stereo.core.records import read_record
    from gs_stereo.datasets.schema import read_index

    path = context.published(AUDIT_FOLDER) / REPORT_FILE
    report = read_record(AuditReport, path, fix="run `gsstereo audit --force`")
    audited = read_index(context.published(dataset_folder(report.dataset)))
    values = config.model_dump(mode="json")
    decisive = (*_LABEL_SETTINGS, *source.own_settings)
    if audited.config.get("recalibration") or any(audited.config.get(name) != values[name] for name in decisive):
        raise InputError(
            f"The audit in {path.parent} is of the labels {report.dataset}, which were made with other settings; label "
            "with these settings, run `gsstereo audit` on that, then ask for this."
        )
    if config.dataset_name == report.dataset:
        raise ConfigError(f"The labels {report.dataset} are those that were audited; choose another --name.")
    return report


def _sure(report: AuditReport, config: LabelStageConfig, max_bad_1: float) -> LabelStageConfig:
    """The settings with the least confidence that keeps the promise; StageError if none is known to."""
    promised = [cut for cut in report.cuts if cut.max_bad_1 <= max_bad_1 and cut.min_confidence is not None]
    if not promised:
        raise StageError(
            f"No confidence is known above which at most {max_bad_1:.1%} of these labels are wrong by over 1 px; plant "
            "more objects with `gsstereo audit --objects 40`, or ask for less."
        )
    least = promised[-1].min_confidence
    return config.model_copy(update={"min_confidence": max(config.min_confidence, least or 0.0)})


def _made_of(folder: str, pairs_dir: Path) -> bool:
    """Whether the pairs were made of this published folder; those that are yet to be made are of all."""
    manifest = read_manifest(pairs_dir)
    return manifest is None or folder in manifest.parts.get("inputs", {})


def _dataset_info(
    context: StageContext, config: LabelStageConfig, source: LabelSource, folders: LabelFolders
) -> DatasetInfo:
    from gs_stereo.datasets.schema import DatasetInfo
    from gs_stereo.io.reconstruction import load_summary

    reconstruction = folders.reconstruction
    # The settings that decide the label, and the photos' licence; not those of other experts and of storage.
    values = config.model_dump(mode="json")
    return DatasetInfo(
        scene=context.paths.name,
        split=config.split,
        label=config.dataset_name,
        provenance=with_generated_pixels(source.provenance(), read_pair_index(folders.pairs)),
        generator=f"gs_stereo {__version__}",
        metres_per_unit=None if reconstruction is None else load_summary(reconstruction.path).metres_per_unit,
        config={name: values[name] for name in (*_LABEL_SETTINGS, *_KEPT_SETTINGS, *source.own_settings)}
        | ({"recalibration": values["recalibration"]} if config.recalibration else {}),
    )


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
