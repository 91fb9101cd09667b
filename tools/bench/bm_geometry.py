"""Ablations of the fit: what each setting does to label error and to views that were not trained on.

    python tools/bench/bm_geometry.py SCENE [--max-edge 320] [--iterations 800] \\
        --setting "" --setting "depth_variance_weight=0" --setting "alpha_weight=0 depth_weight=0"

SCENE is a folder with exact truth and a COLMAP model in `sparse/0` (`gsstereo sample` writes one), or a published
`reconstruct/` folder, which has no truth: then only photos are measured. With truth all training photos are fitted and
the scene's own test views are the held-out ones; without it every n-th photo is held out as `fit` does. Every setting
is one fit and one JSON line; label errors are pixels of `--max-edge` images on what both eyes see.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gs_stereo.benchmarks.evaluate_labels import LabelledView, LabelProtocol, evaluate_labels
from gs_stereo.benchmarks.exact import ExactScene, load_exact_scene
from gs_stereo.config import merge, parse_config, parse_overrides
from gs_stereo.imaging.images import read_photo, resize_to
from gs_stereo.io.colmap import read_model, sparse_scene_from_model
from gs_stereo.io.reconstruction import PhotosOfReconstruction, load_sparse_scene
from gs_stereo.labels.config import LabelConfig
from gs_stereo.labels.splat import splat_label
from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.evaluate import SplatQuality, evaluate_views
from gs_stereo.splat.fit import FitResult, fit_gaussians, make_rasterizer
from gs_stereo.splat.pairs import SplatRenderer, render_stereo_pair
from gs_stereo.splat.photos import PhotoFolder
from gs_stereo.types import Camera, SparseScene, StereoRig
from gs_stereo.types.photo_source import PhotoSource


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """A scene at the size of the benchmark. tests: held-out views of the truth. truth: None without exact depth."""

    scene: SparseScene
    photos: dict[str, np.ndarray]
    tests: tuple[Camera, ...]
    truth: ExactScene | None


def load(folder: Path, max_edge_px: int) -> Bench:
    """Read a scene and shrink its photos, no edge longer than `max_edge_px`."""
    if not (folder / "poses.json").is_file():
        return _shrunk(load_sparse_scene(folder), PhotosOfReconstruction(folder), max_edge_px, None)
    truth = load_exact_scene(folder)
    scene = sparse_scene_from_model(read_model(folder / "sparse" / "0"))
    return _shrunk(scene, PhotoFolder(folder / "images"), max_edge_px, truth)


def _shrunk(scene: SparseScene, source: PhotoSource, max_edge_px: int, truth: ExactScene | None) -> Bench:
    photos: dict[str, np.ndarray] = {}

    def small(camera: Camera, name: str, photo: np.ndarray) -> Camera:
        scale = min(1.0, max_edge_px / max(camera.width, camera.height))
        resized = replace(camera.resized(round(camera.width * scale), round(camera.height * scale)), name=name)
        photos[name] = resize_to(photo, resized.width, resized.height)
        return resized

    cameras = tuple(small(camera, camera.name, source(camera.name)) for camera in scene.cameras)
    views = truth.test if truth else ()
    tests = tuple(small(view.camera, f"test/{view.name}", read_photo(view.image_path)) for view in views)
    return Bench(scene=replace(scene, cameras=cameras), photos=photos, tests=tests, truth=truth)


def measure(bench: Bench, config: FitConfig, baseline_m: float, seed: int) -> dict[str, Any]:
    """Fit once and measure it."""
    if bench.truth is not None:
        config = config.model_copy(update={"test_every": 0})
    cpu = time.process_time()
    result = fit_gaussians(bench.scene, bench.photos.__getitem__, config, seed=seed)
    cpu = time.process_time() - cpu
    held_out = result.held_out
    if bench.truth is not None:
        rasterizer = make_rasterizer(config.backend)
        held_out = evaluate_views(rasterizer, result.gaussians, bench.tests, bench.photos.__getitem__, result.settings)
    row = {
        **_quality("held_out", held_out),
        **_quality("photos", result.photos),
        "gaussians": [result.initial_count, len(result.gaussians)],
        "fit_seconds": round(result.seconds, 1),
        "fit_cpu_seconds": round(cpu, 1),
    }
    return row | (_label_errors(bench, bench.truth, result, baseline_m) if bench.truth is not None else {})


def _quality(kind: str, quality: SplatQuality) -> dict[str, Any]:
    return {
        f"{kind}_psnr_db": round(quality.psnr_db, 2),
        f"{kind}_ssim": round(quality.ssim, 4),
        f"{kind}_views_db": [round(view.psnr_db, 1) for view in quality.views],
    }


def _label_errors(bench: Bench, truth: ExactScene, result: FitResult, baseline_m: float) -> dict[str, Any]:
    """EPE, shares of bad pixels and coverage of the splat's own labels where both eyes see."""
    protocol = LabelProtocol(metres_per_unit=1.0)
    report = evaluate_labels(_labels(bench, result, baseline_m), truth, protocol)
    region = next(region for region in report.baselines[0].regions if region.region == "non_occluded")
    scores = region.disparity
    bad = {f"bad_{limit:g}_percent": round(100 * share, 2) for limit, share in scores.bad_all_pixels.items()}
    return {"epe_px": round(scores.epe_all_pixels, 4), **bad, "coverage_percent": round(100 * scores.coverage, 2)}


def _labels(bench: Bench, result: FitResult, baseline_m: float) -> Iterator[LabelledView]:
    renderer = SplatRenderer(
        rasterizer=make_rasterizer(result.backend),
        gaussians=result.gaussians,
        settings=result.settings,
        origin=result.origin,
    )
    for camera in bench.scene.cameras:
        rig = StereoRig(left=camera, baseline=baseline_m)
        pair = render_stereo_pair(renderer, rig, sample_id=camera.name, view_id=camera.name)
        label = splat_label(pair, LabelConfig())
        yield LabelledView(
            view_name=camera.name,
            intrinsics=camera.intrinsics,
            baseline=baseline_m,
            disparity=label.disparity,
            confidence=label.confidence,
            flags=label.flags,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--iterations", type=int, default=800)
    parser.add_argument("--max-edge", type=int, default=320)
    parser.add_argument("--baseline", type=float, default=0.1, help="metres; needs truth")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--setting", action="append", default=[], help="name=value ..., one fit each; may be empty")
    arguments = parser.parse_args()

    bench = load(arguments.scene, arguments.max_edge)
    for setting in arguments.setting or [""]:
        values = merge({"iterations": arguments.iterations}, parse_overrides(setting.split()))
        config = parse_config(FitConfig, values, where="the command line")
        row = measure(bench, config, arguments.baseline, arguments.seed)
        head = {"scene": arguments.scene.name, "setting": setting, "iterations": config.iterations}
        size = [bench.scene.cameras[0].width, bench.scene.cameras[0].height]
        extra = {"size": size, "threads": torch.get_num_threads(), "seed": arguments.seed}
        print(json.dumps(head | row | extra), flush=True)


if __name__ == "__main__":
    main()
