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
    from gs_stereo.cli.tables import print_json
    from gs_stereo.config import merge, parse_config, parse_overrides
    from gs_stereo.executors.local import LocalExecutor
    from gs_stereo.stages.sample_pairs import SamplePairsConfig, write_sample_pairs

    own = given(count=count, split=split, pairs=given(width=width, height=height) or None)
    values = merge(parse_overrides(common.set_ or []), own)
    config = parse_config(SamplePairsConfig, values, where="the options of sample-pairs")
    if common.dry_run and common.json:
        print_json({"folder": str(folder), "pairs": config.count, "shards": config.shards})
        return
    if common.dry_run:
        print(f"{folder}: would hold {config.count} pairs in {config.shards} shards.")
        return
    done = write_sample_pairs(folder, config, common.seed or 0, LocalExecutor(common.workers))
    if common.json:
        print_json({"folder": str(folder), "pairs": done.index.sample_count, "made": done.made})
        return
    state = "" if done.made else " (was there already)"
    print(f"{folder}: {done.index.sample_count} pairs in {len(done.index.shards)} shards{state}.")
