"""How much slower each stage is beside busy processes than alone, against the fair share; prints JSON lines.

    python tools/bench/busy.py SCENE --out DIR [--stages fit label] [--beside 0 1 2 4] [--repeats 3] [--cores 2]
    python tools/bench/busy.py SCENE --out DIR --preset draft --iterations 150 --repeats 1

SCENE has photos; DIR is filled by one `gsstereo run` if it has no results yet, with the fit of `--iterations` steps.
With `--preset` all stages that have it take it, but a fit has its steps from here: the second line takes about ten
minutes with 12 photos. The runs are interleaved, so that other changes of the machine meet all of them. `fair` is the
slowdown if stage and busy processes shared the cores evenly, thread for thread.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

STAGES = ("reconstruct", "fit", "render-pairs", "label", "report")
GSSTEREO = (sys.executable, "-m", "gs_stereo.cli.main")


def seconds(command: list[str], beside: int) -> float:
    """Wall time of a command that runs beside so many processes that only turn round and round."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(beside)]
    try:
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun
    finally:
        for process in busy:
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--beside", nargs="+", type=int, default=(0, 1, 2, 4))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--preset", help="of the stages that have it")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])  # the busy processes inherit it
    place = [str(arguments.scene), "--out", str(arguments.out), "-q"]
    steps = f"iterations={arguments.iterations}"
    preset = ["--preset", arguments.preset] if arguments.preset else []
    if not (arguments.out / "report").is_dir():
        first = [*GSSTEREO, "run", *place, *preset, "--set", f"fit.{steps}"]
        subprocess.run(first, check=True, stdout=subprocess.DEVNULL)
    for stage in arguments.stages:
        command = [*GSSTEREO, stage, *place, "--force"]
        command += preset if stage != "report" else []
        command += ["--set", steps] if stage == "fit" else []
        found: dict[int, list[float]] = {count: [] for count in arguments.beside}
        for _ in range(arguments.repeats):
            for count, times in found.items():
                times.append(seconds(command, count))
        medians = {count: statistics.median(times) for count, times in found.items()}
        alone = medians[min(medians)]
        for count, median in medians.items():
            line = {
                "stage": stage,
                "beside": count,
                "seconds": [round(each, 2) for each in found[count]],
                "slowdown": round(median / alone, 2),
                "fair": max(1.0, (arguments.cores + count) / arguments.cores),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
