"""What verbs that run stages have in common: settings become cells, cells are run, the outcome is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gs_stereo.cli.budget import Forecast, preset_within
from gs_stereo.cli.options import Common
from gs_stereo.cli.tables import print_json, print_plan, print_reports, reports_json

if TYPE_CHECKING:
    from gs_stereo.pipeline.cell import Cell, CellResult, StageReport
    from gs_stereo.pipeline.recipe import Recipe, Step
    from gs_stereo.pipeline.scene import ScenePaths


def stage_step(stage: str, values: Mapping[str, Any], common: Common) -> Step:
    """A stage with its settings: defaults < --preset < --set < the verb's own options."""
    from gs_stereo.config import merge, parse_overrides, refuse_idle
    from gs_stereo.pipeline.recipe import RecipeEntry, resolve_step
    from gs_stereo.stages.registry import STAGES

    overrides = parse_overrides(common.set_ or [])
    refuse_twice(overrides, values)
    settings = merge(overrides, values)
    step = resolve_step(RecipeEntry(stage=stage, preset=common.preset, set=settings), STAGES)
    refuse_idle(step.config, settings, stage)
    return step


def refuse_twice(overrides: Mapping[str, Any], values: Mapping[str, Any], where: str = "") -> None:
    """ConfigError for a setting that --set and an option both give: one of them would be ignored."""
    from gs_stereo.errors import ConfigError

    for name in overrides.keys() & values.keys():
        ours, theirs = values[name], overrides[name]
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            refuse_twice(theirs, ours, f"{where}{name}.")
        elif isinstance(theirs, Mapping):
            inner = next(iter(theirs))
            raise ConfigError(
                f"--set {where}{name}.{inner} names no setting, for {where}{name} is {ours!r}; "
                f"did you mean --set {where}{name}s.{ours}.{inner}?"
            )
        elif ours != theirs:
            raise ConfigError(f"The setting {where}{name} is given twice, by an option and by --set; give it once.")


def run_stage(
    stage: str, scene: Path, values: Mapping[str, Any], common: Common, *, printing: bool = True
) -> list[StageReport]:
    """Run one stage on a scene."""
    return run_steps([stage_step(stage, values, common)], [scene], common, printing=printing)


def run_recipe(
    recipe: Recipe, scenes: Sequence[Path], common: Common, budget: str | None = None, *, but_for: str | None = None
) -> None:
    """Run a recipe on scenes; within a time such as `10m` if there is a budget, by the choice of the preset.

    but_for: a stage to be run later; then nothing is printed yet.
    """
    from gs_stereo.config import parse_overrides
    from gs_stereo.errors import ConfigError
    from gs_stereo.pipeline.recipe import resolve
    from gs_stereo.stages.registry import STAGES

    if recipe.matrix is not None:
        raise ConfigError(f"The recipe {recipe.name!r} is an experiment; run it with `gsstereo experiment`.")
    overrides = parse_overrides(common.set_ or [])
    if budget is not None:
        if common.preset is not None:
            raise ConfigError("--budget chooses the preset; leave out --preset, or --budget.")
        paths, steps_of = paths_of(scenes, common), partial(resolve, recipe, STAGES, overrides)
        preset = preset_within(budget, lambda preset: _cells(steps_of(preset), paths, common, recipe.seed))
        common = replace(common, preset=preset)
    steps = [step for step in resolve_given(recipe, overrides, common.preset) if step.name != but_for]
    run_steps(steps, scenes, common, seed=recipe.seed, printing=but_for is None)


def resolve_given(recipe: Recipe, overrides: Mapping[str, Any], preset: str | None) -> list[Step]:
    """The steps of a recipe with the settings of the command line; ConfigError if one of these has no effect."""
    from gs_stereo.config import refuse_idle
    from gs_stereo.pipeline.recipe import overrides_by_stage, resolve
    from gs_stereo.stages.registry import STAGES

    steps, by_stage = resolve(recipe, STAGES, overrides, preset), overrides_by_stage(recipe, overrides)
    for step in steps:
        refuse_idle(step.config, by_stage.get(step.name, {}), step.name)
    return steps


