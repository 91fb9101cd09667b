"""`gsstereo run`: a whole recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, with_common


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("run", epilog="Example: gsstereo run my_room --set render-pairs.target_disparity_px=48")(run)


@with_common
def run(
    *,
    scene: Annotated[
        Path | None, typer.Argument(help="Scene folder; the current folder by default.", show_default=False)
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Recipe file, or the name of a shipped one (smoke, ...).")
    ] = None,
    common: Common,
) -> None:
    """Run a recipe: photos in, labelled shards out. Skips what is up to date and resumes what was interrupted."""
    from gs_stereo.cli.running import run_recipe
    from gs_stereo.config import parse_overrides
    from gs_stereo.pipeline.recipe import load_recipe
    from gs_stereo.stages.registry import DEFAULT_RECIPE

    recipe = load_recipe(config) if config else DEFAULT_RECIPE
    scenes = [scene] if scene else [Path(folder) for folder in recipe.scenes or ("",)]
    run_recipe(recipe, scenes, parse_overrides(common.set_ or []), common)
