"""Verbs around a whole recipe: run, status."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gs_stereo.cli.options import Common, SceneArgument, shared_options
from gs_stereo.cli.running import run_recipe

if TYPE_CHECKING:
    from gs_stereo.pipeline.recipe import Recipe

RecipeOption = Annotated[
    Path | None, typer.Option("--config", help="Recipe file, or the name of a shipped one (smoke, ...).")
]


@shared_options()
def run(
    *,
    scene: Annotated[
        Path | None, typer.Argument(help="Scene folder; the current folder by default.", show_default=False)
    ] = None,
    config: RecipeOption = None,
    common: Common,
) -> None:
    """Run a recipe: photos in, labelled shards out. Skips what is up to date and resumes what was interrupted."""
    recipe = _recipe(config)
    scenes = [scene] if scene else [Path(folder) for folder in recipe.scenes or ("",)]
    run_recipe(recipe, scenes, common)


@shared_options("out", "preset", "set_", "seed", "json", "quiet")
def status(*, scene: SceneArgument = Path(), config: RecipeOption = None, common: Common) -> None:
    """Show each stage of a recipe, whether it is up to date, and if not, why."""
    run_recipe(_recipe(config), [scene], replace(common, dry_run=True))


def _recipe(config: Path | None) -> Recipe:
    from gs_stereo.pipeline.recipe import load_recipe
    from gs_stereo.stages.registry import DEFAULT_RECIPE

    return load_recipe(config) if config else DEFAULT_RECIPE
