"""Verbs around data sets: label, evaluate-labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, SceneArgument, given, path_text, with_common


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command("label", epilog="Example: gsstereo label my_room --expert sgbm")(label)
    example = "Example: gsstereo evaluate-labels demo/gsstereo/dataset/sgbm --truth demo"
    app.command("evaluate-labels", epilog=example)(evaluate_labels)


@with_common
def label(
    *,
    scene: SceneArgument = Path(),
    expert: Annotated[
        str | None,
        typer.Option(
            help="Label source: fused, splat, multibaseline, lite, sgbm, onnx, checkpoint, foundationstereo, a plug-in."
        ),
    ] = None,
    pairs: Annotated[str | None, typer.Option(help="Name of the set of pairs.", show_default="default")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set; the expert's by default.")] = None,
    model: Annotated[Path | None, typer.Option(help="onnx: the model file.")] = None,
    description: Annotated[
        str | None, typer.Option(help="onnx: a YAML that describes the model, or a shipped name.")
    ] = None,
    expert_repo: Annotated[Path | None, typer.Option(help="foundationstereo: your checkout.")] = None,
    expert_python: Annotated[str | None, typer.Option(help="foundationstereo: its environment's Python.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="checkpoint: the trained net. foundationstereo: the .pth file.")
    ] = None,
    allow_unsafe_pickle: Annotated[
        bool, typer.Option("--allow-unsafe-pickle", help="foundationstereo: load a checkpoint that can run code.")
    ] = False,
    fuse: Annotated[
        list[str] | None, typer.Option(help="fused: an expert that joins; may be repeated. By default lite and sgbm.")
    ] = None,
    photos: Annotated[
        bool | None, typer.Option("--photos/--no-photos", help="fused: match the real photos too (default).")
    ] = None,
    common: Common,
) -> None:
    """Label the rendered pairs and write the HDF5 shards."""
    from gs_stereo.cli.running import run_stage

    asks_net = "checkpoint" in (expert, *(fuse or ()))
    onnx = given(model=path_text(model), description=description)
    foundationstereo = given(
        expert_repo=path_text(expert_repo),
        expert_python=expert_python,
        checkpoint=None if asks_net else path_text(checkpoint),
        allow_unsafe_pickle=allow_unsafe_pickle or None,
    )
    trained = given(checkpoint=path_text(checkpoint)) if asks_net else {}
    settings = (("onnx", onnx), ("foundationstereo", foundationstereo), ("checkpoint", trained))
    experts = {name: values for name, values in settings if values}
    fused = given(experts=fuse or None, photos=photos)
    values = given(expert=expert, pairs=pairs, name=name, experts=experts or None, fused=fused or None)
    run_stage("label", scene, values, common)


@with_common
def evaluate_labels(
    *,
    scene: SceneArgument = Path(),
    dataset: Annotated[str | None, typer.Option(help="Name of the data set.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Folder with exact truth; SCENE by default.")] = None,
    common: Common,
) -> None:
    """Compare labels with exact truth. SCENE may also be the folder of a data set."""
    from gs_stereo.cli.dataset_place import of_scene
    from gs_stereo.cli.running import run_stage

    scene, dataset, common = of_scene(scene, dataset, common)
    values = given(dataset=dataset, truth=path_text(truth))
    run_stage("evaluate-labels", scene, values, common)
