"""How time, memory and disk of every stage grow with the number of photos; prints a JSON line a stage and count.

    python tools/bench/bm_growth.py --work DIR [--photos 12 25 50 100 200] [--width 320] [--threads 1]

Each count is a capture of its own by `gsstereo sample`, at 4:3. Every stage is a process of its own;
`processor_seconds` is its and its workers', and holds beside other work. At the end stands a line for each stage with
the exponents p of the best fit by n to the power p, through all counts: 1 is linear, n log n is 1.27 between 12 and
200 photos. What a stage costs without any photo makes them smaller, so `per_photo` has the cost of a photo between the
two largest counts as a multiple of that between the two smallest. What is in DIR already is measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

STAGES: dict[str, list[str]] = {
    "reconstruct": [],
    "fit": ["--set", "iterations=200", "--set", "max_gaussians=20000"],
    "render-pairs": ["--set", "guards.enabled=false"],
    "label": ["--fuse", "sgbm"],
    "report": [],
    "export": ["--format", "kitti"],
}
PUBLISHED = {"render-pairs": "pairs", "label": "dataset", "export": "../kitti"}
MEASURES = ("processor_seconds", "peak_mib", "disk_mib")


def measured(stage: str, scene: Path, options: list[str]) -> dict[str, float]:
    """Run a stage in a process of its own."""
    command = [sys.executable, "-m", "gs_stereo.cli.main", stage, str(scene), "-q", *options, *STAGES[stage]]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)  # of this process and its workers
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 5):  # 5: the report's verdict is fail, as it may be of so short a fit
        raise SystemExit(f"{' '.join(command)} ended with code {code}.")
    folder = scene / "gsstereo" / PUBLISHED.get(stage, stage)
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
        "disk_mib": round(disk / 2**20, 2),
    }


def growth(counts: list[int], values: list[float]) -> dict[str, float]:
    """The exponent, and what a photo costs at the end as a multiple of what it costs at the start."""
    slopes = [(b - a) / (m - n) for (n, m), (a, b) in zip(pairwise(counts), pairwise(values), strict=True)]
    exponent = float(np.polyfit(np.log(counts), np.log(np.maximum(values, 1e-3)), 1)[0])
    found = {"exponent": round(exponent, 2)}
    return found | ({"per_photo": round(slopes[-1] / slopes[0], 2)} if len(slopes) > 1 and slopes[0] > 0 else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the captures and their results")
    parser.add_argument("--photos", type=int, nargs="+", default=[12, 25, 50, 100, 200])
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {stage: [] for stage in arguments.stages}
    for count in arguments.photos:
        scene = arguments.work / f"photos_{count}"
        if not scene.exists():
            size = ["--width", str(arguments.width), "--height", str(3 * arguments.width // 4)]
            command = [sys.executable, "-m", "gs_stereo.cli.main", "sample", str(scene), "--views", str(count), "-q"]
            subprocess.run([*command, *size], check=True, stdout=subprocess.DEVNULL)
        for stage in arguments.stages:
            options = ["--force", "--threads", str(arguments.threads)]
            if stage == "export":
                options = ["--force", "--to", str(scene / "kitti")]
            found[stage].append(measured(stage, scene, options))
            print(json.dumps({"photos": count, "stage": stage, **found[stage][-1]}), flush=True)
    if len(arguments.photos) > 1:
        for stage, values in found.items():
            of = {name: growth(arguments.photos, [value[name] for value in values]) for name in MEASURES}
            print(json.dumps({"stage": stage, "growth": of}), flush=True)


if __name__ == "__main__":
    main()
