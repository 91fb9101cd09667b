"""Verbs around nets: train, train-synthesis, evaluate, sample-pairs."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gs_stereo.cli.options import Common, SceneArgument, given, path_text, shared_options, weights_text
from gs_stereo.cli.running import finished_cells, refuse_stale_dataset, run_stage, stage_step
from gs_stereo.cli.tables import print_json

# The expert that a file is asked through, and the name of its setting that takes the file.
_EXPERT_OF_SUFFIX = {
    ".onnx": ("onnx", "model"),
    **dict.fromkeys((".pth", ".pt", ".tar", ".ckpt", ".bin"), ("checkpoint", "checkpoint")),
}
_OUR_NET = "net.json"


@shared_options()
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
    net: Annotated[str | None, typer.Option(help="{choices}.", show_default="lite")] = None,
    variant: Annotated[str | None, typer.Option(help="Of raft_stereo: full or realtime.", show_default="full")] = None,
    start: Annotated[
        str,
        typer.Option(
            "--from", help="scratch, lite (the shipped net), a folder of train, or an official RAFT-Stereo .pth."
        ),
    ] = "scratch",
    rig: Annotated[
        Path | None, typer.Option(help="A rig file: crops get what this camera's sensor does (docs/rig.md).")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; the net's by default.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.", show_default="5000")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs in a step.", show_default="4")] = None,
    common: Common,
) -> None:
    """Train or fine-tune a stereo net on labelled data sets."""
    from gs_stereo.datasets.schema import find_dataset
    from gs_stereo.io.rigs import read_rig

    values = given(
        data=[data_source(text) for text in data or []],
        dataset=dataset,
        net=net,
        variant=variant,
        start=None if start == "scratch" else weights_text(Path(start)),
        augment=None if rig is None else {"sensor": read_rig(rig).sensor.model_dump()},
        name=name,
        steps=steps,
        batch_size=batch_size,
    )
    for source in values.get("data", []):
        if (folder := Path(source["path"])).is_dir():
            refuse_stale_dataset(find_dataset(folder))
    make_runs_folder(scene, data, common)
    run_stage("train", scene, values, common)


@shared_options()
def train_synthesis(
    *,
    scene: SceneArgument = Path(),
    data: Annotated[
        list[str] | None,
        typer.Option(help="DIR or DIR:WEIGHT, repeatable: data sets elsewhere, with stacks or pairs."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Data set of SCENE; without --data the one that was written last.", show_default=False),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder of train-synthesis, of prs-eth/stereospace-v1-0, or of Stable Diffusion 2 with CLIP.",
            show_default="scratch",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.", show_default="stereospace")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.", show_default="5000")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Sources in a step.", show_default="4")] = None,
    common: Common,
) -> None:
    """Train or fine-tune a model that makes second eyes, on stacks and pairs."""
    values = given(
        data=[data_source(text) for text in data or []],
        dataset=dataset,
        start=path_text(start),
        name=name,
        steps=steps,
        batch_size=batch_size,
    )
    make_runs_folder(scene, data, common)
    run_stage("train-synthesis", scene, values, common)


def make_runs_folder(scene: Path, data: list[str] | None, common: Common) -> None:
    """A new folder for runs on data from elsewhere: no photos need to be in it."""
    if data and not common.dry_run:
        scene.mkdir(parents=True, exist_ok=True)


def data_source(text: str) -> dict[str, Any]:
    """`DIR` or `DIR:WEIGHT` as settings; a folder whose name ends like a weight is still a folder."""
    folder, colon, weight = text.rpartition(":")
    if colon and not Path(text).exists():
        try:
            return {"path": path_text(Path(folder)), "weight": float(weight)}
        except ValueError:
            pass
    return {"path": path_text(Path(text))}


@shared_options("set_", "threads", "dry_run", "json", "quiet")
def evaluate(
    *,
    model: Annotated[str, typer.Argument(help="An expert ({choices}), a .onnx file, or a checkpoint.")],
    benchmark: Annotated[
        str,
        typer.Option(help="{choices}."),
    ] = "folder",
    root: Annotated[Path | None, typer.Option(help="The benchmark's folder.", show_default=False)] = None,
    split: Annotated[
        str | None, typer.Option(help="Which part: a resolution, training, a prefix; see docs/train-evaluate.md.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures of the errors.")] = None,
    missing: Annotated[str | None, typer.Option(help="Pixels without prediction: {choices}.")] = None,
    search_range: Annotated[
        str | None, typer.Option(help="Largest disparity looked for: truth, expert, or pixels.", show_default="truth")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first pairs.")] = None,
    description: Annotated[
        str | None, typer.Option(help="onnx: a YAML that describes the model, or a shipped name.")
    ] = None,
    expert_repo: Annotated[Path | None, typer.Option(help="foundationstereo: your checkout.")] = None,
    expert_python: Annotated[str | None, typer.Option(help="foundationstereo: its environment's Python.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="foundationstereo: the .pth file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and report.txt.")] = None,
    preset: Annotated[str | None, typer.Option(help="Settings of configs/evaluate: sgbm_baseline.")] = None,
    common: Common,
) -> None:
    """Score a matcher on a benchmark: EPE, bad-t, D1, coverage, time and memory."""
    import json

    from gs_stereo.benchmarks.evaluate_matcher import evaluate_expert
    from gs_stereo.benchmarks.protocol import open_benchmark
    from gs_stereo.core.atomic import write_text
    from gs_stereo.errors import ConfigError

    expert, experts = expert_and_settings(model, description)
    child = given(expert_repo=path_text(expert_repo), expert_python=expert_python, checkpoint=path_text(checkpoint))
    if child and expert != "foundationstereo":
        raise ConfigError(
            f"--{next(iter(child)).replace('_', '-')} is for foundationstereo, not {expert}; leave it out."
        )
    experts |= given(foundationstereo=child)
    values = given(expert=expert, missing=missing, search_range=search_range, limit=limit, experts=experts)
    config: Any = stage_step("evaluate", values, replace(common, preset=preset)).config
    chosen = open_benchmark(benchmark, root, split)
    if common.dry_run:
        names = [item.name for item in chosen.pairs[: config.limit]]
        if common.json:
            print_json({"expert": expert, "pairs": names})
        else:
            print("\n".join(names))
        return
    outcome = evaluate_expert(expert, chosen, config, pictures=pictures)
    if out is not None:
        write_text(out / "report.json", json.dumps(outcome.to_json(), indent=1) + "\n")
        write_text(out / "report.txt", outcome.to_table() + "\n")
    if common.json:
        print_json(outcome.to_json())
        return
    print(outcome.to_table())


def expert_and_settings(model: str, description: str | None) -> tuple[str, dict[str, Any]]:
    """A file or a folder of a net is asked through the expert that takes it; anything else is an expert's name."""
    from gs_stereo.errors import InputError

    own = ("checkpoint", "checkpoint") if (Path(model) / _OUR_NET).is_file() else None
    through = own or _EXPERT_OF_SUFFIX.get(Path(model).suffix.lower())
    if through is None and Path(model).name != model:
        raise InputError(f"There is no net in {model}; give a folder of `gsstereo train`, a .pth or a .onnx file.")
    if through is None:
        return model, {"onnx": {"description": description}} if description else {}
    expert, setting = through
    return expert, {expert: given(**{setting: path_text(Path(model)), "description": description})}


