"""Times a fit and measures what it reaches; prints one JSON line a capture.

    python tools/bench/bm_fit.py [--iterations 500] [--backend cpu] [--model DIR --images DIR] [--set name=value ...]
    python tools/bench/bm_fit.py --twin [--iterations 300]

Without a capture it fits the exact synthetic scene of `shared/data/exact_gt/room_a` if that is there, at half size.
`--model` is a COLMAP model of pinhole cameras, `--images` its undistorted photos. `--twin` fits six small made-up
scenes twice, with the CPU engine and with its float64 twin, from the same start and for the same iterations, and
compares the held-out PSNR: the engine's precision must not cost quality.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from builders import random_scene, trainable
from twins.rasterizer import ReferenceRasterizer

from gs_stereo.config import merge, parse_config, parse_overrides
from gs_stereo.imaging.images import read_photo, resize_to
from gs_stereo.io.colmap import read_model, sparse_scene_from_model
from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.fit import fit_gaussians
from gs_stereo.splat.losses import l1_dssim
from gs_stereo.splat.optimizer import AdamState, adam_step
from gs_stereo.splat.raster.cpu import CpuRasterizer
from gs_stereo.splat.raster.protocol import Rasterizer, RenderSettings
from gs_stereo.types import Camera, SparseScene
from gs_stereo.types.gaussians import Gaussians

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


_COLOUR_ONLY = RenderSettings(depth_moments=0, median_depth=False)
_TWIN_COUNT, _TWIN_SIZE = 100, (32, 24)
_RATES = {"means": 1e-2, "quats_wxyz": 1e-3, "log_scales": 5e-3, "opacity_logits": 5e-2, "sh": 5e-3}


def twin_report(iterations: int, seeds: range) -> dict[str, object]:
    """Held-out PSNR of the engine and of its twin after the same fit, for several scenes: single fits scatter."""
    psnr_db: dict[str, list[float]] = {"cpu": [], "reference": []}
    for seed in seeds:
        for name, value in _twin_psnr_db(iterations, seed).items():
            psnr_db[name].append(round(value, 3))
    gains = np.subtract(psnr_db["cpu"], psnr_db["reference"])
    return {
        "gaussians": _TWIN_COUNT, "size": _TWIN_SIZE, "iterations": iterations, "seeds": list(seeds),
        "held_out_psnr_db": psnr_db, "mean_gain_db": round(float(gains.mean()), 3),
        "standard_error_db": round(float(gains.std(ddof=1) / len(gains) ** 0.5), 3),
    }  # fmt: skip


def _twin_psnr_db(iterations: int, seed: int) -> dict[str, float]:
    truth, camera = random_scene(_TWIN_COUNT, *_TWIN_SIZE, sigma_px=2.5, seed=seed)
    start = random_scene(_TWIN_COUNT, *_TWIN_SIZE, sigma_px=2.5, seed=1000 + seed)[0]
    cameras = [camera.shifted(offset) for offset in np.linspace(-0.4, 0.4, 9)]
    photos = ReferenceRasterizer().render(truth, cameras, _COLOUR_ONLY).rgb.clamp(0, 1)
    held_out = [2, 6]
    training = [index for index in range(len(cameras)) if index not in held_out]
    result = {}
    for rasterizer in (CpuRasterizer(), ReferenceRasterizer()):
        fitted = _fit(rasterizer, start, [cameras[i] for i in training], photos[training], iterations)
        shown = ReferenceRasterizer().render(fitted, [cameras[i] for i in held_out], _COLOUR_ONLY).rgb.clamp(0, 1)
        errors = (shown - photos[held_out]).square().mean((1, 2, 3))
        result[rasterizer.name] = float((-10 * errors.log10()).mean())
    return result


def _fit(
    rasterizer: Rasterizer, start: Gaussians, cameras: list[Camera], photos: torch.Tensor, iterations: int
) -> Gaussians:
    """Plain Adam, one view after the other; the twin keeps everything in float64."""
    dtype = torch.float64 if isinstance(rasterizer, ReferenceRasterizer) else torch.float32
    parameters = trainable(start, dtype).tensors()
    state = AdamState.zeros_like(parameters)
    for iteration in range(iterations):
        view = iteration % len(cameras)
        rgb = rasterizer.render(Gaussians(**parameters), [cameras[view]], _COLOUR_ONLY).rgb
        l1_dssim(rgb, photos[view, None].to(dtype)).backward()
        adam_step(parameters, {name: _taken(tensor) for name, tensor in parameters.items()}, state, _RATES)
    return Gaussians(**{name: tensor.detach().float() for name, tensor in parameters.items()})


def _taken(leaf: torch.Tensor) -> torch.Tensor:
    """The gradient of a leaf, which is left without."""
    gradient, leaf.grad = leaf.grad, None
    assert gradient is not None
    return gradient


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=_ROOM / "sparse" / "0")
    parser.add_argument("--images", type=Path, default=_ROOM / "images")
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--max-edge", type=int, default=320)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--twin", action="store_true", help="compare the CPU engine with its float64 twin instead")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the fit, name=value")
    arguments = parser.parse_args()
    if arguments.twin:
        print(json.dumps(twin_report(arguments.iterations, range(arguments.seed, arguments.seed + 6))))
        return

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
