"""A splat -> rectified stereo pairs with depth in `pairs/<name>/`, one folder a pair."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from gs_stereo.core.atomic import write_text
from gs_stereo.errors import StageError
from gs_stereo.log import progress
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import StageContext, StageInputs, StageOutcome
from gs_stereo.splat import folder as splat_folder
from gs_stereo.splat.pairs_config import PairsConfig
from gs_stereo.stages import reconstruct

if TYPE_CHECKING:
    from gs_stereo.splat.guards import Capture
    from gs_stereo.splat.pair_planner import PairPlan
    from gs_stereo.splat.pairs import SplatRenderer

INDEX_NAME = "pairs.json"


class RenderPairsConfig(PairsConfig):
    """How pairs are rendered, by what, and the name of the set."""

    name: str = Field(default="default", pattern=FOLDER_NAME, description="Name of this set of pairs.")
    backend: str = Field(default="auto", description="Rasterizer: auto, cpu or gsplat.")


@dataclass(frozen=True, kw_only=True)
class PairJob:
    """One pair to render: a unit of work."""

    plan: PairPlan
    config: RenderPairsConfig
    reconstruct_dir: Path
    fit_dir: Path
    work_dir: Path


@dataclass(frozen=True, kw_only=True)
class PairDone:
    """What became of a pair: its numbers, and why it was refused (None = it was written)."""

    sample_id: str
    view_id: str
    refusal: str | None
    measures: dict[str, Any]


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

    def run(self, context: StageContext, config: RenderPairsConfig) -> StageOutcome:
        from gs_stereo.io.reconstruction import load_sparse_scene
        from gs_stereo.splat.pair_planner import plan_pairs

        plans = plan_pairs(load_sparse_scene(context.published(reconstruct.FOLDER)), config, context.seed)
        _loaded.cache_clear()  # another splat may have been loaded in this process
        todo = [plan for plan in plans if not context.units.done(plan.sample_id)]
        jobs = [_job(context, config, plan) for plan in todo]
        with progress("render-pairs", len(plans), "pair") as bar:
            bar.advance(len(plans) - len(todo))
            # One process: the engine uses all cores, and the splat is loaded once.
            for done in context.executor.map(render_job, jobs, workers=1):
                folder = context.work_dir / done.sample_id
                files = [] if done.refusal else sorted(path for path in folder.iterdir() if path.is_file())
                context.units.record(done.sample_id, files, done.__dict__)
                bar.advance(1, done.refusal or "")
        results = [PairDone(**context.units.result(plan.sample_id)) for plan in plans]
        return _publish(context, results)


def _job(context: StageContext, config: RenderPairsConfig, plan: PairPlan) -> PairJob:
    return PairJob(
        plan=plan,
        config=config,
        reconstruct_dir=context.published(reconstruct.FOLDER),
        fit_dir=context.published(splat_folder.FOLDER),
        work_dir=context.work_dir,
    )


def render_job(job: PairJob) -> PairDone:
    """Render one pair and write its folder, unless a guard refuses it."""
    from gs_stereo.io.pairs import write_pair
    from gs_stereo.splat.pairs import render_planned_pair

    renderer, capture = _loaded(job.reconstruct_dir, job.fit_dir, job.config.backend)
    outcome = render_planned_pair(job.plan, renderer, capture, job.config)
    measures = outcome.measures.to_json()
    if outcome.pair is not None:
        write_pair(job.work_dir / job.plan.sample_id, outcome.pair, measures)
    return PairDone(sample_id=job.plan.sample_id, view_id=job.plan.view_id, refusal=outcome.refusal, measures=measures)


@lru_cache(maxsize=1)
def _loaded(reconstruct_dir: Path, fit_dir: Path, backend: str) -> tuple[SplatRenderer, Capture]:
    """The splat and the capture, loaded once a process."""
    from gs_stereo.io.reconstruction import load_sparse_scene
    from gs_stereo.labels.photos import PhotosOfReconstruction
    from gs_stereo.splat.guards import Capture

    renderer = splat_folder.load_renderer(fit_dir, backend)
    photos = PhotosOfReconstruction(reconstruct_dir)
    return renderer, Capture(scene=load_sparse_scene(reconstruct_dir), photos=photos)


def _publish(context: StageContext, results: list[PairDone]) -> StageOutcome:
    made = [done for done in results if done.refusal is None]
    drops = Counter(done.refusal for done in results if done.refusal is not None)
    if not made:
        counted = ", ".join(f"{count} x {reason}" for reason, count in sorted(drops.items()))
        raise StageError(
            f"Every one of the {len(results)} views was refused ({counted}); "
            "fit longer, choose a smaller baseline, or relax render-pairs.guards."
        )
    write_text(
        context.work_dir / INDEX_NAME,
        json.dumps({"pairs": [done.__dict__ for done in results]}, indent=1, ensure_ascii=False) + "\n",
    )
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


def read_index(folder: Path) -> list[PairDone]:
    """The pairs that were written to a published set, in order."""
    values = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
    return [done for done in (PairDone(**entry) for entry in values["pairs"]) if done.refusal is None]
