"""Times the stereo nets, forward and in training, and prints one JSON line a case.

    python tools/bench/bm_nets.py [--net lite] [--variant full] [--size 640x480] [--range 192] [--threads 2]

Weights are fresh and images are noise: neither changes the time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable

import torch

from gs_stereo.core.memory import reuse_freed_memory
from gs_stereo.nets.protocol import make_net, parameter_count, resolve_net
from gs_stereo.training.stereo.config import TrainConfig


def timed(action: Callable[[], object], repeat: int) -> dict[str, float]:
    """Median and spread in seconds, after one run that does not count."""
    action()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return {
        "median_s": round(statistics.median(seconds), 4),
        "least_s": round(min(seconds), 4),
        "most_s": round(max(seconds), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", default="lite")
    parser.add_argument("--variant", default="full")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--range", type=float, default=192.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--no-training", action="store_true")
    arguments = parser.parse_args()

    reuse_freed_memory()  # as the command does
    torch.set_num_threads(arguments.threads)
    width, height = map(int, arguments.size.split("x"))
    net = make_net(arguments.net, resolve_net(arguments.net, arguments.variant))
    case = {
        "net": f"{arguments.net} {arguments.variant}",
        "parameters": parameter_count(net),
        "threads": arguments.threads,
        "cpus": os.cpu_count(),
        "torch": torch.__version__,
    }

    left, right = torch.rand(2, 1, 3, height, width)
    net.eval()
    with torch.inference_mode():
        seconds = timed(lambda: net(left, right, max_disparity_px=arguments.range), arguments.repeat)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({**case, "what": "predict", "size": [width, height], **seconds, "peak_memory_mb": peak}))
    if arguments.no_training:
        return

    settings = TrainConfig()
    shape = (settings.batch_size, 3, settings.crop_height, settings.crop_width)
    lefts, rights = torch.rand(2, *shape)
    net.train()

    def step() -> None:
        net.zero_grad()
        answers = net(lefts, rights, max_disparity_px=arguments.range)
        torch.stack([each.mean() for each in answers]).sum().backward()

    seconds = timed(step, max(1, arguments.repeat // 3))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({**case, "what": "train step", "shape": list(shape), **seconds, "peak_memory_mb": peak}))


if __name__ == "__main__":
    main()
