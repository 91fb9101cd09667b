"""What the machinery of a fleet costs: cells of a stage that only writes a file. Prints JSON.

    python tools/bench/bm_fleet.py --scenes 1000 --stages 10 --work DIR [--at-once 2] [--simulated [--s3]]

Times are of planning, of all cells, of the same cells by plain local execution (a sample of them), and of looking at
the finished fleet again. Memory is the largest of the driver. With --simulated no cell is run: manifests and ledgers
are written as if they had been, so that large fleets can be looked at; with --s3 too in an S3 server (moto, on this
machine), where CPU seconds of the driver are told as well.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
import fleet_acceptance

from gs_stereo.config import Config
from gs_stereo.core.atomic import write_text
from gs_stereo.core.records import json_text
from gs_stereo.executors.fleet import FleetDriver, FleetSettings
from gs_stereo.executors.local import LocalExecutor
from gs_stereo.executors.pool import LocalPool
from gs_stereo.io.remote import Place, digest_of
from gs_stereo.pipeline.cell import Cell, Resources, StageReport
from gs_stereo.pipeline.graph import run_cell
from gs_stereo.pipeline.jobs import CellRecord, JobList, JobScene, Ledger, plan_jobs, scene_files
from gs_stereo.pipeline.manifest import MANIFEST_NAME
from gs_stereo.pipeline.recipe import Step
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome, Stages

_PLAIN_SCENES = 20


class SimulatedConfig(Config):
    """number: of the stage in its scene. seconds: that it sleeps."""

    number: int = 0
    seconds: float = 0.0


class SimulatedStage(Stage):
    """Reads a photo and what the stage before it has written; writes one small file."""

    name = "simulated"
    version = 1
    config_type = SimulatedConfig
    replaces_others = False

    def folder(self, config: SimulatedConfig) -> str:
        return f"simulated/s{config.number}"

    def inputs(self, paths: ScenePaths, config: SimulatedConfig) -> StageInputs:
        before = {f"simulated/s{config.number - 1}": self.name} if config.number else {}
        return StageInputs(published=before, external={"photo": paths.scene / "photo"})

    def resources(self, config: SimulatedConfig) -> Resources:
        return Resources()

    def run(self, context: StageContext, config: SimulatedConfig) -> StageOutcome:
        time.sleep(config.seconds)
        write_text(context.work_dir / "result.txt", f"{config.number} of {context.paths.name}\n")
        return StageOutcome()


def run_simulated(cell: Cell) -> StageReport:
    """Bring one cell up to date."""
    stages = Stages(kind="stage", builtin={"simulated": "bm_fleet:SimulatedStage"})
    return run_cell(cell, LocalExecutor(1), stages=stages)


def plan(work: Path | str, scenes: int, stages: int, seconds: float = 0.0) -> JobList:
    """Make the scenes below a folder or URL, and their job list."""
    steps = [
        Step(name="simulated", stage=SimulatedStage(), config=SimulatedConfig(number=i, seconds=seconds))
        for i in range(stages)
    ]
    places = [Place(f"{work}/scene-{number:05d}") for number in range(scenes)]
    for place in places:
        place.write("photo", place.name.encode())
    return plan_jobs(steps, [place.url for place in places], output=None, seed=0).jobs


def finish(jobs: JobList) -> None:
    """Write what a finished fleet leaves: a manifest a cell, and the ledgers."""
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(partial(_finish, jobs=jobs, digests=jobs.digests()), jobs.scenes))


def _finish(scene: JobScene, jobs: JobList, digests: list[str]) -> None:
    output, inputs = Place(scene.output), digest_of(scene_files(Place(scene.scene)))
    names = {step.folder: f"{step.folder}/{MANIFEST_NAME}" for step in jobs.steps}
    for name in names.values():
        output.write(name, b"{}")
    stamps = output.stamps(names.values())
    records = {
        step.folder: CellRecord(digest=digest, state="done", inputs=inputs, manifest=stamps[names[step.folder]])
        for step, digest in zip(jobs.steps, digests, strict=True)
    }
    output.write(".fleet/ledger.json", json_text(Ledger(cells=records)).encode())


def timed(act: Callable[[], Any]) -> tuple[Any, float]:
    started = time.monotonic()
    return act(), time.monotonic() - started


def peak_mib() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--stages", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--s3", action="store_true", help="With --simulated.")
    given = parser.parse_args()
    with ExitStack() as at_end:
        root = str(given.work.resolve() / "fleet")
        if given.s3:
            at_end.callback(fleet_acceptance.start_store([]).kill)
            root = "s3://captures"
        measure(given, root)


def measure(given: argparse.Namespace, root: str) -> None:
    """Print the figures."""
    settings = FleetSettings(cache=str(given.work / "cache"))
    jobs, planning_s = timed(lambda: plan(root, given.scenes, given.stages))

    def drive() -> int:
        driver = FleetDriver(jobs, LocalPool(given.at_once), run_simulated, settings)
        return sum(event.count for event in driver.run() if event.kind in ("done", "skipped"))

    if given.simulated:
        finish(jobs)
        before, cpu_s = peak_mib(), time.process_time()
        cells, again_s = timed(drive)
        shutil.rmtree(given.work, ignore_errors=True)
        result = {"cells": cells, "planning_s": round(planning_s, 2), "again_s": round(again_s, 2)}
        result |= {"again_cpu_s": round(time.process_time() - cpu_s, 2)}
        print(json.dumps({**result, "planned_peak_mib": before, "driver_peak_mib": peak_mib()}))
        return
    cells, first_s = timed(drive)
    memory_mib = peak_mib()
    _, again_s = timed(drive)
    plain = plan(given.work / "plain", _PLAIN_SCENES, given.stages)
    _, plain_s = timed(lambda: [run_simulated(cell) for scene in plain.scenes for cell in plain.cells(scene)])
    shutil.rmtree(given.work)
    result = {
        "cells": cells,
        "planning_s": round(planning_s, 2),
        "s_a_cell": round(first_s / cells, 4),
        "plain_s_a_cell": round(plain_s / plain.cell_count, 4),
        "again_s": round(again_s, 2),
        "driver_peak_mib": memory_mib,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
