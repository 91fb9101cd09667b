"""Verbs that only look: status, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, SceneArgument, honouring, with_errors


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command("status", epilog="Example: gsstereo status my_room")(status)
    app.command("doctor", epilog="Example: gsstereo doctor")(doctor)


@honouring("out", "preset", "set_", "seed", "json", "quiet")
def status(
    *,
    scene: SceneArgument = Path(),
    config: Annotated[Path | None, typer.Option("--config", help="Recipe to compare with.")] = None,
    common: Common,
) -> None:
    """Show each stage of a recipe, whether it is up to date, and if not, why."""
    from dataclasses import replace

    from gs_stereo.cli.running import run_recipe
    from gs_stereo.config import parse_overrides
    from gs_stereo.pipeline.recipe import load_recipe
    from gs_stereo.stages.registry import DEFAULT_RECIPE

    recipe = load_recipe(config) if config else DEFAULT_RECIPE
    run_recipe(recipe, [scene], parse_overrides(common.set_ or []), replace(common, dry_run=True))


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print results as JSON on stdout.")] = False,
) -> None:
    """Say what this machine can do, and what to install for more."""
    from gs_stereo.cli.doctor import print_findings

    with_errors(lambda: print_findings(as_json=as_json))
