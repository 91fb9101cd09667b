"""`gsstereo evaluate`: a matcher on a stereo benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gs_stereo.cli.options import Common, given, honouring, path_text

# The expert that a file is asked through, and the name of its setting that takes the file.
_EXPERT_OF_SUFFIX = {".onnx": ("onnx", "model"), ".pth": ("checkpoint", "checkpoint")}
_OUR_NET = "net.json"


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("evaluate", epilog="Example: gsstereo evaluate sgbm --benchmark motorcycle")(evaluate)


@honouring("set_", "dry_run", "json", "quiet")
def evaluate(
    *,
    model: Annotated[
        str, typer.Argument(help="An expert (lite, sgbm, foundationstereo, a plug-in), a .onnx file, or a checkpoint.")
    ],
    benchmark: Annotated[
        str,
        typer.Option(
            help="folder, motorcycle, middlebury-2014, middlebury-2021, eth3d, kitti-2012, kitti-2015, sceneflow, "
            "foundationstereo, exact, dataset, or a plug-in."
        ),
    ] = "folder",
    root: Annotated[Path | None, typer.Option(help="The benchmark's folder.", show_default=False)] = None,
    split: Annotated[
        str | None, typer.Option(help="Which part: a resolution, training, a prefix; see docs/train-evaluate.md.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures of the errors.")] = None,
    missing: Annotated[str | None, typer.Option(help="Pixels without prediction: bad, ignore or fill.")] = None,
    search_range: Annotated[
        str | None, typer.Option(help="Largest disparity looked for: truth, expert, or pixels.", show_default="truth")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first pairs.")] = None,
    description: Annotated[
        str | None, typer.Option(help="onnx: a YAML that describes the model, or a shipped name.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and report.txt.")] = None,
    preset: Annotated[str | None, typer.Option(help="Settings of configs/evaluate: sgbm_baseline.")] = None,
    common: Common,
) -> None:
    """Score a matcher on a benchmark: EPE, bad-t, D1, coverage, time and memory."""
    import json

    from gs_stereo.benchmarks.evaluate_matcher import EvaluateConfig, evaluate_expert
    from gs_stereo.benchmarks.protocol import open_benchmark
    from gs_stereo.cli.tables import print_json
    from gs_stereo.config import load_yaml, merge, parse_config, parse_overrides, shipped
    from gs_stereo.core.atomic import write_text

    expert, experts = _expert_and_settings(model, description)
    base = load_yaml(shipped(f"configs/evaluate/{preset}.yaml")) if preset else {}
    own = given(missing=missing, search_range=search_range, limit=limit, experts=experts or None)
    values = merge(merge(base, parse_overrides(common.set_ or [])), own)
    config = parse_config(EvaluateConfig, values, where="the settings of evaluate")
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


def _expert_and_settings(model: str, description: str | None) -> tuple[str, dict[str, Any]]:
    """A file or a folder of a net is asked through the expert that takes it; anything else is an expert's name."""
    own = ("checkpoint", "checkpoint") if (Path(model) / _OUR_NET).is_file() else None
    through = own or _EXPERT_OF_SUFFIX.get(Path(model).suffix.lower())
    if through is None:
        return model, {"onnx": {"description": description}} if description else {}
    expert, setting = through
    return expert, {expert: given(**{setting: path_text(Path(model)), "description": description})}