def paths_of(scenes: Sequence[Path], common: Common) -> Sequence[ScenePaths]:
    """Of scenes on the command line; each has a folder of its own where several go to one --out."""
    from gs_stereo.pipeline.scene import ScenePaths, scene_paths

    apart = len(scenes) > 1 and common.out is not None
    return scene_paths(scenes, common.out) if apart else tuple(ScenePaths.of(scene, common.out) for scene in scenes)


def _cells(steps: Sequence[Step], paths: Sequence[ScenePaths], common: Common, seed: int) -> Sequence[Cell]:
    from gs_stereo.pipeline.graph import unfold

    return unfold(steps, paths, seed if common.seed is None else common.seed)


def run_steps(
    steps: Sequence[Step], scenes: Sequence[Path], common: Common, *, seed: int = 0, printing: bool = True
) -> list[StageReport]:
    """Run stages on scenes, print a summary table a scene or JSON if `printing`, and return what was done.

    A scene that fails does not stop the others; its error is raised at the end. seed: where --seed is not given.
    """
    paths = paths_of(scenes, common)
    return run_planned(_cells(steps, paths, common, seed), paths, common, printing)


def run_planned(
    cells: Sequence[Cell], paths: Sequence[ScenePaths], common: Common, printing: bool = True
) -> list[StageReport]:
    """Run cells, or say what would run; see `run_steps`."""
    from gs_stereo.errors import GsStereoError
    from gs_stereo.log import duration, logger
    from gs_stereo.pipeline.graph import assess_cells
    from gs_stereo.stages.registry import STAGES

    if common.dry_run:
        print_plan(assess_cells(cells, STAGES), as_json=common.json)
        return []
    several = len(paths) > 1
    reports: dict[str, list[StageReport]] = {str(each.scene): [] for each in paths}
    errors = []
    forecast = None if several else Forecast(cells)
    for result in run_cells(cells, common) if forecast is None else forecast.watched(run_cells(cells, common)):
        cell, outcome = result.cell, result.outcome
        if isinstance(outcome, GsStereoError):
            errors.append(outcome)
            if several:
                logger.warning("%s: %s", cell.key, outcome)
            continue
        reports[cell.scene].append(outcome)
        if outcome.action != "skipped":
            name = cell.key if several else cell.stage
            left = forecast.left() if forecast else ""
            logger.info("%s: %s in %s%s", name, outcome.action, duration(outcome.manifest.seconds), left)
    scenes = [cell.scene for cell in cells]
    whole = [(each, done) for each in paths if len(done := reports[str(each.scene)]) == scenes.count(str(each.scene))]
    if printing and common.json and several:
        print_json([reports_json(each.scene, done) for each, done in whole])
    elif printing:
        for each, done in whole:
            print_reports(each, done, as_json=common.json)
    if errors:
        raise errors[0]
    return [report for done in reports.values() for report in done]


def refuse_stale_dataset(folder: Path, paths: ScenePaths | None = None) -> None:
    """InputError if a data set in a folder of results, or what it was made of, is not up to date.

    paths: of its scene, if that is known; else what its folder says.
    """
    from gs_stereo.pipeline.chain import Chain
    from gs_stereo.pipeline.scene import DATASETS_FOLDER, OUTPUT_FOLDER, ScenePaths
    from gs_stereo.stages.registry import STAGES

    path = folder.resolve()
    output = path.parent.parent
    if path.parent.name == DATASETS_FOLDER:
        found = ScenePaths(scene=output.parent if output.name == OUTPUT_FOLDER else output, output=output)
        Chain(paths or found, STAGES).check([f"{DATASETS_FOLDER}/{path.name}"])


def run_cells(cells: Sequence[Cell], common: Common) -> Iterator[CellResult]:
    """Bring the cells up to date on this machine."""
    from gs_stereo.executors.local import LocalExecutor
    from gs_stereo.pipeline.graph import run_cell
    from gs_stereo.stages.registry import STAGES

    return LocalExecutor(common.workers).run(cells, partial(run_cell, stages=STAGES, force=common.force))


def finished_cells(cells: Sequence[Cell], common: Common) -> Iterator[tuple[Cell, StageReport]]:
    """The same for cells that are of use together only: the first error is raised."""
    from gs_stereo.errors import GsStereoError

    for result in run_cells(cells, common):
        if isinstance(result.outcome, GsStereoError):
            raise result.outcome
        yield result.cell, result.outcome
