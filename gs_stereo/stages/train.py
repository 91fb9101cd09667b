"""Data sets -> a trained net in `train/<name>/`: weights, description, log and curves.

A stage and no free-standing verb: so training has what every result has (a manifest with seed, settings and
fingerprints of the data, skipping, resuming, atomic publication), and a recipe can end with it. SCENE is where the run
is published; its own data set is used unless others are named.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from gs_stereo.core.atomic import write_text
from gs_stereo.log import logger, progress
from gs_stereo.nets.shipped import net_files
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.stages.label import dataset_folder
from gs_stereo.training.stereo.config import DataSource, TrainConfig

if TYPE_CHECKING:
    from gs_stereo.training.stereo.train import TrainingResult

CHECKPOINTS_FOLDER = ".checkpoints"


def run_folder(name: str) -> str:
    """Where a trained net is published."""
    return f"train/{name}"


class TrainStageConfig(TrainConfig):
    """A training run and the data sets it uses."""

    name: str | None = Field(default=None, pattern=FOLDER_NAME, description="Name of the run; the net's by default.")
    dataset: str | None = Field(
        default=None,
        pattern=FOLDER_NAME,
        description="Data set of this scene to train on; without `data` the one that was written last, else none.",
    )
    data: tuple[DataSource, ...] = Field(default=(), description="Data sets elsewhere, each with a weight.")


class TrainStage:
    """Publishes `weights.safetensors`, `net.json`, `log.jsonl`, `curves.svg` and the card `README.md`."""

    name = "train"
    version = 1
    config_type = TrainStageConfig
    replaces_others = False

    def folder(self, config: TrainStageConfig) -> str:
        return run_folder(config.name or config.net)

    def inputs(self, paths: ScenePaths, config: TrainStageConfig) -> StageInputs:
        name = _own_dataset(paths, config)
        published = {dataset_folder(name): "label"} if name else {}
        external = {f"(data {number})": _index_of(source.path) for number, source in enumerate(config.data)}
        if config.start is not None:
            external |= {f"(start) {name}": path for name, path in net_files(config.start).items()}
        return StageInputs(published=published, external=external)

    def resources(self, config: TrainStageConfig) -> Resources:
        return Resources(cores=2, gpus=config.devices if config.device == "cuda" else 0, memory_mb=2000)

    def run(self, context: StageContext, config: TrainStageConfig) -> StageOutcome:
        from gs_stereo.nets.weights import save_net
        from gs_stereo.training.card import CARD_NAME, model_card
        from gs_stereo.training.record import LOG_NAME, write_record
        from gs_stereo.training.stereo.train import TrainingJob, train_net

        checkpoints = context.work_dir / CHECKPOINTS_FOLDER
        checkpoints.mkdir(exist_ok=True)
        job = TrainingJob(
            config=_run_settings(config),
            sources=_sources(context, config),
            seed=context.seed,
            folder=checkpoints,
            live_folder=context.work_dir,
        )
        logger.info("train: the log grows in %s", context.work_dir / LOG_NAME)
        with progress("train", config.steps, "step") as bar:
            result = train_net(job, bar.advance)
        save_net(context.work_dir, result.net, result.description)
        write_record(context.work_dir, result.records, tensorboard=config.tensorboard)
        write_text(context.work_dir / CARD_NAME, model_card(result, job))
        shutil.rmtree(checkpoints)
        return _outcome(result)


def _index_of(path: Path) -> Path:
    """The file that pins the content of a data set: its index, which holds the sha256 of the shards, or the shard."""
    from gs_stereo.datasets.schema import INDEX_NAME

    if (path / INDEX_NAME).is_file():
        return path / INDEX_NAME
    from gs_stereo.datasets.torch_reader import StereoDataset

    first = StereoDataset(path).shards[0]
    return path if path.is_file() else first.parent / INDEX_NAME


def _run_settings(config: TrainStageConfig) -> TrainConfig:
    return TrainConfig(**{name: getattr(config, name) for name in TrainConfig.model_fields})


def _own_dataset(paths: ScenePaths, config: TrainStageConfig) -> str | None:
    """The data set of the scene that is used, None if only others are."""
    return config.dataset or (None if config.data else paths.newest_dataset())


def _sources(context: StageContext, config: TrainStageConfig) -> tuple[DataSource, ...]:
    name = _own_dataset(context.paths, config)
    own = (DataSource(path=context.published(dataset_folder(name))),) if name else ()
    return (*own, *config.data)


def _outcome(result: TrainingResult) -> StageOutcome:
    from gs_stereo.training.record import ValidationRecord

    validations = [asdict(record) for record in result.records if isinstance(record, ValidationRecord)]
    summary = {"net": result.description.net, "pairs": str(result.training_pairs)}
    metrics: dict[str, Any] = {"training_pairs": result.training_pairs, "licence": result.description.licence}
    if validations:
        last = validations[-1]
        metrics["held_out"] = last
        summary["held-out EPE"] = f"{last['epe_px']:.2f} px, bad-2 {last['bad_2']:.1%} ({last['pairs']} pairs)"
    return StageOutcome(metrics=metrics, summary=summary, device=result.device)
