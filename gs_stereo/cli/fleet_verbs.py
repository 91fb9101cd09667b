"""Verbs for many scenes: fleet plan, run, publish and status."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gs_stereo.cli.options import Common, shared_options
from gs_stereo.cli.run_verbs import RecipeOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from gs_stereo.executors.fleet import FleetSettings
    from gs_stereo.executors.pool import Pool
    from gs_stereo.pipeline.cell import Cell, Executor, StageReport
    from gs_stereo.pipeline.jobs import JobList

JobsArgument = Annotated[Path, typer.Argument(help="Job list that `gsstereo fleet plan` printed.", show_default=False)]
CacheOption = Annotated[Path | None, typer.Option(help="Folder for copies of remote files.")]
_LIST_SUFFIXES = (".txt", ".list")


@shared_options("preset", "set_", "seed", "quiet")
def plan(
    *,
    scenes: Annotated[
        list[str] | None,
        typer.Argument(help="Folders, URLs, videos, or a .txt file with one of them a line.", show_default=False),
    ] = None,
    config: RecipeOption = None,
    out: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Folder or URL for all results, instead of SCENE/gsstereo.")
    ] = None,
    common: Common,
) -> None:
    """Print the job list of a recipe over many scenes. What is no scene is left out and named."""
    from gs_stereo.cli.running import resolve_given
    from gs_stereo.config import parse_overrides
    from gs_stereo.core.records import json_text
    from gs_stereo.errors import ConfigError
    from gs_stereo.log import logger
    from gs_stereo.pipeline.jobs import plan_jobs
    from gs_stereo.pipeline.recipe import load_recipe
    from gs_stereo.stages.registry import DEFAULT_RECIPE

    recipe = load_recipe(config) if config else DEFAULT_RECIPE
    if recipe.matrix is not None:
        raise ConfigError(f"The recipe {recipe.name!r} is an experiment; run it with `gsstereo experiment`.")
    steps = resolve_given(recipe, parse_overrides(common.set_ or []), common.preset)
    named = [each for text in scenes or recipe.scenes for each in _listed(text)]
    planned = plan_jobs(steps, named, output=out, seed=recipe.seed if common.seed is None else common.seed)
    for name, reason in planned.refused.items():
        logger.warning("left out %s: %s", name, reason)
    jobs = planned.jobs
    print(json_text(jobs), end="")
    logger.info("%d cells: %d scenes x %d stages", jobs.cell_count, len(jobs.scenes), len(jobs.steps))


def _listed(text: str) -> list[str]:
    """A list file as its lines, which are relative to it; everything else as it is."""
    from gs_stereo.errors import InputError

    path = Path(text)
    if path.suffix not in _LIST_SUFFIXES or not path.is_file():
        return [text]
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise InputError(f"The list {path} is no UTF-8 text; save it as one.") from error
    return [line if "://" in line else str(path.parent / line) for line in lines if line and not line.startswith("#")]


@shared_options("workers", "threads", "json", "quiet")
def run(
    *,
    jobs: JobsArgument,
    executor: Annotated[str, typer.Option(help="Where cells run: {choices}.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster that runs; without it Ray is started on this machine.")
    ] = None,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Cells at once: 1 with local by default, as many as fit with ray.")
    ] = None,
    index: Annotated[
        int | None,
        typer.Option(min=0, help="Do this one cell in this process: I is scene I % scenes of stage I // scenes."),
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="With --index, which then counts the scenes: only this stage.")
    ] = None,
    tries: Annotated[int, typer.Option(min=1, help="Of a cell, before its scene is set aside.")] = 3,
    deadline: Annotated[float | None, typer.Option(min=0, help="Seconds after which a cell counts as hung.")] = None,
    lease: Annotated[
        float, typer.Option(min=0.3, help="Seconds without heartbeat after which a claim is dead.")
    ] = 60.0,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what was set aside.")] = False,
    cache: CacheOption = None,
    common: Common,
) -> None:
    """Work through a job list. Skips what is finished; several drivers and machines may share one list.

    A scene that fails is set aside with its reason and the others go on; exit code 4 says that there are such scenes.
    """
    from gs_stereo.errors import ConfigError, StageError
    from gs_stereo.executors.fleet import FleetSettings, run_one
    from gs_stereo.executors.pool import LocalPool
    from gs_stereo.pipeline.jobs import read_jobs

    settings = FleetSettings(
        cache=_cache(cache),
        tries=tries,
        deadline_s=deadline,
        lease_s=lease,
        retry=retry,
    )
    job_list = read_jobs(jobs)
    if index is None:
        if stage is not None:
            raise ConfigError("--stage says which stage --index counts in; give --index too.")
        pool = _pool(executor, address, at_once)
        task = partial(_run_cell, workers=common.workers, units_on=pool.executor)
        aside = _drive(job_list, pool, task, settings, common)
        if aside:
            raise StageError(
                f"{aside} of {len(job_list.scenes)} scenes are set aside; see `gsstereo fleet status {jobs}`, "
                "mend them and run again with --retry."
            )
        return
    number = _cell_number(job_list, index, stage)
    task = partial(_run_cell, workers=common.workers, units_on=LocalPool.executor)
    print(f"{run_one(job_list, number, task, settings).state}: cell {number} of {job_list.cell_count}")


def _cell_number(jobs: JobList, index: int, stage: str | None) -> int:
    from gs_stereo.errors import ConfigError

    names = [step.stage for step in jobs.steps]
    if stage is not None and stage not in names:
        raise ConfigError(f"The job list has no stage {stage!r}; it has: {', '.join(names)}.")
    most = jobs.cell_count if stage is None else len(jobs.scenes)
    if index >= most:
        raise ConfigError(f"The index {index} is too large; the job list has the indices 0 to {most - 1}.")
    return index if stage is None else names.index(stage) * len(jobs.scenes) + index


def _run_cell(cell: Cell, workers: int | None, units_on: Callable[[Cell, int | None], Executor]) -> StageReport:
    """Bring one local cell up to date; runs wherever the executor has its processes."""
    from gs_stereo.pipeline.graph import run_cell
    from gs_stereo.stages.registry import STAGES

    return run_cell(cell, units_on(cell, workers), stages=STAGES)


def _pool(executor: str, address: str | None, at_once: int | None) -> Pool:
    from gs_stereo.errors import ConfigError
    from gs_stereo.executors.registry import EXECUTORS

    if executor == "local" and address is not None:
        raise ConfigError("--address is that of a Ray cluster; add --executor ray.")
    return EXECUTORS.load(executor)(at_once=at_once, address=address)


def _drive(jobs: JobList, pool: Pool, task: partial[StageReport], settings: FleetSettings, common: Common) -> int:
    """Run the fleet, show how it goes, print what was done, and return how many scenes are set aside."""
    from collections import Counter

    from gs_stereo.cli.tables import print_json
    from gs_stereo.executors.fleet import FleetDriver
    from gs_stereo.log import duration, logger, progress

    counts, retries = Counter[str](), list[dict[str, str]]()
    reasons = dict[str, str]()
    with progress("fleet", jobs.cell_count, "cells") as bar:
        for event in FleetDriver(jobs, pool, task, settings).run():
            counts[event.kind] += event.count
            where = f"{event.stage} {event.scene}".strip()
            if event.kind in ("done", "skipped"):
                bar.advance(event.count, note=f"{counts['aside']} scenes aside" if counts["aside"] else "")
            if event.kind == "done":
                logger.info("%s: done in %s", where, duration(event.seconds))
            elif event.kind in ("retry", "aside"):
                said = "it will be tried again" if event.kind == "retry" else "the scene is set aside"
                logger.warning("%s: %s (%s)", where, event.reason.rstrip("."), said)
            elif event.kind == "held":
                logger.info("%s: waiting, for %s", where, event.reason)
            if event.kind == "retry":
                retries.append({"scene": event.scene, "stage": event.stage, "reason": event.reason})
            elif event.kind == "aside":
                reasons[event.scene] = event.reason
    if common.json:
        print_json({"cells": jobs.cell_count, **counts, "retries": retries, "set_aside": reasons})
    else:
        print(
            f"{counts['done']} cells done, {counts['skipped']} were up to date, {counts['retry']} tries failed, "
            f"{counts['aside']} of {len(jobs.scenes)} scenes set aside"
        )
    return counts["aside"]


@shared_options("seed", "json", "quiet")
def publish(
    *,
    jobs: JobsArgument,
    to: Annotated[
        str, typer.Option("--to", metavar="PLACE", help="Folder or URL of the data set, which must not exist.")
    ],
    dataset: Annotated[
        str | None, typer.Option(help="Name of the data set of each scene; needed if they have several.")
    ] = None,
    shares: Annotated[str, typer.Option(help="Splits, and their shares of the scenes.")] = (
        "train=0.8,validation=0.1,test=0.1"
    ),
    balance: Annotated[
        bool, typer.Option("--balance", help="Weigh scenes so that all disparities count alike.")
    ] = False,
    cache: CacheOption = None,
    common: Common,
) -> None:
    """Merge the data sets of all scenes into one: splits by scene, card, Croissant, for `datasets.load_dataset`.

    What is not finished, damaged, or a copy of another scene is left out and named; exit code 4 says that something
    could not be read.
    """
    from gs_stereo.cli.tables import print_json
    from gs_stereo.core.records import json_values
    from gs_stereo.datasets.merge import MergeSettings, publish_datasets
    from gs_stereo.errors import ConfigError, InputError, StageError
    from gs_stereo.io.remote import Place
    from gs_stereo.log import logger
    from gs_stereo.pipeline.fleet_data import scene_data
    from gs_stereo.pipeline.jobs import read_jobs

    try:
        parts = {name.strip(): float(value) for name, _, value in (each.partition("=") for each in shares.split(","))}
    except ValueError as error:
        raise ConfigError(f"--shares {shares} is not understood; write train=0.8,validation=0.1,test=0.1.") from error
    copies = Path(_cache(cache)).expanduser()
    data = scene_data(read_jobs(jobs), dataset, copies)
    settings = MergeSettings(shares=parts, seed=common.seed or 0, balance=balance)
    reasons = {**data.unfinished, **data.unreadable}
    if not data.found:
        why = next(iter(reasons.values()), "the job list has no scene")
        kind = StageError if data.unreadable else InputError
        raise kind(f"There is nothing to publish ({why.rstrip('.')}); label some scenes first.")
    merged = publish_datasets(Place.of(to), data.found, settings, copies)
    reasons |= merged.left_out
    for name, reason in reasons.items():
        logger.warning("left out %s: %s", name, reason)
    if common.json:
        print_json({**json_values(merged), "left_out": reasons})
    else:
        counts = {split: sum(entry.samples for entry in merged.scenes if entry.split == split) for split in parts}
        print(
            f"{len(merged.scenes)} scenes: {', '.join(f'{count} {split}' for split, count in counts.items())} samples"
        )
        print(f"The data set is in {to}")
    if broken := [*data.unreadable, *merged.damaged]:
        raise StageError(
            f"The data set was published without {', '.join(broken)}, which could not be read; mend them, delete it "
            "and publish again."
        )


def _cache(given: Path | None) -> str:
    """`~` stays, for it is another folder for each user and machine."""
    path = given or Path("~/.cache/gsstereo")
    return str(path if path.parts[:1] == ("~",) else path.resolve())


@shared_options("json", "quiet")
def status(
    *,
    jobs: JobsArgument,
    html: Annotated[Path | None, typer.Option(help="Write an overview of all scenes as an HTML page.")] = None,
    tries: Annotated[
        bool, typer.Option("--tries", help="List every try of every driver that did not end well, too.")
    ] = False,
    common: Common,
) -> None:
    """Show where a fleet stands: cells by stage, and each scene that is set aside, with its reason."""
    from dataclasses import asdict

    from gs_stereo.cli.tables import print_json, print_table
    from gs_stereo.core.atomic import write_text
    from gs_stereo.executors.fleet import failed_tries, scene_states
    from gs_stereo.pipeline.jobs import read_jobs

    job_list = read_jobs(jobs)
    states = list(scene_states(job_list))
    if html is not None:
        from gs_stereo.report.fleet_page import fleet_page

        write_text(html, fleet_page(job_list, states, beside=html.resolve().parent))
    failed = list(failed_tries(job_list)) if tries else []
    total = len(job_list.scenes)
    done = [sum(state.finished > number for state in states) for number in range(len(job_list.steps))]
    bad = {scene.name: state.reason for scene, state in zip(job_list.scenes, states, strict=True) if state.reason}
    if common.json:
        rows = [{"stage": step.stage, "done": count} for step, count in zip(job_list.steps, done, strict=True)]
        listed = {"failed_tries": [asdict(each) for each in failed]} if tries else {}
        print_json({"scenes": total, "stages": rows, "set_aside": bad, **listed})
        return
    print_table(
        ["stage", "done", "to do"],
        [[step.stage, str(count), str(total - count)] for step, count in zip(job_list.steps, done, strict=True)],
    )
    if bad:
        print()
        print_table(["set aside", "why"], [[name, reason] for name, reason in bad.items()])
    if tries:
        print()
        lines = [[t.scene, t.stage, str(t.number), f"{t.pid} on {t.host}", t.reason] for t in failed]
        print_table(["scene", "stage", "try", "process", "how it ended"], lines)
