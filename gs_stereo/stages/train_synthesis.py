"""Data sets with stacks or pairs -> a model that makes second eyes in `train/<name>/`: weights, log, curves, card."""

from __future__ import annotations

import shutil
from typing import Any

from pydantic import Field

from gs_stereo.core.atomic import write_text
from gs_stereo.log import logger, progress
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.stages.train import CHECKPOINTS_FOLDER, DataChoice, data_inputs, data_sources, run_folder
from gs_stereo.synthesis.train_config import SynthesisTrainConfig


class TrainSynthesisConfig(SynthesisTrainConfig, DataChoice):
    """A training run and the data sets it uses."""

    name: str = Field(default="stereospace", pattern=FOLDER_NAME, description="Name of the run.")


class TrainSynthesisStage(Stage):
    """Publishes the weights in the layout they started from, `log.jsonl`, `curves.svg` and the card `README.md`."""

    name = "train-synthesis"
    version = 2
    config_type = TrainSynthesisConfig

    def folder(self, config: TrainSynthesisConfig) -> str:
        return run_folder(config.name)

    def inputs(self, paths: ScenePaths, config: TrainSynthesisConfig) -> StageInputs:
        from gs_stereo.synthesis.start import start_files

        start = {f"(start) {name}": path for name, path in start_files(config.start).items()}
        return data_inputs(paths, config, start)

    def resources(self, config: TrainSynthesisConfig) -> Resources:
        gpus = config.devices if config.device == "cuda" else 0
        pixels = config.batch_size * config.targets * config.width * config.height
        return Resources(cores=2, gpus=gpus, memory_mb=1000 + pixels // 200)  # as measured with the small model

    def run(self, context: StageContext, config: TrainSynthesisConfig) -> StageOutcome:
        from gs_stereo.synthesis.card import licence_of, synthesis_card
        from gs_stereo.synthesis.train import CURVES, SynthesisJob, kept_model, train_model
        from gs_stereo.training.card import CARD_NAME
        from gs_stereo.training.record import LOG_NAME, last_validation, write_record

        folder = context.work_dir
        checkpoints = folder / CHECKPOINTS_FOLDER
        checkpoints.mkdir(exist_ok=True)
        sources = data_sources(context, config)
        job = SynthesisJob(config=config, sources=sources, seed=context.seed, folder=checkpoints, live_folder=folder)
        logger.info("train-synthesis: the log grows in %s", folder / LOG_NAME)
        with progress("train", config.steps, "step") as bar:
            training = train_model(job, bar.advance)
        task, licence = training.task, licence_of(training.task)
        history = {"steps": config.steps, "seed": context.seed, "start": dict(task.start.sha256)}
        task.start.save(folder, kept_model(training), licence, history)
        write_record(folder, training.state.records, CURVES, tensorboard=config.tensorboard)
        write_text(folder / CARD_NAME, synthesis_card(training, job))
        shutil.rmtree(checkpoints)
        samples = sum(len(each.training) for each in task.data)
        metrics: dict[str, Any] = {"training_samples": samples, "licence": licence}
        summary = {"samples": str(samples)}
        if (last := last_validation(training.state.records)) is not None:
            metrics["held_out"] = {"step": last.step, **last.values}
            summary["held-out PSNR"] = (
                f"{last.values['psnr']:.2f} dB, the source itself {last.values['psnr_of_the_source']:.2f} dB"
            )
        return StageOutcome(metrics=metrics, summary=summary, device=task.device.type)
