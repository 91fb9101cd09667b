"""Verbs around data sets: label, evaluate-labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, SceneArgument, given, with_common


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command("label", epilog="Example: gsstereo label my_room --expert sgbm")(label)
    app.command("evaluate-labels", epilog="Example: gsstereo evaluate-labels demo --dataset sgbm")(evaluate_labels)


@with_common
def label(
    *,
    scene: SceneArgument = Path(),
    expert: Annotated[str | None, typer.Option(help="Label source: splat or sgbm.")] = None,
    pairs: Annotated[str | None, typer.Option(help="Name of the set of pairs.", show_default="default")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set; the expert's by default.")] = None,
    common: Common,
) -> None:
    """Label the rendered pairs and write the HDF5 shards."""
    from gs_stereo.cli.running import run_stage

    run_stage("label", scene, given(expert=expert, pairs=pairs, name=name), common)


@with_common
def evaluate_labels(
    *,
    scene: SceneArgument = Path(),
    dataset: Annotated[str | None, typer.Option(help="Name of the data set.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Folder with exact truth; SCENE by default.")] = None,
    common: Common,
) -> None:
    """Compare the labels with the exact truth of a sample."""
    from gs_stereo.cli.running import run_stage

    values = given(dataset=dataset, truth=str(truth.resolve()) if truth else None)
    run_stage("evaluate-labels", scene, values, common)
