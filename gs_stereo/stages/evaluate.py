"""A trained net or an expert on a benchmark -> `benchmark/<name>/scores.json`, the same bytes every time."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from gs_stereo.benchmarks.evaluate_matcher import EvaluateConfig, evaluate_expert
from gs_stereo.benchmarks.protocol import open_benchmark
from gs_stereo.core.atomic import write_text
from gs_stereo.matching.checkpoint_config import CheckpointConfig
from gs_stereo.matching.experts import idle_expert
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.stages.train import run_folder

SCORES_NAME = "scores.json"


class EvaluateStageConfig(EvaluateConfig):
    """Who is scored on what."""

    name: str | None = Field(
        default=None, pattern=FOLDER_NAME, description="Name of the scores; by default that of the run or expert."
    )
    run: str | None = Field(
        default=None, pattern=FOLDER_NAME, description="Name of the run of `train` whose net is scored; None: `expert`."
    )
    expert: str = Field(default="sgbm", description="Name of the expert that is scored if there is no `run`.")
    benchmark: str = Field(default="folder", description="Name of the benchmark.")
    root: Path | None = Field(default=None, description="Folder of the benchmark.")
    split: str | None = Field(default=None, description="Part of the benchmark.")

    def idle(self, given: Mapping[str, Any]) -> str | None:
        return idle_expert(given.get("experts", {}), () if self.run else (self.expert,)) or super().idle(given)


def scores_folder(name: str) -> str:
    """Where scores are published."""
    return f"benchmark/{name}"


class EvaluateStage(Stage):
    """See the module."""

    name = "evaluate"
    version = 1
    config_type = EvaluateStageConfig

    def folder(self, config: EvaluateStageConfig) -> str:
        return scores_folder(config.name or config.run or config.expert)

    def inputs(self, paths: ScenePaths, config: EvaluateStageConfig) -> StageInputs:
        trained = {run_folder(config.run): "train"} if config.run else {}
        weights = {} if config.run else config.experts.of(config.expert).external_files()
        items = open_benchmark(config.benchmark, config.root, config.split).pairs[: config.limit]
        pairs = {f"{item.name} {number}": path for item in items for number, path in enumerate(item.files)}
        return StageInputs(published=trained, external={**weights, **pairs})

    def resources(self, config: EvaluateStageConfig) -> Resources:
        net = config.experts.checkpoint if config.run else config.experts.of(config.expert)
        return Resources(cores=2, gpus=net.gpus() if net else 0, memory_mb=1000)

    def run(self, context: StageContext, config: EvaluateStageConfig) -> StageOutcome:
        expert, settings = config.expert, config
        if config.run:
            net = CheckpointConfig(checkpoint=context.published(run_folder(config.run)))
            experts = config.experts.model_copy(update={"checkpoint": net})
            expert, settings = "checkpoint", config.model_copy(update={"experts": experts})
        outcome = evaluate_expert(expert, open_benchmark(config.benchmark, config.root, config.split), settings)
        write_text(context.work_dir / SCORES_NAME, json.dumps(outcome.to_json(costs=False), indent=1) + "\n")
        report, rule = outcome.report, outcome.report.protocol
        headline, pairs = report.to_json()["headline"], len(report.pairs)
        shown = "-" if headline is None else f"{headline:.3f} px" if rule.headline == "epe" else f"{headline:.2%}"
        return StageOutcome(
            metrics={"headline": headline, "pairs": pairs},  # no times: the same for the same inputs
            summary={"pairs": str(pairs), f"{rule.headline.replace('_', '-')} {rule.region}": shown},
        )
