"""A data set and all that led to it -> `report/` with the verdict, as a page for people and as JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from gs_stereo.core.atomic import write_text
from gs_stereo.core.hashing import sha256_file
from gs_stereo.core.records import json_values
from gs_stereo.datasets.schema import INDEX_NAME, read_index
from gs_stereo.errors import InputError
from gs_stereo.log import progress
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.manifest import MANIFEST_NAME, PublishedFolder
from gs_stereo.pipeline.scene import DATASETS_FOLDER, ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.report.config import ReportConfig
from gs_stereo.splat import folder as splat_folder
from gs_stereo.stages import reconstruct
from gs_stereo.stages.audit import audit_of
from gs_stereo.stages.evaluate_labels import evaluation_of
from gs_stereo.stages.render_pairs import pairs_folder

if TYPE_CHECKING:
    from gs_stereo.quality.advice import Advice

FOLDER = "report"
PAGE_NAME = "index.html"
QUALITY_NAME = "quality.json"


class ReportStage(Stage):
    """Publishes `index.html` and `quality.json`."""

    name = "report"
    version = 4
    config_type = ReportConfig

    def folder(self, config: ReportConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: ReportConfig) -> StageInputs:
        """The shards themselves are fingerprinted, so that one that was changed by hand is judged anew."""
        if (pairs := _pairs(paths, config)) is not None:
            beside = {reconstruct.FOLDER: "reconstruct", splat_folder.FOLDER: "fit"}
            made = {folder: verb for folder, verb in beside.items() if _has_manifest(paths.published(folder))}
            return StageInputs(published={pairs_folder(pairs): "render-pairs", **made})
        name = config.dataset or next(reversed(paths.datasets()), None)
        if name is None:
            return StageInputs()
        folder = paths.published(DATASETS_FOLDER) / name
        files = sorted([*folder.glob("*.h5"), *folder.glob(INDEX_NAME)])
        published = {f"{DATASETS_FOLDER}/{name}": "label"} if _has_manifest(folder) or not files else {}
        if evaluation := evaluation_of(paths, name):
            published[evaluation] = "evaluate-labels"
        if audit := audit_of(paths, name):
            published[audit] = "audit"
        if _has_manifest(paths.published(reconstruct.FOLDER)):
            published[reconstruct.FOLDER] = "reconstruct"
        return StageInputs(published=published, external={f"{name}/{path.name}": path for path in files})

    def resources(self, config: ReportConfig) -> Resources:
        return Resources(cores=2, gpus=int(config.backend == "gsplat"), memory_mb=1000)

    def run(self, context: StageContext, config: ReportConfig) -> StageOutcome:
        from gs_stereo.quality.dataset import measure_dataset
        from gs_stereo.quality.measure import MeasureUnit, chosen_numbers, damaged_shards, measure_unit
        from gs_stereo.quality.verdict import judge, sample_numbers
        from gs_stereo.report.collect import capture_of, report_facts
        from gs_stereo.report.page import render_page

        limits, paths = config.limits, context.paths
        if (pairs := _pairs(paths, config)) is not None:
            from gs_stereo.report.pairs_page import pairs_page

            write_text(context.work_dir / PAGE_NAME, pairs_page(paths, config, pairs))
            return StageOutcome(text=f"Pairs {pairs}: to look at, without a verdict.")
        name = config.dataset or paths.newest_dataset()
        folder = paths.published(DATASETS_FOLDER) / name
        index = read_index(folder)
        damaged = damaged_shards(folder, index)
        dataset = PublishedFolder(path=folder, fingerprint=sha256_file(folder / INDEX_NAME))
        capture = capture_of(paths, folder)
        numbers = chosen_numbers(index.sample_count, limits.max_samples, context.seed)
        units = [
            MeasureUnit(dataset=dataset, number=number, reconstruction=capture, limits=limits) for number in numbers
        ]
        try:
            samples = []
            with progress("report", len(units), "sample") as bar:
                for measured in context.executor.map(measure_unit, units):
                    samples.append(measured)
                    bar.advance()
            size = {"width": index.width, "sample_count": index.sample_count}
            measures = measure_dataset(samples, limits, **size, damaged_shards=damaged, fitted=capture is not None)
            verdict = judge(measures, limits)
            advice = None if capture is None or verdict.name == "pass" else _advice(capture, dataset)
            page = render_page(report_facts(paths, config, dataset, numbers, measures, verdict, advice))
        finally:
            worker_state.forget("samples")  # closes the shards
        values = {"dataset": name, **verdict.to_json()}
        if advice is not None:
            values["advice"] = json_values(advice)
        document = {**values, "samples": sample_numbers(measures)}
        write_text(context.work_dir / QUALITY_NAME, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        write_text(context.work_dir / PAGE_NAME, page)
        return StageOutcome(
            metrics=values,
            summary={"verdict": verdict.name, "reasons": str(len(verdict.reasons))},
            text="\n".join([f"Data set {name}. {verdict.to_text()}", *([advice.to_text()] if advice else [])]),
        )


def _advice(capture: PublishedFolder, dataset: PublishedFolder) -> Advice | None:
    """Where the next photos should be taken; None where the scene is too small to say, or is seen well enough."""
    from gs_stereo.io.reconstruction import load_sparse_scene
    from gs_stereo.quality.advice import advise, labels_of
    from gs_stereo.quality.measure import samples_of

    try:
        found = advise(load_sparse_scene(capture.path), labels_of(samples_of(dataset)))
    except InputError:
        return None
    return found if found.photos else None


def _pairs(paths: ScenePaths, config: ReportConfig) -> str | None:
    """The set of pairs to look at instead of a data set."""
    if config.pairs is not None or config.dataset is not None or paths.datasets():
        return config.pairs
    made = [path.parent for path in paths.published("pairs").glob(f"*/{MANIFEST_NAME}") if "." not in path.parent.name]
    return max(made, key=lambda folder: (folder.stat().st_mtime_ns, folder.name)).name if made else None


def _has_manifest(folder: Path) -> bool:
    return (folder / MANIFEST_NAME).is_file()
