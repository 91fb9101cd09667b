"""A data set behind an S3 server (moto, on this machine) read through the cache, against the same one on disk.

    python tools/bench/bm_remote_reader.py --work DIR [--samples 64] [--epochs 5]

Epochs of both are read one after the other, in the shuffled order of a training. Prints JSON: samples a second of the
first remote epoch, and the speed of the remote one against the local one in each later pair of epochs, by CPU time and
by the clock.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from gs_stereo import StereoDataset
from gs_stereo.datasets.torch_sampler import ShardSampler

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "tests")]
from builders import write_shifted_pairs
from fleet_acceptance import start_store


def epoch(dataset: StereoDataset, number: int) -> np.ndarray:
    """Seconds of the clock and of the CPU for one epoch."""
    sampler = ShardSampler(dataset, seed=0)
    sampler.set_epoch(number)
    before = time.perf_counter(), time.process_time()
    for index in sampler:
        dataset[index]
    return np.array([time.perf_counter() - before[0], time.process_time() - before[1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    given = parser.parse_args()
    folder = write_shifted_pairs(given.work / "data", given.samples, (240, 320))
    store = start_store([folder])
    try:
        local = StereoDataset(folder)
        remote = StereoDataset(f"s3://captures/{folder.name}", cache=given.work / "cache")
        first = epoch(remote, 0)
        ratios = [epoch(local, number) / epoch(remote, number) for number in range(1, given.epochs + 1)]
    finally:
        store.kill()
        shutil.rmtree(given.work)
    clock, cpu = zip(*ratios, strict=True)
    result = {"samples": given.samples, "first_epoch_samples_a_s": round(given.samples / first[0], 1)}
    for name, values in (("clock", clock), ("cpu", cpu)):
        result[f"remote_of_local_{name}"] = [round(float(value), 3) for value in values]
        result[f"median_{name}"] = round(float(statistics.median(values)), 3)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
