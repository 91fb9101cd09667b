"""Attacks a fleet: two drivers on one list, and one of their processes is killed again and again. Prints JSON.

    python tools/fleet_campaign.py --work DIR [--kills 20] [--scenes 12] [--seed 0]

At the end every cell must be done, with the same bytes as plain sequential execution, and a last driver must find
nothing to do. What fell is an AssertionError, and DIR stays.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "bench"))
import bm_fleet

from gs_stereo.core.records import write_record
from gs_stereo.executors.fleet import FleetDriver, FleetSettings
from gs_stereo.executors.pool import LocalPool
from gs_stereo.pipeline.jobs import JobList, read_jobs

_STAGES, _SECONDS = 4, 0.3


def drive(jobs: JobList) -> Counter[str]:
    """Work on a list with two processes until it is done; what happened, counted."""
    settings = FleetSettings(cache="unused", tries=50, backoff_s=0.05, lease_s=3.0)
    counts = Counter[str]()
    for event in FleetDriver(jobs, LocalPool(2), bm_fleet.run_simulated, settings).run():
        counts[event.kind] += event.count
    return counts


def children(pid: int) -> list[int]:
    """Process ids; none of a process that is gone."""
    with suppress(OSError):
        found = (path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children"))
        return [int(child) for each in found for child in each]
    return []


def results(jobs: JobList) -> dict[str, bytes]:
    """The bytes of every result, by scene and path."""
    found = {}
    for scene in jobs.scenes:
        output = Path(scene.output)
        for path in sorted(output.glob("simulated/*/result.txt")):
            found[f"{scene.name}/{path.relative_to(output)}"] = path.read_bytes()
    return found


def attack(path: Path, kills: int, draw: random.Random) -> Counter[str]:
    """Keep two drivers at work until both end well, and kill something now and then; what was killed, counted."""
    command = [sys.executable, __file__, "--drive", str(path)]
    killed, drivers = Counter[str](), [subprocess.Popen(command) for _ in range(2)]
    while any(driver.poll() is None for driver in drivers):
        time.sleep(draw.uniform(0.5, 2.0))
        for number, driver in enumerate(drivers):
            if driver.poll() not in (None, 0):
                assert driver.returncode == -signal.SIGKILL, f"a driver ended with {driver.returncode}"
                drivers[number] = subprocess.Popen(command)
        driver = draw.choice(drivers)
        workers = children(driver.pid)
        if killed.total() >= kills or driver.poll() is not None:
            continue
        kind, pid = ("worker", draw.choice(workers)) if workers and draw.random() < 0.6 else ("driver", driver.pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed[kind] += 1
    return killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        drive(read_jobs(given.drive))
        return
    jobs = bm_fleet.plan(given.work / "fleet", given.scenes, _STAGES, _SECONDS)
    write_record(given.work / "jobs.json", jobs)
    killed = attack(given.work / "jobs.json", given.kills, random.Random(given.seed))
    again = drive(jobs)
    assert again == {"skipped": jobs.cell_count}, f"a last driver found something to do: {again}"
    plain = bm_fleet.plan(given.work / "plain", given.scenes, _STAGES, 0.0)
    for scene in plain.scenes:
        for cell in plain.cells(scene):
            bm_fleet.run_simulated(cell)
    assert results(jobs) == results(plain), "the bytes differ from plain execution"
    print(json.dumps({"cells": jobs.cell_count, "killed": dict(killed)}))
    shutil.rmtree(given.work)


if __name__ == "__main__":
    main()
