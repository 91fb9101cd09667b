"""Times a fit and measures what it reaches; prints one JSON line a capture.

    python tests/perf/bm_fit.py [--iterations 500] [--backend cpu] [--model DIR --images DIR] [--set name=value ...]

Without a capture it fits the exact synthetic scene of `shared/data/exact_gt/room_a` if that is there, at half size.
`--model` is a COLMAP model of pinhole cameras, `--images` its undistorted photos.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gs_stereo.config import merge, parse_config, parse_overrides
from gs_stereo.io.colmap import read_model, sparse_scene_from_model
from gs_stereo.io.images import read_photo, resize_to
from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.fit import fit_gaussians
from gs_stereo.types import SparseScene

_ROOM = Path(__file__).resolve().parents[3] / "shared" / "data" / "exact_gt" / "room_a"


def load(model: Path, images: Path, max_edge_px: int) -> tuple[SparseScene, dict[str, np.ndarray]]:
    """A scene and its photos, no edge longer than `max_edge_px`."""
    scene = sparse_scene_from_model(read_model(model))
    photos, cameras = {}, []
    for camera in scene.cameras:
        scale = min(1.0, max_edge_px / max(camera.width, camera.height))
        small = camera.resized(round(camera.width * scale), round(camera.height * scale))
        photos[camera.name] = resize_to(read_photo(images / camera.name), small.width, small.height)
        cameras.append(small)
    return replace(scene, cameras=tuple(cameras)), photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=_ROOM / "sparse" / "0")
    parser.add_argument("--images", type=Path, default=_ROOM / "images")
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--max-edge", type=int, default=320)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], help="settings of the fit, name=value")
    arguments = parser.parse_args()

    values = merge({"iterations": arguments.iterations, "backend": arguments.backend}, parse_overrides(arguments.set))
    config = parse_config(FitConfig, values, where="the command line")
    scene, photos = load(arguments.model, arguments.images, arguments.max_edge)
    wall, cpu = time.perf_counter(), time.process_time()
    result = fit_gaussians(scene, photos.__getitem__, config, seed=arguments.seed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    report = {
        "model": str(arguments.model),
        "views": len(scene.cameras),
        "size": [scene.cameras[0].width, scene.cameras[0].height],
        "iterations": config.iterations,
        "backend": result.backend,
        "threads": torch.get_num_threads(),
        "cpus": os.cpu_count(),
        "seed": arguments.seed,
        "gaussians": [result.initial_count, len(result.gaussians)],
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "ms_an_iteration_with_all_overhead": round(1e3 * wall / config.iterations, 2),
        "psnr_db": round(result.photos.psnr_db, 3),
        "ssim": round(result.photos.ssim, 4),
        "held_out_psnr_db": round(result.held_out.psnr_db, 3) if result.held_out.views else None,
        "held_out_ssim": round(result.held_out.ssim, 4) if result.held_out.views else None,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
