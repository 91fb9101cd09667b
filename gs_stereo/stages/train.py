"""Data sets -> a trained net in `train/<name>/`: weights, description, log and curves.

A stage and no free-standing verb: so training has what every result has (a manifest with seed, settings and
fingerprints of the data, skipping, resuming, atomic publication), and a recipe can end with it. SCENE is where the run
is published; its own data set is used unless others are named.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.core.atomic import write_text
from gs_stereo.datasets.schema import INDEX_NAME, find_dataset
from gs_stereo.log import logger, progress
from gs_stereo.nets.shipped import net_files
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.stages.label import dataset_folder
from gs_stereo.training.config import DataSource
from gs_stereo.training.stereo.config import TrainConfig

CHECKPOINTS_FOLDER = ".checkpoints"


def run_folder(name: str) -> str:
    """Where a trained net is published."""
    return f"train/{name}"


class DataChoice(Config):
    """The data sets of a training run."""

    dataset: str | None = Field(
        default=None,
        pattern=FOLDER_NAME,
        description="Data set of this scene to train on; without `data` the one that was written last, else none.",
    )
    data: tuple[DataSource, ...] = Field(default=(), description="Data sets elsewhere, each with a weight.")


class TrainStageConfig(TrainConfig, DataChoice):
    """A training run and the data sets it uses."""

    name: str | None = Field(default=None, pattern=FOLDER_NAME, description="Name of the run; the net's by default.")


class TrainStage(Stage):
    """Publishes `weights.safetensors`, `net.json`, `log.jsonl`, `curves.svg` and the card `README.md`."""

    name = "train"
    version = 2
    config_type = TrainStageConfig

    def folder(self, config: TrainStageConfig) -> str:
        return run_folder(config.name or config.net)

    def inputs(self, paths: ScenePaths, config: TrainStageConfig) -> StageInputs:
        files = {} if config.start is None else net_files(config.start)
        return data_inputs(paths, config, {f"(start) {name}": path for name, path in files.items()})

    def resources(self, config: TrainStageConfig) -> Resources:
        pixels = config.batch_size * config.crop_height * config.crop_width
        gpus = config.devices if config.device == "cuda" else 0
        return Resources(cores=2, gpus=gpus, memory_mb=500 + pixels // 200)  # as measured with the net `lite`

    def run(self, context: StageContext, config: TrainStageConfig) -> StageOutcome:
        from gs_stereo.nets.weights import save_net
        from gs_stereo.training.card import CARD_NAME
        from gs_stereo.training.record import LOG_NAME, last_validation, write_record
        from gs_stereo.training.stereo.card import stereo_card
        from gs_stereo.training.stereo.task import CURVES
        from gs_stereo.training.stereo.train import TrainingJob, train_net

        folder = context.work_dir
        checkpoints = folder / CHECKPOINTS_FOLDER
        checkpoints.mkdir(exist_ok=True)
        sources = data_sources(context, config)
        job = TrainingJob(config=config, sources=sources, seed=context.seed, folder=checkpoints, live_folder=folder)
        logger.info("train: the log grows in %s", folder / LOG_NAME)
        with progress("train", config.steps, "step") as bar:
            result = train_net(job, bar.advance)
        save_net(folder, result.net, result.description)
        write_record(folder, result.records, CURVES, tensorboard=config.tensorboard)
        write_text(folder / CARD_NAME, stereo_card(result, job))
        shutil.rmtree(checkpoints)
        summary = {"net": result.description.net, "pairs": str(result.training_pairs)}
        metrics: dict[str, Any] = {"training_pairs": result.training_pairs, "licence": result.description.licence}
        if (last := last_validation(result.records)) is not None:
            scores = last.values
            metrics["held_out"] = {"step": last.step, **scores}
            summary["held-out EPE"] = (
                f"{scores['epe_px']:.2f} px, bad-2 {scores['bad_2']:.1%} ({scores['pairs']} pairs)"
            )
        return StageOutcome(metrics=metrics, summary=summary, device=result.device)


def data_inputs(paths: ScenePaths, config: DataChoice, start: Mapping[str, Path]) -> StageInputs:
    """The data sets and the start weights of a run. The index of a data set holds the sha256 of its shards."""
    name = _own_dataset(paths, config)
    pinned = [path if path.is_file() else find_dataset(path) / INDEX_NAME for path in (d.path for d in config.data)]
    external = {**{f"(data {number})": path for number, path in enumerate(pinned)}, **start}
    return StageInputs(published={dataset_folder(name): "label"} if name else {}, external=external)


def data_sources(context: StageContext, config: DataChoice) -> tuple[DataSource, ...]:
    """The data sets of a run: the scene's own, if it is used, and those elsewhere."""
    name = _own_dataset(context.paths, config)
    own = (DataSource(path=context.published(dataset_folder(name))),) if name else ()
    return (*own, *config.data)


def _own_dataset(paths: ScenePaths, config: DataChoice) -> str | None:
    """The data set of the scene that is used, None if only others are."""
    return config.dataset or (None if config.data else paths.newest_dataset())
