"""Verbs around data sets: label, evaluate-labels, report."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, SceneArgument, given, path_text, shared_options
from gs_stereo.cli.running import run_stage
from gs_stereo.cli.tables import print_json

FAILED_VERDICT_EXIT_CODE = 5


@shared_options()
def label(
    *,
    scene: SceneArgument = Path(),
    expert: Annotated[str | None, typer.Option(help="Label source: {choices}.")] = None,
    pairs: Annotated[str | None, typer.Option(help="Name of the set of pairs.", show_default="default")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set; the expert's by default.")] = None,
    onnx_model: Annotated[Path | None, typer.Option("--model", help="onnx: the model file.")] = None,
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
        list[str] | None,
        typer.Option(help="fused: an expert that joins, of {choices}; repeatable.", show_default="lite and sgbm"),
    ] = None,
    photos: Annotated[
        bool | None, typer.Option("--photos/--no-photos", help="fused: match the real photos too (default).")
    ] = None,
    sky: Annotated[str | None, typer.Option(help="The sky: hole (no label) or zero (disparity 0).")] = None,
    guarantee: Annotated[
        str | None,
        typer.Option(
            metavar="'bad1<=1%'",
            help="Keep the labels of which, by an audit, at most so many are wrong by more than 1 px.",
        ),
    ] = None,
    recalibrate: Annotated[
        bool, typer.Option("--recalibrate", help="Make the confidence what it means in this capture, by its audit.")
    ] = False,
    common: Common,
) -> None:
    """Label the rendered pairs and write the HDF5 shards."""
    from gs_stereo.errors import ConfigError

    weights = path_text(checkpoint)
    if weights and not {"checkpoint", "foundationstereo"} & {expert, *(fuse or ())}:
        raise ConfigError("--checkpoint gives weights to an expert; name it, --expert checkpoint or foundationstereo.")
    trained = "checkpoint" in (expert, *(fuse or ()))  # else the weights are those of foundationstereo
    experts = given(
        onnx=given(model=path_text(onnx_model), description=description),
        foundationstereo=given(
            expert_repo=path_text(expert_repo),
            expert_python=expert_python,
            checkpoint=None if trained else weights,
            allow_unsafe_pickle=allow_unsafe_pickle or None,
        ),
        checkpoint=given(checkpoint=weights if trained else None),
    )
    fused = given(experts=fuse, photos=photos)
    share = None if guarantee is None else _promised_share(guarantee)
    values = given(expert=expert, pairs=pairs, name=name, sky=sky, experts=experts, fused=fused, max_bad_1=share)
    values |= given(recalibrate=recalibrate or None)
    run_stage("label", scene, values, common)


def _promised_share(text: str) -> float:
    """`bad1<=1%` as 0.01; ConfigError for anything else."""
    import re

    from gs_stereo.errors import ConfigError

    found = re.fullmatch(r"\s*bad-?1\s*<=\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    if found is None or not 0 < float(found[1]) < 100:
        raise ConfigError(f"--guarantee {text!r} is no promise; write for example --guarantee 'bad1<=1%'.")
    return float(found[1]) / 100


@shared_options()
def evaluate_labels(
    *,
    scene: SceneArgument = Path(),
    dataset: Annotated[str | None, typer.Option(help="Name of the data set.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Folder with exact truth; SCENE by default.")] = None,
    common: Common,
) -> None:
    """Compare labels with exact truth. SCENE may also be the folder of a data set."""
    scene, dataset, common = scene_of_dataset(scene, dataset, common)
    values = given(dataset=dataset, truth=path_text(truth))
    run_stage("evaluate-labels", scene, values, common)


@shared_options()
def report(
    *,
    scene: SceneArgument = Path(),
    dataset: Annotated[
        str | None, typer.Option(help="Name of the data set; the one that was written last by default.")
    ] = None,
    pairs: Annotated[str | None, typer.Option(help="Instead: a page of this set of pairs, labelled or not.")] = None,
    common: Common,
) -> None:
    """Judge a data set (pass, look closer or fail, with reasons) and write an HTML page about it.

    SCENE may also be the folder of a data set. Pairs without labels get a page, but no verdict.
    Exit code 0: pass or look closer; 5: fail.
    """
    from gs_stereo.report.stage import PAGE_NAME

    scene, dataset, common = scene_of_dataset(scene, dataset, common)
    reports = run_stage("report", scene, given(dataset=dataset, pairs=pairs), common, printing=False)
    for done in reports:
        page = done.folder / PAGE_NAME
        if common.json:
            print_json({"scene": str(scene.resolve()), "page": str(page), **done.manifest.metrics})
        else:
            print(done.manifest.text)
            print(f"The report is {page}")
        if done.manifest.metrics.get("verdict") == "fail":
            raise typer.Exit(FAILED_VERDICT_EXIT_CODE)


def scene_of_dataset(folder: Path, dataset: str | None, common: Common) -> tuple[Path, str | None, Common]:
    """The scene, the name of the data set and the options that `folder` means.

    A data set lies in OUTPUT/dataset/NAME: its folder stands for that output and name. A scene stays what it is.
    Raises InputError for a data set that lies elsewhere, or whose name or output was given too.
    """
    from gs_stereo.datasets.schema import INDEX_NAME
    from gs_stereo.errors import InputError
    from gs_stereo.pipeline.scene import DATASETS_FOLDER, OUTPUT_FOLDER

    if not (folder / INDEX_NAME).is_file():
        return folder, dataset, common
    path = folder.resolve()
    if dataset is not None or common.out is not None:
        raise InputError(f"{folder} is a data set itself; leave out --dataset and --out, or name its scene.")
    if path.parent.name != DATASETS_FOLDER:
        raise InputError(f"The data set {folder} lies in no folder of results (OUTPUT/dataset/NAME); move it there.")
    output = path.parent.parent
    scene = output.parent if output.name == OUTPUT_FOLDER else output
    return scene, path.name, replace(common, out=output)
