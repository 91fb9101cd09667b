"""Labels of planted photos against the objects that were planted -> `audit/report/`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from pydantic import Field

from gs_stereo.config import Config
from gs_stereo.core.atomic import write_text
from gs_stereo.core.records import read_record, write_record
from gs_stereo.errors import StageError
from gs_stereo.log import progress
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.manifest import read_manifest
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.splat import folder as splat_folder
from gs_stereo.stages import plant, reconstruct
from gs_stereo.stages.label import AUDIT_FOLDER, dataset_folder, made_of_dataset

if TYPE_CHECKING:
    from gs_stereo.audit.scores import AuditReport

RUN_FOLDER = "audit/run"
_PICTURES = 6


class AuditConfig(Config):
    """Which labels are audited, and what they must reach."""

    dataset: str = Field(default="fused", pattern=FOLDER_NAME, description="Name of the data set.")
    max_bad_1: float | None = Field(
        default=None, ge=0, le=1, description="Largest share of the labels that may be wrong by more than 1 px."
    )
    min_coverage: float | None = Field(
        default=None, ge=0, le=1, description="Smallest share of the pixels of objects that must have a label."
    )


def planted_scene(paths: ScenePaths) -> ScenePaths:
    """The planted photos as a scene of its own, with its own results."""
    return ScenePaths(scene=paths.published(plant.FOLDER), output=paths.published(RUN_FOLDER))


class AuditStage(Stage):
    """Publishes `audit.json`, `audit.txt` and pictures of planted photos, their labels and errors."""

    name = "audit"
    version = 6
    config_type = AuditConfig

    def folder(self, config: AuditConfig) -> str:
        return AUDIT_FOLDER

    def inputs(self, paths: ScenePaths, config: AuditConfig) -> StageInputs:
        labels = planted_scene(paths).published(dataset_folder(config.dataset))
        own = dataset_folder(config.dataset)
        published = {own: "label", plant.FOLDER: "audit", splat_folder.FOLDER: "fit", reconstruct.FOLDER: "reconstruct"}
        files = sorted([*labels.glob("*.h5"), *labels.glob("dataset.json")])
        return StageInputs(published=published, external={f"{config.dataset}/{path.name}": path for path in files})

    def resources(self, config: AuditConfig) -> Resources:
        return Resources(cores=2, memory_mb=900)

    def run(self, context: StageContext, config: AuditConfig) -> StageOutcome:
        from gs_stereo.audit.pictures import write_pictures
        from gs_stereo.audit.scores import REPORT_FILE, AuditReport, PlantedScores
        from gs_stereo.datasets.read import read_dataset
        from gs_stereo.datasets.schema import read_index
        from gs_stereo.io.colmap import read_model
        from gs_stereo.io.reconstruction import MODEL_FOLDER, load_summary
        from gs_stereo.pipeline.chain import Chain
        from gs_stereo.planting.objects import planted_world
        from gs_stereo.planting.plan import PLAN_FILE, AuditPlan
        from gs_stereo.planting.truth import planted_truth
        from gs_stereo.sfm.left_out import left_out_poses
        from gs_stereo.stages.registry import STAGES

        planted = planted_scene(context.paths)
        Chain(planted, STAGES).check([dataset_folder(config.dataset)])
        source = context.published_folder(reconstruct.FOLDER)
        plan_path = context.published(plant.FOLDER) / PLAN_FILE
        plan = read_record(AuditPlan, plan_path, fix="run `gsstereo audit` again with --force")
        world = planted_world(plan.objects, (), np.array(plan.up), plan.seed)
        renderer = splat_folder.load_renderer(context.published(splat_folder.FOLDER), "auto")
        labels = planted.published(dataset_folder(config.dataset))
        count = read_index(labels).sample_count
        scores = PlantedScores([item.kind for item in plan.objects], plan.blank_share)
        shown = set(range(0, count, -(-count // _PICTURES)))
        with progress("audit", count, "sample") as bar:
            for number, sample in enumerate(read_dataset(labels)):
                truth = planted_truth(world, sample.rig, renderer)
                scores.update(truth, sample.disparity, sample.confidence, sample.flags)
                if number in shown:
                    write_pictures(context.work_dir, sample, truth)
                bar.advance()
        summary = load_summary(source.path)
        photos = {file: photo for photo, file in summary.image_files.items()}
        left_out = left_out_poses(read_model(source.path / MODEL_FOLDER))
        fit = read_manifest(context.published(splat_folder.FOLDER))
        held_out = None if fit is None else fit.metrics.get("held_out_psnr_db")
        own = _confidences(context.published(dataset_folder(config.dataset)))
        report = AuditReport(
            dataset=config.dataset,
            objects=len(plan.objects),
            views=count,
            own=scores.of_own_labels(own, context.seed),
            regions=scores.compute(context.seed),
            cuts=scores.cuts(own),
            occlusion_f1=scores.occlusion_f1,
            mean_reprojection_error_px=summary.mean_reprojection_error_px,
            held_out_psnr_db=float(held_out) if isinstance(held_out, int | float) else None,
            left_out=left_out and replace(left_out, worst=photos[left_out.worst]),
        )
        write_record(context.work_dir / REPORT_FILE, report)
        write_text(context.work_dir / "audit.txt", report.to_table() + "\n")
        return _outcome(report, config)


def _confidences(dataset: Path) -> Float[np.ndarray, "256"]:
    """How many labels of a data set have which confidence, where both eyes see the scene."""
    from gs_stereo.datasets.read import read_dataset
    from gs_stereo.metrics.recalibration import LEVELS

    counts = np.zeros(LEVELS)
    for sample in read_dataset(dataset):
        seen = np.isfinite(sample.scene_depth) & sample.non_occluded
        counts += np.bincount(sample.confidence[seen], minlength=LEVELS)
    return counts


def _outcome(report: AuditReport, config: AuditConfig) -> StageOutcome:
    """The figures, and which limits are broken."""
    from gs_stereo.core.records import json_values

    scores = report.region("all")
    if scores is None:
        raise StageError("No label's view shows a planted object that both eyes see; plant more with --objects 40.")
    broken, bad_1 = [], report.own.bad_1
    if config.max_bad_1 is not None and not bad_1.value <= config.max_bad_1:
        broken.append(f"bad-1 is {bad_1.value:.2%}, above {config.max_bad_1:.2%}")
    if config.min_coverage is not None and not scores.coverage.value >= config.min_coverage:
        broken.append(f"coverage is {scores.coverage.value:.1%}, below {config.min_coverage:.1%}")
    return StageOutcome(
        metrics={**json_values(report), "broken_limits": broken},
        summary={
            "objects": str(report.objects),
            "coverage of objects": f"{scores.coverage.text(100, 1)} %",
            "bad-1": f"{bad_1.text(100, 2)} %",
        },
        text="\n".join([f"Labels {report.dataset} on planted objects (95 % intervals):", report.to_table(), *broken]),
    )


def audit_of(paths: ScenePaths, dataset: str) -> str | None:
    """The folder of results that audits a data set, unless the set was made anew since."""
    return AUDIT_FOLDER if made_of_dataset(paths, AUDIT_FOLDER, dataset) else None
