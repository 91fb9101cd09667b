"""`gsstereo compare-on`: two nets on the user's own pairs, which have no truth."""

from pathlib import Path
from typing import Annotated

import typer

from gs_stereo.cli.options import Common, given, shared_options
from gs_stereo.cli.tables import print_json, print_table

_SHOWN_EDGE_PX = 1400


@shared_options("set_", "dry_run", "json", "quiet")
def compare_on(
    *,
    pairs: Annotated[
        Path, typer.Argument(help="Folder of rectified pairs: NAME/left.png, right.png, or left/, right/.")
    ],
    before: Annotated[str, typer.Option(help="{choices}, a folder of train, a .pth or a .onnx file.")],
    after: Annotated[str, typer.Option(help="As --before.")],
    max_disparity: Annotated[
        float | None, typer.Option(help="Largest disparity looked for, px.", show_default="the matcher's own")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first pairs.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for index.html, compare.json and a picture a pair.")] = Path(
        "compare-on"
    ),
    common: Common,
) -> None:
    """Compare two nets on your own pairs without truth: do left and right agree, does one explain the other?"""
    from gs_stereo.benchmarks.unlabelled import ComparedAnswers, CompareOnConfig, answers_picture
    from gs_stereo.benchmarks.unlabelled import compare_on as compared
    from gs_stereo.cli.training_verbs import expert_and_settings
    from gs_stereo.config import merge, parse_config, parse_overrides
    from gs_stereo.core.atomic import write_text
    from gs_stereo.core.markup import el
    from gs_stereo.core.records import json_text
    from gs_stereo.datasets.layouts.folder import find_unlabelled
    from gs_stereo.errors import ConfigError
    from gs_stereo.imaging.images import write_png
    from gs_stereo.log import progress
    from gs_stereo.matching.experts import idle_expert, make_matcher
    from gs_stereo.report.markup import figure, section, table
    from gs_stereo.report.page import html_page
    from gs_stereo.report.pictures import data_uri

    asked, overrides = [], parse_overrides(common.set_ or [])
    for net in (before, after):
        expert, experts = expert_and_settings(net, None)
        values = merge(overrides, given(experts=experts, max_disparity_px=max_disparity, limit=limit))
        config = parse_config(CompareOnConfig, values, where="the options of compare-on")
        asked.append((expert, config.experts))
    if idle := idle_expert(overrides.get("experts", {}), [expert for expert, _ in asked]):
        raise ConfigError(f"The setting {idle}; leave it out.")
    found = find_unlabelled(pairs)[: config.limit]
    if common.dry_run:
        names = [pair.name for pair in found]
        print_json({"before": before, "after": after, "pairs": names}) if common.json else print("\n".join(names))
        return
    matchers = [make_matcher(expert, settings) for expert, settings in asked]
    figures = []
    with progress("compare-on", len(found), "pair") as bar:

        def observe(answers: ComparedAnswers) -> None:
            picture = answers_picture(answers)
            write_png(out / f"{answers.name}.png", picture)
            shown = el("img", src=data_uri(picture, _SHOWN_EDGE_PX), alt=f"{answers.name}, {before} and {after}")
            agree, residual = (
                " and ".join(text.format(getattr(each, name)) for each in answers.measures)
                for name, text in (("consistent", "{:.1%}"), ("residual_levels", "{:.2f}"))
            )
            figures.append(figure(shown, f"{answers.name}: {agree} agree; residual {residual} levels"))
            bar.advance()

        result = compared(found, matchers[0], matchers[1], config.max_disparity_px, observe)
    head = ("", "before", "after", "better in")
    lead = (
        f"Before: {before}. After: {after}. {len(found)} pairs without truth.",
        " Agreement and likeness are signs of a better answer, not its proof: look at the pictures.",
    )
    rows = "Left and right eye; before and after: disparity on one scale, where both directions agree, the residual."
    page = html_page(
        pairs.resolve().name,
        f"{pairs.resolve().name}: before and after",
        lead,
        (
            ("Means", "means", section("Means over the pairs", "means", table(head, result.rows()))),
            ("Pairs", "pairs", section("Pairs", "pairs", el("p", rows, class_="quiet"), figures)),
        ),
    )
    write_text(out / "index.html", page)
    write_text(out / "compare.json", json_text(result.to_json()))
    if common.json:
        print_json({**result.to_json(), "folder": str(out)})
        return
    print_table(("measure", *head[1:]), result.rows())
    print(f"Pictures: {out / 'index.html'}")