@shared_options("set_", "seed", "workers", "threads", "dry_run", "json", "quiet")
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
    from gs_stereo.errors import InputError
    from gs_stereo.pipeline.graph import assess_cells, unfold
    from gs_stereo.pipeline.scene import ScenePaths
    from gs_stereo.stages.registry import STAGES

    target = folder.resolve()
    values = given(count=count, split=split, pairs=given(width=width, height=height), folder=target.name)
    step = stage_step("sample-pairs", values, common)
    if common.dry_run:
        config: Any = step.config
        if common.json:
            print_json({"folder": str(folder), "pairs": config.count, "shards": config.shards})
        else:
            print(f"{folder}: would hold {config.count} pairs in {config.shards} shards.")
        return
    if target.is_file():
        raise InputError(f"{target} is a file, not a folder; choose a new folder for the pairs.")
    cells = unfold([step], [ScenePaths(scene=target.parent, output=target.parent)], common.seed or 0)
    [status] = assess_cells(cells, STAGES)
    if status.state != "up to date" and target.exists() and any(target.iterdir()):
        raise InputError(f"The folder {target} holds something else already; choose a new folder for the pairs.")
    [(_, report)] = finished_cells(cells, common)
    made, metrics = report.action != "skipped", report.manifest.metrics
    if common.json:
        print_json({"folder": str(folder), "pairs": metrics["pairs"], "made": made})
        return
    print(f"{folder}: {metrics['pairs']} pairs in {metrics['shards']} shards{'' if made else ' (was there already)'}.")
