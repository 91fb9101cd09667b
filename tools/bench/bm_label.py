"""Pairs per second of `gsstereo label` by source, on a scene with pairs; prints one JSON line each.

    python tools/bench/bm_label.py SCENE [--out DIR] [--workers 2]

Each line is one whole run in a process of its own: start, matching, fusion, shards and card. `processor_seconds_a_pair`
is that of the run and its workers. The data sets are removed afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from gs_stereo.io.pair_index import read_pair_index

CASES: dict[str, list[str]] = {
    "splat": ["--expert", "splat"],
    "sgbm": ["--expert", "sgbm"],
    "fused: sgbm, no photos": ["--no-photos"],
    "fused: sgbm and photos": [],
    "fused: sgbm, photos, multibaseline": ["--fuse", "sgbm", "--fuse", "multibaseline"],
    "multibaseline": ["--expert", "multibaseline"],
}


def processor_seconds() -> float:
    """Of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--out", type=Path, help="the scene's output folder, gsstereo/ in it by default")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    arguments = parser.parse_args()
    output = arguments.out or arguments.scene / "gsstereo"
    pairs = len(read_pair_index(output / "pairs/default"))
    for name in arguments.cases:
        command = [sys.executable, "-m", "gs_stereo.cli.main", "label", str(arguments.scene), "--out", str(output)]
        command += ["--name", "benchmark", "--force", "-q", "--workers", str(arguments.workers), *CASES[name]]
        wall, processor = time.perf_counter(), processor_seconds()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds, processor = time.perf_counter() - wall, processor_seconds() - processor
        shutil.rmtree(output / "dataset/benchmark")
        line = {
            "label": name,
            "pairs": pairs,
            "workers": arguments.workers,
            "seconds": round(seconds, 2),
            "pairs_per_second": round(pairs / seconds, 2),
            "processor_seconds_a_pair": round(processor / pairs, 3),
            "machine": platform.machine(),
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
