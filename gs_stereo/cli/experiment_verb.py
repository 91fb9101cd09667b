"""The verb that compares label sources by what a net learns from them: experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gs_stereo.cli.options import Common, given, path_text, shared_options, weights_text
from gs_stereo.cli.running import finished_cells
from gs_stereo.cli.tables import print_json, print_table, report_json

if TYPE_CHECKING:
    from gs_stereo.pipeline.graph import CellStatus
    from gs_stereo.pipeline.recipe import Recipe

_DEFAULT = Path("expert_vs_splat")


@shared_options()
def experiment(
    *,
    captures: Annotated[
        list[Path] | None, typer.Argument(help="Scene folders with photos.", show_default=False)
    ] = None,
    config: Annotated[
        Path, typer.Option("--config", help="Recipe with a matrix: a file, or the name of a shipped one.")
    ] = _DEFAULT,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Start weights: lite, a folder published by train, or a .pth.", show_default="lite"
        ),
    ] = None,
    benchmark: Annotated[str | None, typer.Option(help="As of evaluate: {choices}.", show_default="folder")] = None,
    root: Annotated[Path | None, typer.Option(help="The benchmark's folder.", show_default=False)] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only this label source of the recipe; repeatable.")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Trainings of each label source.", show_default="the recipe's")
    ] = None,
    common: Common,
) -> None:
    """Fine-tune a net on each label source of the same captures, with several seeds, and tabulate zero-shot scores."""
    from gs_stereo.benchmarks.experiment import Experiment
    from gs_stereo.config import merge, parse_overrides
    from gs_stereo.core.records import read_object
    from gs_stereo.log import duration, logger
    from gs_stereo.pipeline.graph import assess_cells
    from gs_stereo.pipeline.recipe import load_recipe
    from gs_stereo.pipeline.scene import ScenePaths, scene_paths
    from gs_stereo.stages.compare import TABLE_NAME
    from gs_stereo.stages.registry import STAGES

    recipe = _chosen(load_recipe(config), label or [], seeds)
    own = given(train=given(start=weights_text(start)), evaluate=given(benchmark=benchmark, root=path_text(root)))
    folders = captures or [Path(name) for name in recipe.scenes or ("",)]
    home = common.out or Path("gsstereo") / "experiment" / recipe.name
    cells = Experiment(
        recipe=recipe,
        stages=STAGES,
        captures=scene_paths(folders, common.out),
        home=ScenePaths.of(Path(), home),
        overrides=merge(parse_overrides(common.set_ or []), own),
        preset=common.preset,
        seed=recipe.seed if common.seed is None else common.seed,
    ).cells()
    if common.dry_run:
        _print_plan(assess_cells(cells, STAGES), as_json=common.json)
        return
    done = []
    for number, (cell, report) in enumerate(finished_cells(cells, common), 1):
        state = "up to date" if report.action == "skipped" else report.action
        logger.info("[%d/%d] %s: %s", number, len(cells), cell.key, state)
        done.append((cell, report))
    table = done[-1][1]
    if common.json:
        ran = [{"cell": cell.key, **report_json(report)} for cell, report in done]
        scores = read_object(table.folder / TABLE_NAME, fix="run the experiment again")
        print_json({"folder": str(table.folder), "cells": ran, "table": scores})
        return
    print(f"{table.manifest.text}\n")
    if fresh := [report for _, report in done if report.action != "skipped"]:
        took = duration(sum(report.manifest.seconds for report in fresh))
        print(f"{len(fresh)} of {len(done)} cells were run in {took}, the others were up to date.")
    else:
        print(f"Nothing to do: all {len(done)} cells are up to date.")
    print(f"The table is in {table.folder}")


def _chosen(recipe: Recipe, labels: list[str], seeds: int | None) -> Recipe:
    """The recipe with some of its label sources, and with as many seeds as asked for."""
    from gs_stereo.errors import ConfigError

    matrix = recipe.matrix
    if matrix is None:
        raise ConfigError(f"The recipe {recipe.name!r} is no experiment: it has no matrix; use it with `gsstereo run`.")
    unknown = [name for name in labels if name not in matrix.labels]
    if unknown:
        known = ", ".join(matrix.labels)
        raise ConfigError(f"The recipe {recipe.name!r} has no label source {unknown[0]!r}; it has: {known}.")
    changes: dict[str, Any] = {"seeds": tuple(range(seeds))} if seeds else {}
    if labels:
        wanted = {matrix.labels[name].labels_of or name for name in labels} | set(labels)
        changes["labels"] = {name: source for name, source in matrix.labels.items() if name in wanted}
    return recipe.model_copy(update={"matrix": matrix.model_copy(update=changes)})


def _print_plan(plan: list[CellStatus], *, as_json: bool) -> None:

    rows = []
    for status in plan:
        state, reason = ("waiting", f"for {status.waits_for}") if status.waits_for else (status.state, status.reason)
        rows.append({"cell": status.cell.key, "folder": str(status.cell.published), "state": state, "reason": reason})
    if as_json:
        print_json(rows)
        return
    print_table(["cell", "state", "why"], [[row["cell"], row["state"], row["reason"]] for row in rows])
    left = sum(row["state"] != "up to date" for row in rows)
    print(f"\n{left} of {len(plan)} cells would run.")
