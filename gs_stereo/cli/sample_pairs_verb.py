"""`gsstereo sample-pairs`: procedural pairs to train stereo nets on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, given, honouring


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("sample-pairs", epilog="Example: gsstereo sample-pairs pairs/train --count 2000")(sample_pairs)


@honouring("set_", "seed", "workers", "dry_run", "json", "quiet")
def sample_pairs(
    *,
    folder: Annotated[Path, typer.Argument(help="Folder to make; must be new or empty.")],
    count: Annotated[int | None, typer.Option(help="Number of pairs.", show_default="500")] = None,
    width: Annotated[int | None, typer.Option(help="Width in pixels.", show_default="512")] = None,
    height: Annotated[int | None, typer.Option(help="Height in pixels.", show_default="384")] = None,
    split: Annotated[str | None, typer.Option(help="Split name in the shards.", show_default="train")] = None,
    common: Common,
) -> None:
    """Write random stereo pairs with exact disparity as a data set, to train nets on. Resumes."""
    from gs_stereo.cli.running import run_cells
    from gs_stereo.cli.tables import print_json
    from gs_stereo.config import merge, parse_overrides
    from gs_stereo.errors import GsStereoError, InputError
    from gs_stereo.pipeline.graph import assess_cells, make_cell
    from gs_stereo.pipeline.recipe import RecipeEntry, resolve_step
    from gs_stereo.pipeline.scene import ScenePaths
    from gs_stereo.stages.registry import STAGES

    target = folder.resolve()
    own = given(count=count, split=split, pairs=given(width=width, height=height) or None, folder=target.name)
    settings = merge(parse_overrides(common.set_ or []), own)
    step = resolve_step(RecipeEntry(stage="sample-pairs", set=settings), STAGES)
    results = ScenePaths(scene=target.parent, output=target.parent)
    cell = make_cell(step, results, key=f"sample-pairs {target.name}", seed=common.seed or 0)
    if common.dry_run:
        pairs, shards = step.config.count, step.config.shards  # type: ignore[attr-defined]
        if common.json:
            print_json({"folder": str(folder), "pairs": pairs, "shards": shards})
        else:
            print(f"{folder}: would hold {pairs} pairs in {shards} shards.")
        return
    if target.is_file():
        raise InputError(f"{target} is a file, not a folder; choose a new folder for the pairs.")
    [status] = assess_cells([cell], STAGES)
    if status.state != "up to date" and target.exists() and any(target.iterdir()):
        raise InputError(f"The folder {target} holds something else already; choose a new folder for the pairs.")
    [result] = run_cells([cell], common)
    if isinstance(result.outcome, GsStereoError):
        raise result.outcome
    made, metrics = result.outcome.action != "skipped", result.outcome.manifest.metrics
    if common.json:
        print_json({"folder": str(folder), "pairs": metrics["pairs"], "made": made})
        return
    print(f"{folder}: {metrics['pairs']} pairs in {metrics['shards']} shards{'' if made else ' (was there already)'}.")
