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
    from gs_stereo.cli.tables import print_json, reports_json
    from gs_stereo.config import parse_overrides
    from gs_stereo.pipeline.recipe import DEFAULT_RECIPE, load_recipe

    recipe = load_recipe(config) if config else DEFAULT_RECIPE
    root = config.parent if config else Path()
    scenes = [scene] if scene else [root / name for name in recipe.scenes] or [Path()]
    overrides, together = parse_overrides(common.set_ or []), common.json and len(scenes) > 1
    reports = {folder: run_recipe(recipe, folder, overrides, common, printing=not together) for folder in scenes}
    if together and not common.dry_run:
        print_json([reports_json(folder.resolve(), done) for folder, done in reports.items()])
