"""Seconds a training pair, by kind of scene, in one process on one thread; prints one JSON line each.

Run: python tools/bench/bm_training_pairs.py [--pairs 8] [--width 512] [--height 384]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time

import cv2

from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.pair import sample_pair
from gs_stereo.worlds.textures.tiles import texture_bank

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=384)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    config = TrainingPairConfig(width=arguments.width, height=arguments.height)
    start = time.process_time()
    texture_bank(SEED, config.textures, config.texture_px)
    print(json.dumps({"part": "textures, once a process", "processor_seconds": round(time.process_time() - start, 2)}))
    sample_pair(config, SEED, 0)
    for first, kind in enumerate(config.scenes):
        seconds = []
        for pair in range(arguments.pairs):
            start = time.process_time()
            sample_pair(config, SEED, first + pair * len(config.scenes))
            seconds.append(time.process_time() - start)
        line = {
            "part": kind,
            "size": [config.width, config.height],
            "pairs": arguments.pairs,
            "processor_seconds_median": round(statistics.median(seconds), 3),
            "least_and_most": [round(min(seconds), 3), round(max(seconds), 3)],
            "machine": platform.machine(),
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
