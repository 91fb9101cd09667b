"""A splat -> rectified stereo pairs with depth in `pairs/<name>/`, one folder a pair."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from gs_stereo.errors import StageError
from gs_stereo.io.pair_index import PairEntry, write_pair_index
from gs_stereo.log import progress
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.manifest import PublishedFolder
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.splat import folder as splat_folder
from gs_stereo.splat.pairs_config import PairsConfig
from gs_stereo.stages import reconstruct

if TYPE_CHECKING:
    from gs_stereo.splat.guards import Capture
    from gs_stereo.splat.pair_planner import PairPlan


class RenderPairsConfig(PairsConfig):
    """How pairs are rendered, by what, and the name of the set."""

    name: str = Field(default="default", pattern=FOLDER_NAME, description="Name of this set of pairs.")
    backend: str = Field(default="auto", description="Rasterizer: auto, cpu or gsplat.")


@dataclass(frozen=True, kw_only=True)
class PairJob:
    """One pair to render: a unit of work."""

    plan: PairPlan
    config: RenderPairsConfig
    reconstruction: PublishedFolder
    fit: PublishedFolder
    work_dir: Path


def pairs_folder(name: str) -> str:
    """Where a set of pairs is published."""
    return f"pairs/{name}"


class RenderPairsStage:
    """Publishes a folder a pair and `pairs.json`: what was rendered, what was refused and why."""

    name = "render-pairs"
    version = 1
    config_type = RenderPairsConfig
    replaces_others = False

    def folder(self, config: RenderPairsConfig) -> str:
        return pairs_folder(config.name)

    def inputs(self, paths: ScenePaths, config: RenderPairsConfig) -> StageInputs:
        external = {"(views file)": Path(config.views_file)} if config.views_file else {}
        published = {reconstruct.FOLDER: "reconstruct", splat_folder.FOLDER: "fit"}
        return StageInputs(published=published, external=external)

    def resources(self, config: RenderPairsConfig) -> Resources:
        return Resources(cores=2, gpus=int(config.backend == "gsplat"), memory_mb=1000)

    def run(self, context: StageContext, config: RenderPairsConfig) -> StageOutcome:
        from gs_stereo.io.reconstruction import load_sparse_scene
        from gs_stereo.splat.pair_planner import plan_pairs

        plans = plan_pairs(load_sparse_scene(context.published(reconstruct.FOLDER)), config, context.seed)
        todo = [plan for plan in plans if not context.units.done(plan.sample_id)]
        jobs = [_job(context, config, plan) for plan in todo]
        with progress("render-pairs", len(plans), "pair") as bar:
            bar.advance(len(plans) - len(todo))
            # One process: the engine uses all cores, and the splat is loaded once.
            for done in context.executor.map(render_job, jobs, workers=1):
                folder = context.work_dir / done.sample_id
                files = [] if done.refusal else sorted(path for path in folder.iterdir() if path.is_file())
                context.units.record(done.sample_id, files, asdict(done))
                bar.advance(1, done.refusal or "")
        results = [PairEntry(**context.units.result(plan.sample_id)) for plan in plans]
        return _publish(context, results)


def _job(context: StageContext, config: RenderPairsConfig, plan: PairPlan) -> PairJob:
    return PairJob(
        plan=plan,
        config=config,
        reconstruction=context.published_folder(reconstruct.FOLDER),
        fit=context.published_folder(splat_folder.FOLDER),
        work_dir=context.work_dir,
    )


def render_job(job: PairJob) -> PairEntry:
    """Render one pair and write its folder, unless a guard refuses it."""
    from gs_stereo.io.pairs import write_pair
    from gs_stereo.splat.folder import load_renderer
    from gs_stereo.splat.pairs import render_planned_pair

    renderer = worker_state.get(
        "renderer", (job.fit.fingerprint, job.config.backend), lambda: load_renderer(job.fit.path, job.config.backend)
    )
    capture = worker_state.get("capture", job.reconstruction.fingerprint, lambda: _capture(job.reconstruction.path))
    outcome = render_planned_pair(job.plan, renderer, capture, job.config)
    measures = outcome.measures.to_json()
    if outcome.pair is not None:
        write_pair(job.work_dir / job.plan.sample_id, outcome.pair, measures)
    return PairEntry(sample_id=job.plan.sample_id, view_id=job.plan.view_id, refusal=outcome.refusal, measures=measures)


def _capture(folder: Path) -> Capture:
    from gs_stereo.io.reconstruction import PhotosOfReconstruction, load_sparse_scene
    from gs_stereo.splat.guards import Capture

    return Capture(scene=load_sparse_scene(folder), photos=PhotosOfReconstruction(folder))


def _publish(context: StageContext, results: list[PairEntry]) -> StageOutcome:
    made = [done for done in results if done.refusal is None]
    drops = Counter(done.refusal for done in results if done.refusal is not None)
    if not made:
        counted = ", ".join(f"{count} x {reason}" for reason, count in sorted(drops.items()))
        raise StageError(
            f"Every one of the {len(results)} views was refused ({counted}); "
            "fit longer, choose a smaller baseline, or relax render-pairs.guards."
        )
    write_pair_index(context.work_dir, results)
    disparities = sorted(done.measures["median_disparity_px"] for done in made)
    baselines = sorted(done.measures["baseline"] for done in made)
    return StageOutcome(
        metrics={"pairs": len(made), "refused": len(results) - len(made), "baselines": [baselines[0], baselines[-1]]},
        drops=drops,
        summary={
            "pairs": f"{len(made)} of {len(results)}",
            "baseline": f"{baselines[0]:.4g} to {baselines[-1]:.4g}",
            "median disparity": f"{disparities[0]:.1f} to {disparities[-1]:.1f} px",
        },
    )
