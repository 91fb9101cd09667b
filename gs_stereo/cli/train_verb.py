"""The verb that trains a stereo net: train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gs_stereo.cli.options import Common, SceneArgument, given, path_text, weights_text, with_common


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("train", epilog="Example: gsstereo train my_room --net lite --from path/to/weights")(train)


@with_common
def train(
    *,
    scene: SceneArgument = Path(),
    data: Annotated[
        list[str] | None,
        typer.Option(help="DIR or DIR:WEIGHT, repeatable: data sets elsewhere (folder, shard, or scene)."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set of SCENE; without --data the one that was written last.", show_default=False),
    ] = None,
    net: Annotated[str | None, typer.Option(help="lite or raft_stereo.", show_default="lite")] = None,
    variant: Annotated[str | None, typer.Option(help="Of raft_stereo: full or realtime.", show_default="full")] = None,
    start: Annotated[
        str,
        typer.Option(
            "--from", help="scratch, lite (the shipped net), a folder of train, or an official RAFT-Stereo .pth."
        ),
    ] = "scratch",
    name: Annotated[str | None, typer.Option(help="Name of the run; the net's by default.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.", show_default="5000")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs in a step.", show_default="4")] = None,
    common: Common,
) -> None:
    """Train or fine-tune a stereo net on labelled data sets."""
    from gs_stereo.cli.running import run_stage

    values = given(
        data=[data_source(text) for text in data or []],
        dataset=dataset,
        net=net,
        variant=variant,
        start=None if start == "scratch" else weights_text(Path(start)),
        name=name,
        steps=steps,
        batch_size=batch_size,
    )
    run_stage("train", scene, values, common)


def data_source(text: str) -> dict[str, Any]:
    """`DIR` or `DIR:WEIGHT` as settings; a folder whose name ends like a weight is still a folder."""
    folder, colon, weight = text.rpartition(":")
    if colon and not Path(text).exists():
        try:
            return {"path": path_text(Path(folder)), "weight": float(weight)}
        except ValueError:
            pass
    return {"path": path_text(Path(text))}
