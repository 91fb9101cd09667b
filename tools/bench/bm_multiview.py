"""Seconds of both multi-view sweeps at 640x480 by the number of views; prints one JSON line each.

`planes` searches all depths, as before a fit (there on smaller photos); `near` starts at a prior, as labels do.

Run: python tools/bench/bm_multiview.py [--threads 0] [--views 4 8 12]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from gs_stereo.mvs.config import MultiViewConfig, SweepConfig
from gs_stereo.mvs.sweep import sweep, sweep_near
from gs_stereo.mvs.views import InverseDepthPrior, PosedImage
from gs_stereo.types import Camera

WIDTH, HEIGHT, FOCAL = 640, 480, 520.0


def textured_stack(views: int) -> list[PosedImage]:
    """A fronto-parallel wall at z = 2 with noise at several scales: offsets on both sides, the left view first."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, 2 * WIDTH, 3)).astype(np.float32)
    texture = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (1.0, 2.0, 4.0))
    texture = cv2.normalize(np.asarray(texture), None, 0, 255, cv2.NORM_MINMAX)
    intrinsics = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    left = Camera(name="left", width=WIDTH, height=HEIGHT, intrinsics=intrinsics, cam_from_world=np.eye(4))
    steps = [0, *(sign * (1 + k // 2) for k, sign in zip(range(views), [1, -1] * views, strict=False))]
    stack = []
    for step in steps:
        camera = left.shifted(0.05 * step)
        start = np.float32(WIDTH / 2 + FOCAL * 0.05 * step / 2.0)
        matrix = np.array([[1, 0, start], [0, 1, 0]], np.float32)
        image = cv2.warpAffine(texture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        stack.append(PosedImage(camera=camera, image=np.clip(np.rint(image), 0, 255).astype(np.uint8)))
    return stack


def _near(left: PosedImage, views: list[PosedImage], prior: InverseDepthPrior, config: MultiViewConfig) -> np.ndarray:
    return sweep_near(left, views, prior, config).inverse_depth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--views", type=int, nargs="+", default=[4, 8, 12])
    arguments = parser.parse_args()
    prior = InverseDepthPrior.from_depth(np.full((HEIGHT, WIDTH), 2.02), np.full((HEIGHT, WIDTH), 0.5))
    planes = np.linspace(1 / 8.0, 1 / 0.8, 128)
    config = MultiViewConfig(threads=arguments.threads)
    for count in arguments.views:
        left, *views = textured_stack(count)
        asks: dict[str, Callable[[], np.ndarray]] = {
            "planes": partial(sweep, left, views, planes, SweepConfig(), arguments.threads),
            "near": partial(_near, left, views, prior, config),
        }
        for name, ask in asks.items():
            wall, processor = time.perf_counter(), time.process_time()
            error = np.abs(ask() - 0.5) * FOCAL * 0.1
            line = {
                "sweep": name,
                "views": count,
                "threads": arguments.threads or os.cpu_count(),
                "seconds": round(time.perf_counter() - wall, 3),
                "processor_seconds": round(time.process_time() - processor, 3),
                "median_error_px": round(float(np.nanmedian(error)), 4),
                "machine": platform.machine(),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
