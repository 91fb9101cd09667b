"""`gsstereo evaluate-synthesis`: how well second eyes are made, by any method."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gs_stereo.cli.options import Common, given, shared_options
from gs_stereo.cli.tables import print_json

if TYPE_CHECKING:
    from gs_stereo.synthesis.pair_report import PairReport
    from gs_stereo.synthesis.stack_report import StackReport


@shared_options("set_", "seed", "threads", "dry_run", "json", "quiet")
def evaluate_synthesis(
    *,
    synthesizer: Annotated[
        list[str] | None,
        typer.Argument(help="{choices}, a folder of weights, or NAME=FOLDER.", show_default="copy shift warp"),
    ] = None,
    root: Annotated[Path, typer.Option(help="A data set with stacks, or with --benchmark its folder of pairs.")],
    benchmark: Annotated[str | None, typer.Option(help="Pairs end to end: {choices}.")] = None,
    split: Annotated[str | None, typer.Option(help="Which part of the benchmark.")] = None,
    depth: Annotated[
        str | None, typer.Option(help="Pairs: depth for warping, a folder of maps or exact.", show_default="none")
    ] = None,
    steps: Annotated[
        list[int] | None, typer.Option(help="Steps of samplers; repeatable.", show_default="1 and the model's own")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of each view.", show_default="1")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first stacks or pairs.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures of what was made.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and report.txt.")] = None,
    common: Common,
) -> None:
    """Compare makers of second eyes with the truth: parallax, rows, PSNR, SSIM; the floor is a copy of the source."""
    import json

    from gs_stereo.benchmarks.protocol import open_benchmark
    from gs_stereo.config import merge, parse_config, parse_overrides, refuse_idle
    from gs_stereo.core.atomic import write_text
    from gs_stereo.datasets.samples import DatasetSamples
    from gs_stereo.synthesis.evaluation import compare_on_pairs, compare_on_stacks
    from gs_stereo.synthesis.evaluation_config import EvaluateSynthesisConfig

    values = merge(parse_overrides(common.set_ or []), given(steps=steps, seeds=seeds, limit=limit, depth=depth))
    config = parse_config(EvaluateSynthesisConfig, values, where="the command line")
    refuse_idle(config, values, "evaluate-synthesis")
    stacks = DatasetSamples(root) if benchmark is None else None
    pairs = () if benchmark is None else open_benchmark(benchmark, root, split).pairs
    names = synthesizer or ["copy", "shift", *(["warp"] if stacks or config.depth != "none" else [])]
    if common.dry_run:
        found = [item.name for item in pairs]
        if stacks:
            found = [stacks.read(number).sample_id for number in range(len(stacks))]
        if common.json:
            print_json({"synthesizers": names, "data": found[: config.limit]})
        else:
            print("\n".join(found[: config.limit]))
        return
    seed = common.seed or 0
    report: PairReport | StackReport
    if stacks:
        report = compare_on_stacks(stacks, names, config, seed, pictures=pictures)
    else:
        report = compare_on_pairs(str(benchmark), pairs, names, config, seed, pictures=pictures)
    if out is not None:
        write_text(out / "report.json", json.dumps(report.to_json(), indent=1) + "\n")
        write_text(out / "report.txt", report.to_table() + "\n")
    if common.json:
        print_json(report.to_json())
        return
    print(report.to_table())
