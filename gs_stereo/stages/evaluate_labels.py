"""Labels against exact truth -> `evaluation/<dataset>/` with a report as JSON and as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.core.atomic import write_text
from gs_stereo.errors import InputError
from gs_stereo.log import Progress, progress
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.stages.label import dataset_folder, made_of_dataset

if TYPE_CHECKING:
    from gs_stereo.benchmarks.evaluate_labels import LabelledView


class EvaluateLabelsConfig(Config):
    """Which data set is compared with which truth."""

    dataset: str = Field(default="fused", pattern=FOLDER_NAME, description="Name of the data set.")
    truth: str = Field(default=".", description="Folder with exact truth, relative to the scene.")
    split: Literal["train", "test"] = Field(default="train", description="Which views of the truth.")
    mapping: Literal["photo", "ray"] = Field(
        default="photo", description="photo: labels of re-rendered photos. ray: views with intrinsics of their own."
    )


def evaluation_folder(dataset: str) -> str:
    """Where the comparison of a data set with exact truth is published."""
    return f"evaluation/{dataset}"


def evaluation_of(paths: ScenePaths, dataset: str) -> str | None:
    """The folder of results that compares a data set with exact truth, unless the set was made anew since."""
    folder = evaluation_folder(dataset)
    return folder if made_of_dataset(paths, folder, dataset) else None


class EvaluateLabelsStage(Stage):
    """See the module."""

    name = "evaluate-labels"
    version = 4
    config_type = EvaluateLabelsConfig

    def folder(self, config: EvaluateLabelsConfig) -> str:
        return evaluation_folder(config.dataset)

    def inputs(self, paths: ScenePaths, config: EvaluateLabelsConfig) -> StageInputs:
        truth = paths.scene / config.truth
        if not (truth / "poses.json").is_file():
            raise InputError(
                f"{truth} holds no exact truth (no poses.json); name a folder made by `gsstereo sample` with --truth."
            )
        files = {path.relative_to(truth).as_posix(): path for path in truth.glob(f"gt/{config.split}/*.npz")}
        return StageInputs(
            published={dataset_folder(config.dataset): "label"}, external={**files, "poses.json": truth / "poses.json"}
        )

    def resources(self, config: EvaluateLabelsConfig) -> Resources:
        return Resources()

    def run(self, context: StageContext, config: EvaluateLabelsConfig) -> StageOutcome:
        from gs_stereo.benchmarks.evaluate_labels import LabelProtocol, evaluate_labels
        from gs_stereo.benchmarks.exact import load_exact_scene
        from gs_stereo.benchmarks.label_report import reliability_plot
        from gs_stereo.datasets.schema import read_index

        folder = context.published(dataset_folder(config.dataset))
        index = read_index(folder)
        protocol = LabelProtocol(split=config.split, mapping=config.mapping, metres_per_unit=index.metres_per_unit)
        scene = load_exact_scene(context.paths.scene / config.truth)
        with progress("evaluate-labels", index.sample_count, "sample") as bar:
            report = evaluate_labels(_labelled(folder, bar), scene, protocol)
        values = report.to_json()
        write_text(context.work_dir / "report.json", json.dumps(values, indent=1) + "\n")
        write_text(context.work_dir / "report.txt", f"{report.to_table()}\n\n{reliability_plot(report)}\n")
        scores = next(region for region in report.together.regions if region.region == "non_occluded").disparity
        summary = {
            "labels": config.dataset,
            "EPE": f"{scores.epe_all_pixels:.3f} px where both eyes see",
            "bad-1": f"{scores.bad_all_pixels[1.0]:.2%}",
            "coverage": f"{scores.coverage:.1%}",
        }
        return StageOutcome(metrics=values, summary=summary, text=f"Data set {config.dataset}. {report.to_table()}")


def _labelled(folder: Path, bar: Progress) -> Iterator[LabelledView]:
    from gs_stereo.benchmarks.evaluate_labels import LabelledView
    from gs_stereo.datasets.read import read_dataset

    for sample in read_dataset(folder):
        yield LabelledView(
            view_name=sample.view_id,
            intrinsics=sample.intrinsics,
            baseline=sample.baseline,
            disparity=sample.disparity,
            confidence=sample.confidence,
            flags=sample.flags,
        )
        bar.advance()
