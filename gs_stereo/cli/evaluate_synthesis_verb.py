"""`gsstereo evaluate-synthesis`: how well second eyes are made, by any method."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, given, shared_options
from gs_stereo.cli.tables import print_json


@shared_options("set_", "seed", "dry_run", "json", "quiet")
def evaluate_synthesis(
    *,
    synthesizer: Annotated[
        list[str] | None,
        typer.Argument(help="{choices}, a folder of weights, or NAME=FOLDER.", show_default="copy shift warp"),
    ] = None,
    root: Annotated[Path, typer.Option(help="A data set with stacks.")],
    steps: Annotated[
        list[int] | None, typer.Option(help="Steps of samplers; repeatable.", show_default="1 and the model's own")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds of each view.", show_default="1")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first stacks.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for pictures of what was made.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and report.txt.")] = None,
    common: Common,
) -> None:
    """Compare makers of second eyes with the truth: parallax, rows, PSNR, SSIM; the floor is a copy of the source."""
    import json

    from gs_stereo.config import merge, parse_config, parse_overrides
    from gs_stereo.core.atomic import write_text
    from gs_stereo.datasets.samples import DatasetSamples
    from gs_stereo.synthesis.evaluation import compare_on_stacks
    from gs_stereo.synthesis.evaluation_config import EvaluateSynthesisConfig

    values = merge(parse_overrides(common.set_ or []), given(steps=steps, seeds=seeds, limit=limit))
    config = parse_config(EvaluateSynthesisConfig, values, where="the command line")
    names = synthesizer or ["copy", "shift", "warp"]
    samples = DatasetSamples(root)
    if common.dry_run:
        chosen = [samples.read(number).sample_id for number in range(min(len(samples), config.limit or len(samples)))]
        if common.json:
            print_json({"synthesizers": names, "stacks": chosen})
        else:
            print("\n".join(chosen))
        return
    report = compare_on_stacks(samples, names, config, common.seed or 0, pictures=pictures)
    if out is not None:
        write_text(out / "report.json", json.dumps(report.to_json(), indent=1) + "\n")
        write_text(out / "report.txt", report.to_table() + "\n")
    if common.json:
        print_json(report.to_json())
        return
    print(report.to_table())
