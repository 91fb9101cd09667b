"""What the stage verbs have in common: resolve settings, run, print the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gs_stereo.cli.options import Common

if TYPE_CHECKING:
    from gs_stereo.pipeline.runner import StageReport


def run_stage(
    stage: str, scene: Path, values: Mapping[str, Any], common: Common, *, printing: bool = True
) -> list[StageReport]:
    """Run one stage on a scene: defaults < --preset < --set < the verb's own options."""
    from gs_stereo.config import merge, parse_overrides
    from gs_stereo.pipeline.recipe import Recipe, RecipeEntry

    overrides = merge(parse_overrides(common.set_ or []), values)
    entry = RecipeEntry(stage=stage, preset=common.preset, set=overrides)
    return run_recipe(Recipe(name=stage, stages=(entry,)), scene, {}, common, printing=printing)


def run_recipe(
    recipe: Any, scene: Path, overrides: Mapping[str, Any], common: Common, *, printing: bool = True
) -> list[StageReport]:
    """Run a recipe on one scene, print a summary table or JSON if `printing`, and return what was done."""
    from gs_stereo.cli.tables import print_plan, print_reports
    from gs_stereo.errors import ConfigError
    from gs_stereo.executors.local import LocalExecutor
    from gs_stereo.log import duration, logger
    from gs_stereo.pipeline.graph import assess_steps, run_steps
    from gs_stereo.pipeline.recipe import resolve
    from gs_stereo.pipeline.runner import RunOptions
    from gs_stereo.pipeline.scene import ScenePaths

    if recipe.matrix is not None:
        raise ConfigError(f"The recipe {recipe.name!r} is an experiment; run it with `gsstereo experiment`.")
    preset = common.preset if len(recipe.stages) > 1 else None
    steps = resolve(recipe, overrides, preset)
    options = RunOptions(
        paths=ScenePaths.of(scene, common.out),
        executor=LocalExecutor(common.workers),
        seed=recipe.seed if common.seed is None else common.seed,
        force=common.force,
    )
    if common.dry_run:
        print_plan(assess_steps(steps, options), as_json=common.json)
        return []
    reports: list[StageReport] = []
    for step, report in zip(steps, run_steps(steps, options), strict=True):
        reports.append(report)
        if report.action != "skipped":
            logger.info("%s: %s in %s", step.stage.name, report.action, duration(report.manifest.seconds))
    if printing:
        print_reports(options.paths, reports, as_json=common.json)
    return reports
