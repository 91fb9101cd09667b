"""Verbs around a whole recipe or scene: run, status, refresh."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gs_stereo.cli.audit_verb import audit_recipe
from gs_stereo.cli.options import Common, SceneArgument, shared_options
from gs_stereo.cli.running import run_planned, run_recipe

if TYPE_CHECKING:
    from gs_stereo.pipeline.recipe import Recipe

RecipeOption = Annotated[
    Path | None, typer.Option("--config", help="Recipe file, or the name of a shipped one (smoke, ...).")
]


@shared_options()
def run(
    *,
    scene: Annotated[
        Path | None, typer.Argument(help="Scene folder or video; the current folder by default.", show_default=False)
    ] = None,
    config: RecipeOption = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="90s, 10m or 1h: take the best preset whose run fits that time."),
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Measure the label error too, see `audit`: this takes as long again.")
    ] = False,
    common: Common,
) -> None:
    """Run a recipe: photos in, labelled shards out. Skips what is up to date and resumes what was interrupted."""
    from gs_stereo.errors import ConfigError

    recipe = _recipe(config)
    scenes = [scene] if scene else [Path(folder) for folder in recipe.scenes or ("",)]
    audited: list[str] = []
    if audit and not common.dry_run:
        if budget is not None:
            raise ConfigError("An audit does the work twice; leave out --budget, or choose a --preset.")
        run_recipe(recipe, scenes, common, but_for="report")  # a report shows the audit that is there before it
        common = replace(common, force=False)
        audited = audit_recipe(recipe, scenes, common)
    run_recipe(recipe, scenes, common, budget)
    for table in audited if not common.json else ():
        print(f"\n{table}")


@shared_options("out", "preset", "set_", "seed", "json", "quiet")
def status(*, scene: SceneArgument = Path(), config: RecipeOption = None, common: Common) -> None:
    """Show each stage of a recipe, whether it is up to date, and if not, why."""
    run_recipe(_recipe(config), [scene], replace(common, dry_run=True))


@shared_options("out", "workers", "threads", "dry_run", "json", "quiet")
def refresh(
    *,
    scene: SceneArgument = Path(),
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="FOLDER", help="Only this result, such as pairs/default, and what it was made of."),
    ] = None,
    common: Common,
) -> None:
    """Make again what is no longer up to date, each result with the settings that it had.

    A result is out of date when what it was made of (photos, cameras, splat, pairs) has changed since.
    """
    from gs_stereo.pipeline.chain import Chain
    from gs_stereo.pipeline.scene import ScenePaths
    from gs_stereo.stages.registry import STAGES

    paths = ScenePaths.of(scene, common.out)
    cells = Chain(paths, STAGES).stale_cells(only or [])
    if not cells and not common.json:
        print(f"Nothing to do: everything in {paths.output} is up to date.")
        return
    run_planned(cells, [paths], common)


def _recipe(config: Path | None) -> Recipe:
    from gs_stereo.pipeline.recipe import load_recipe
    from gs_stereo.stages.registry import DEFAULT_RECIPE

    return load_recipe(config) if config else DEFAULT_RECIPE
