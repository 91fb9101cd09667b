"""A splat -> rectified stereo pairs with depth in `pairs/<name>/`, one folder a pair."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from gs_stereo.core.hashing import unit_seed
from gs_stereo.core.records import json_values
from gs_stereo.errors import StageError
from gs_stereo.io.pair_index import PairEntry, write_pair_index
from gs_stereo.io.rigs import read_rig, rig_parts
from gs_stereo.io.view_files import view_file_parts
from gs_stereo.log import progress
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.manifest import PublishedFolder, read_manifest
from gs_stereo.pipeline.scene import FOLDER_NAME, ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.splat import folder as splat_folder
from gs_stereo.splat.pairs_config import PairsConfig
from gs_stereo.stages import reconstruct
from gs_stereo.stages.import_splat import ImportSplatStage

if TYPE_CHECKING:
    from gs_stereo.imaging.sensor_config import SensorConfig
    from gs_stereo.splat.pair_planner import PairPlan


class RenderPairsConfig(PairsConfig):
    """How pairs are rendered, by what, and the name of the set."""

    name: str = Field(default="default", pattern=FOLDER_NAME, description="Name of this set of pairs.")
    backend: str = Field(default="auto", description="Rasterizer: auto, cpu or gsplat.")


def pairs_folder(name: str) -> str:
    """Where a set of pairs is published."""
    return f"pairs/{name}"


class RenderPairsStage(Stage):
    """Publishes a folder a pair and `pairs.json`: what was rendered, what was refused and why."""

    name = "render-pairs"
    version = 1
    config_type = RenderPairsConfig

    def folder(self, config: RenderPairsConfig) -> str:
        return pairs_folder(config.name)

    def inputs(self, paths: ScenePaths, config: RenderPairsConfig) -> StageInputs:
        external = {}
        if config.views_file:
            path = paths.scene / config.views_file
            external = {f"(views file) {part.relative_to(path)}": part for part in view_file_parts(path)}
        if config.rig:
            external |= {f"(rig) {number}": part for number, part in enumerate(rig_parts(paths.scene / config.rig))}
        published = {splat_folder.FOLDER: "fit"}
        if not splat_without_photos(paths):
            published[reconstruct.FOLDER] = "reconstruct"
        return StageInputs(published=published, external=external)

    def resources(self, config: RenderPairsConfig) -> Resources:
        return Resources(cores=2, gpus=int(config.backend == "gsplat"), memory_mb=700)

    def run(self, context: StageContext, config: RenderPairsConfig) -> StageOutcome:
        from gs_stereo.splat.pair_planner import plan_pairs

        given = {name: getattr(config, name) for name in ("rig", "views_file")}
        found = {name: str(context.paths.scene / path) for name, path in given.items() if path}
        config = config.model_copy(update=found)  # a path is from the scene, as in `inputs`
        without_photos = splat_without_photos(context.paths)
        reconstruction = None if without_photos else context.published_folder(reconstruct.FOLDER)
        fit, folder = context.published_folder(splat_folder.FOLDER), context.work_dir
        scene = splat_folder.load_scene(reconstruction.path if reconstruction else None, fit.path)
        plans = plan_pairs(scene, config, context.seed)
        sensor = read_rig(Path(config.rig)).sensor if config.rig else None
        units = [
            PairUnit(
                plan=plan,
                config=config,
                reconstruction=reconstruction,
                fit=fit,
                folder=folder / plan.sample_id,
                sensor=sensor,
                run_seed=context.seed,
            )
            for plan in plans
            if not context.units.done(plan.sample_id)
        ]
        with progress("render-pairs", len(plans), "pair") as bar:
            bar.advance(len(plans) - len(units))
            # One process: the engine uses all cores, and the splat is loaded once.
            for unit, entry in zip(units, context.executor.map(render_unit, units, workers=1), strict=True):
                files = [] if entry.refusal else sorted(path for path in unit.folder.iterdir() if path.is_file())
                context.units.record(entry.sample_id, files, asdict(entry))
                bar.advance(1, entry.refusal or "")
        entries = [PairEntry(**context.units.result(plan.sample_id)) for plan in plans]
        outcome = _outcome(entries)
        write_pair_index(folder, entries)
        return outcome


def splat_without_photos(paths: ScenePaths) -> bool:
    """Whether the splat was imported and there are no photos beside it: then nothing needs a reconstruction."""
    if read_manifest(paths.published(reconstruct.FOLDER)) is not None:
        return False
    fit = read_manifest(paths.published(splat_folder.FOLDER))
    return fit is not None and fit.stage == ImportSplatStage.name


@dataclass(frozen=True, kw_only=True)
class PairUnit:
    """One pair to render, into its own folder.

    reconstruction: None of a splat without photos. sensor: what the camera does to the images.
    """

    plan: PairPlan
    config: RenderPairsConfig
    reconstruction: PublishedFolder | None
    fit: PublishedFolder
    folder: Path
    sensor: SensorConfig | None
    run_seed: int


def render_unit(unit: PairUnit) -> PairEntry:
    """Render one pair and write its folder, unless a guard refuses it."""
    from gs_stereo.imaging.sensor import SensedPair, sensed
    from gs_stereo.io.pairs import write_pair
    from gs_stereo.planting.pairs import with_flying_objects
    from gs_stereo.splat.guards import Capture
    from gs_stereo.splat.pairs import render_planned_pair

    fit, source = unit.fit, unit.reconstruction
    scene = worker_state.loaded("scene", splat_folder.load_scene, source, fit)
    photos = worker_state.loaded("photos", splat_folder.load_photos, source, fit) if source else None
    renderer = worker_state.loaded("renderer", splat_folder.load_renderer, fit, unit.config.backend)
    outcome = render_planned_pair(unit.plan, renderer, Capture(scene=scene, photos=photos), unit.config)
    measures = json_values(outcome.measures)
    plan, pair = unit.plan, outcome.pair
    if pair is not None:
        left, right, seen = pair.left, pair.right, None
        if unit.config.objects:
            seed = unit_seed(unit.run_seed, f"objects {plan.sample_id}")
            drawn = with_flying_objects(pair, unit.config.objects, seed, unit.run_seed)
            pair, left, right = drawn.pair, drawn.left, drawn.right
            measures["objects"] = drawn.count
            seen = SensedPair(left=left, right=right, drawn={})
        if unit.sensor:
            seen = sensed(left, right, unit.sensor, unit_seed(unit.run_seed, f"sensor {plan.sample_id}"))
            measures["sensor"] = {**unit.sensor.model_dump(exclude_defaults=True), "drawn": seen.drawn}
        write_pair(unit.folder, pair, measures, seen)
    return PairEntry(sample_id=plan.sample_id, view_id=plan.view_id, refusal=outcome.refusal, measures=measures)


_FIT = "fit with more --iterations, and look at the splat with `gsstereo view`"
_NEARER = "take views nearer to the photos, such as --views train"
_REMEDIES = {
    "no_depth": "the splat is not where these cameras look: check that both are in one frame",
    "low_alpha": "the splat does not fill these views: check that both are in one frame, or fit with more --iterations",
    "far_from_photos": _NEARER,
    "turned_away": _NEARER,
    "unseen_surface": f"{_NEARER}, or stacks with a smaller stack_reach",
    "near_plane": _FIT,
    "ambiguous_depth": _FIT,
    "blurred": _FIT,
    "baseline_too_wide": "choose a smaller --baseline or --target-disparity",
}
"""What helps where most views are refused for this reason."""


def _outcome(entries: list[PairEntry]) -> StageOutcome:
    """StageError if every view was refused."""
    made = [entry for entry in entries if entry.refusal is None]
    drops = Counter(entry.refusal for entry in entries if entry.refusal is not None)
    if not made:
        counted = ", ".join(f"{count} x {reason}" for reason, count in sorted(drops.items()))
        raise StageError(
            f"Every one of the {len(entries)} views was refused ({counted}); {_REMEDIES[drops.most_common(1)[0][0]]}. "
            "With --set guards.enabled=false they are rendered all the same."
        )
    disparities = sorted(entry.measures["median_disparity_px"] for entry in made)
    baselines = sorted(entry.measures["baseline"] for entry in made)
    return StageOutcome(
        metrics={"pairs": len(made), "refused": len(entries) - len(made), "baselines": [baselines[0], baselines[-1]]},
        drops=drops,
        summary={
            "pairs": f"{len(made)} of {len(entries)}",
            "baseline": f"{baselines[0]:.4g} to {baselines[-1]:.4g}",
            "median disparity": f"{disparities[0]:.1f} to {disparities[-1]:.1f} px",
        },
    )
