"""A trained net or an expert on a benchmark, as a stage: `benchmark/<name>/scores.json`, the same bytes every time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from gs_stereo.core.atomic import write_text
from gs_stereo.matching.checkpoint_config import CheckpointConfig
from gs_stereo.matching.experts import external_files
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.stages.evaluate import EvaluateConfig, evaluate_expert
from gs_stereo.stages.train import run_folder

if TYPE_CHECKING:
    from gs_stereo.benchmarks.pair_report import BenchmarkReport

SCORES_NAME = "scores.json"
_TRAINED = "checkpoint"


class BenchmarkScoresConfig(EvaluateConfig):
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


def scores_folder(name: str) -> str:
    """Where scores are published."""
    return f"benchmark/{name}"


class BenchmarkScoresStage:
    """See the module."""

    name = "evaluate"
    version = 1
    config_type = BenchmarkScoresConfig
    replaces_others = False

    def folder(self, config: BenchmarkScoresConfig) -> str:
        return scores_folder(config.name or config.run or config.expert)

    def inputs(self, paths: ScenePaths, config: BenchmarkScoresConfig) -> StageInputs:
        trained = {run_folder(config.run): "train"} if config.run else {}
        weights = {} if config.run else external_files(config.expert, config.experts)
        return StageInputs(published=trained, external={**weights, **_benchmark_files(config)})

    def resources(self, config: BenchmarkScoresConfig) -> Resources:
        net = config.experts.checkpoint if config.run else config.experts.of(config.expert)
        return Resources(cores=2, gpus=net.gpus() if net else 0, memory_mb=1500)

    def run(self, context: StageContext, config: BenchmarkScoresConfig) -> StageOutcome:
        values = {name: getattr(config, name) for name in EvaluateConfig.model_fields}
        expert = config.expert
        if config.run:
            net = CheckpointConfig(checkpoint=context.published(run_folder(config.run)))
            values["experts"], expert = config.experts.model_copy(update={_TRAINED: net}), _TRAINED
        outcome = evaluate_expert(
            expert, config.benchmark, config.root, split=config.split, config=EvaluateConfig(**values)
        )
        write_text(context.work_dir / SCORES_NAME, json.dumps(outcome.to_json(costs=False), indent=1) + "\n")
        return _outcome(outcome.report)


def _benchmark_files(config: BenchmarkScoresConfig) -> Mapping[str, Path]:
    from gs_stereo.benchmarks.protocol import open_benchmark

    items = open_benchmark(config.benchmark, config.root, config.split).pairs[: config.limit]
    return {f"{item.name} {number}": path for item in items for number, path in enumerate(item.files)}


def _outcome(report: BenchmarkReport) -> StageOutcome:
    headline, rule = report.to_json()["headline"], report.protocol
    named = f"{rule.headline.replace('_', '-')} {rule.region}"
    shown = "-" if headline is None else f"{headline:.3f} px" if rule.headline == "epe" else f"{headline:.2%}"
    return StageOutcome(
        metrics={"headline": headline, "pairs": len(report.pairs), "seconds_a_frame_median": report.seconds_a_frame},
        summary={"pairs": str(len(report.pairs)), named: shown},
    )
