"""Times the CPU rasterizer: python tools/bench/bm_raster.py [--prototype DIR] [--scenes 20k,100k]

Prints one JSON object. Everything that is compared runs interleaved in this process; times are wall milliseconds,
median and the spread between the 25 % and 75 % quantiles. The first rasterizer of this project is the yardstick: its
folder is given by --prototype, by default ../shared/prototypes/cpu_raster beside the repository, and it is compiled on
first use; without it those columns are null. --large adds a million Gaussians at 1920x1080. --cpu-time counts one
thread's processor time instead of the wall's, which other work on the machine disturbs less.

forward_backward: RGB, alpha and accumulated z with all gradients, antialiased, SH degree 3.
iteration: activations, render, L1 + D-SSIM, backward and Adam over all parameters (the yardstick: torch's fused Adam).
stereo: both eyes, RGB and both depths, forward only, against one view.
twin: a torch implementation (the float64 reference) at 64x48 with 500 Gaussians.
fma_fraction: multiply-adds of compositing over what one core does in a loop of nothing else.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the yardstick does; must come before torch

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from builders import random_scene, trainable
from twins.rasterizer import ReferenceRasterizer

from gs_stereo.splat.engine import ENGINE
from gs_stereo.splat.losses import l1_dssim
from gs_stereo.splat.optimizer import AdamState, adam_step
from gs_stereo.splat.raster.cpu import CpuRasterizer
from gs_stereo.splat.raster.protocol import RenderSettings
from gs_stereo.types import Camera, StereoRig
from gs_stereo.types.gaussians import Gaussians

PROTOTYPE = Path(__file__).parents[3] / "shared" / "prototypes" / "cpu_raster"
SCENES = {"20k": (20_000, 640, 480, 2.75), "100k": (100_000, 640, 480, 1.2), "t20k": (20_000, 400, 300, 1.75),
          "t50k": (50_000, 400, 300, 1.05)}  # fmt: skip
TRAINING = RenderSettings(depth_moments=1, median_depth=False)
COLOUR_ONLY = RenderSettings(depth_moments=0, median_depth=False)
# Multiply-adds for each (Gaussian, pixel): exponent, polynomial, compositing of 4 channels; and their gradients.
FORWARD_FMAS, BACKWARD_FMAS = 15, 34


clock = time.perf_counter  # main may choose another


def timed(steps: dict[str, Callable[[], Any]], repeats: int) -> dict[str, dict[str, float]]:
    """Runs all steps in turn, `repeats` times after two warm-up rounds."""
    samples: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats + 2):
        for name, step in steps.items():
            start = clock()
            step()
            samples[name].append(1e3 * (clock() - start))
    return {name: summary(values[2:]) for name, values in samples.items()}


def summary(values: list[float]) -> dict[str, float]:
    low, _, high = statistics.quantiles(values, n=4)
    return {"median_ms": round(statistics.median(values), 2), "iqr_ms": round(high - low, 2)}


def ratio(times: dict[str, dict[str, float]], name: str, base: str) -> float | None:
    return round(times[name]["median_ms"] / times[base]["median_ms"], 3) if base in times else None


def load_yardstick(folder: Path) -> ModuleType | None:
    if not (folder / "bench.py").is_file():
        return None
    sys.path.insert(0, str(folder))
    import bench

    return bench


class Ours:
    """The engine on one scene."""

    def __init__(self, gaussians: Gaussians, camera: Camera, photo: torch.Tensor) -> None:
        self.rasterizer, self.camera, self.photo = CpuRasterizer(), camera, photo[None]
        self.gaussians = gaussians
        generator = torch.Generator().manual_seed(1)
        self.by_images = torch.randn(1, 5, camera.height, camera.width, generator=generator)
        self.leaves = trainable(gaussians, torch.float32)
        self.state = AdamState.zeros_like(self.leaves.tensors())

    def forward_backward(self, settings: RenderSettings) -> None:
        leaves = trainable(self.gaussians, torch.float32)
        out = self.rasterizer.render(leaves, [self.camera], settings)
        images, gradients = [out.rgb, out.alpha], [self.by_images[:, :3], self.by_images[:, 3]]
        if settings.depth_moments:
            images.append(out.z_sum)
            gradients.append(self.by_images[:, 4])
        torch.autograd.backward(images, gradients)

    def iteration(self) -> None:
        out = self.rasterizer.render(self.leaves, [self.camera], COLOUR_ONLY)
        l1_dssim(out.rgb, self.photo).backward()
        tensors = self.leaves.tensors()
        gradients = {name: tensor.grad for name, tensor in tensors.items() if tensor.grad is not None}
        adam_step(tensors, gradients, self.state, dict.fromkeys(tensors, 1e-5))
        for tensor in tensors.values():
            tensor.grad = None

    def one_view(self) -> None:
        with torch.no_grad():
            self.rasterizer.render(self.gaussians, [self.camera], RenderSettings())

    def stereo(self) -> None:
        self.rasterizer.render_stereo(self.gaussians, StereoRig(left=self.camera, baseline=0.1), RenderSettings())


def yardstick_steps(
    bench: ModuleType, name: str
) -> tuple[Gaussians, Camera, torch.Tensor, dict[str, Callable[[], Any]]]:
    """The yardstick's scene, in our types, and its steps."""
    parameters, native_camera, photo = bench.scene(name)
    means, quats, scales, opacities, sh = parameters
    opacities = opacities.clamp(1e-4, 1 - 1e-4)
    raster = bench.Rasterizer()
    generator = torch.Generator().manual_seed(1)
    height, width = native_camera.H, native_camera.W
    by_image, by_alpha = (
        torch.randn(4, height, width, generator=generator),
        torch.randn(height, width, generator=generator),
    )
    raw = [p.clone().requires_grad_() for p in (means, quats, scales.log(), opacities.logit(), sh)]
    adam = torch.optim.Adam([{"params": [p], "lr": 1e-5} for p in raw], eps=1e-15, fused=True)

    def forward_backward() -> None:
        leaves = [p.clone().requires_grad_() for p in (means, quats, scales, opacities, sh)]
        torch.autograd.backward(bench.Render.apply(raster, native_camera, True, *leaves), (by_image, by_alpha))

    def iteration() -> None:
        inputs = (raw[0], raw[1], raw[2].exp(), raw[3].sigmoid(), raw[4])
        image, _ = bench.Render.apply(raster, native_camera, True, *inputs)
        bench.Loss.apply(image[:3], photo).backward()
        adam.step()
        adam.zero_grad(set_to_none=True)

    _, plain = random_scene(1, width, height)
    rotation = torch.tensor(list(native_camera.R)).reshape(3, 3).double().numpy()
    pose = plain.cam_from_world.copy()
    pose[:3, :3], pose[:3, 3] = rotation, list(native_camera.t)
    intrinsics = plain.intrinsics.copy()
    intrinsics[0, 0], intrinsics[1, 1] = native_camera.fx, native_camera.fy
    intrinsics[0, 2], intrinsics[1, 2] = native_camera.cx, native_camera.cy
    camera = replace(plain, intrinsics=intrinsics, cam_from_world=pose)
    gaussians = Gaussians(
        means=means, quats_wxyz=quats, log_scales=scales.log(), opacity_logits=opacities.logit(), sh=sh
    )
    return gaussians, camera, photo, {"yardstick": forward_backward, "yardstick_iteration": iteration}


def scene_report(name: str, bench: ModuleType | None, repeats: int) -> dict[str, Any]:
    count, width, height, sigma = SCENES[name]
    if bench is None:
        gaussians, camera = random_scene(count, width, height, sigma)
        photo = torch.rand(3, height, width, generator=torch.Generator().manual_seed(2))
        others: dict[str, Callable[[], Any]] = {}
    else:
        gaussians, camera, photo, others = yardstick_steps(bench, name)
    ours = Ours(gaussians, camera, photo)
    times = timed(
        {
            **others,
            "forward_backward": lambda: ours.forward_backward(TRAINING),
            "forward_backward_colour_only": lambda: ours.forward_backward(COLOUR_ONLY),
            "iteration": ours.iteration,
            "one_view": ours.one_view,
            "stereo": ours.stereo,
        },
        repeats,
    )
    ratios = {
        "forward_backward": ratio(times, "forward_backward", "yardstick"),
        "forward_backward_colour_only": ratio(times, "forward_backward_colour_only", "yardstick"),
        "iteration": ratio(times, "iteration", "yardstick_iteration"),
        "stereo_over_one_view": ratio(times, "stereo", "one_view"),
    }
    return {
        "scene": name,
        "gaussians": count,
        "size": [width, height],
        "times": times,
        "ratios": ratios,
        "two_threads_speedup": thread_speedup(ours, repeats) if clock is time.perf_counter else None,
        "fma_fraction": fma_fraction(ours, repeats),
    }


def thread_speedup(ours: Ours, repeats: int) -> float:
    """Time of one thread over time of two, interleaved."""
    before = torch.get_num_threads()

    def with_threads(threads: int) -> None:
        torch.set_num_threads(threads)
        ours.forward_backward(TRAINING)

    times = timed({"one": lambda: with_threads(1), "two": lambda: with_threads(2)}, repeats)
    torch.set_num_threads(before)
    return round(times["one"]["median_ms"] / times["two"]["median_ms"], 2)


def fma_fraction(ours: Ours, repeats: int) -> dict[str, float]:
    """Of forward and backward together, on one thread: an upper bound on the work, as stopped pixels are counted."""
    work = ENGINE.struct("Work", rounds=10_000_000)
    start = clock()
    ENGINE.call("gs_measure", work)
    peak = work.multiply_adds / (clock() - start)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    times = timed({"step": lambda: ours.forward_backward(TRAINING)}, repeats)
    torch.set_num_threads(before)
    out = ours.rasterizer.render(trainable(ours.gaussians, torch.float32), [ours.camera], TRAINING)
    frame = out.rgb.grad_fn.call.frames[0]  # type: ignore[union-attr]
    counted = ENGINE.struct("Work", frame=frame.handle)
    ENGINE.call("gs_measure", counted)
    rate = counted.evaluations * (FORWARD_FMAS + BACKWARD_FMAS) / (1e-3 * times["step"]["median_ms"])
    return {"peak_gfma_per_s": round(peak / 1e9, 1), "fraction": round(rate / peak, 3)}


def twin_report(repeats: int) -> dict[str, Any]:
    gaussians, camera = random_scene(500, 64, 48)
    ours = Ours(gaussians, camera, torch.rand(3, 48, 64))

    def twin() -> None:
        out = ReferenceRasterizer().render(trainable(gaussians, torch.float64), [camera], TRAINING)
        (out.rgb.sum() + out.z_sum.sum()).backward()

    times = timed({"twin": twin, "ours": lambda: ours.forward_backward(TRAINING)}, repeats)
    return {"times": times, "ratio": ratio(times, "ours", "twin")}


def large_report() -> dict[str, Any]:
    """A million Gaussians at 1920x1080: seconds and peak memory."""
    gaussians, camera = random_scene(1_000_000, 1920, 1080, 1.2)
    ours = Ours(gaussians, camera, torch.rand(3, 1080, 1920))
    times = timed({"forward_backward": lambda: ours.forward_backward(TRAINING), "iteration": ours.iteration}, 3)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"gaussians": 1_000_000, "size": [1920, 1080], "times": times, "peak_memory_mb": round(peak_mb)}


def main() -> None:
    global clock
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prototype", type=Path, default=PROTOTYPE, help="folder of the yardstick")
    parser.add_argument("--cpu-time", action="store_true", help="one thread, processor time")
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--large", action="store_true", help="also a million Gaussians at 1920x1080")
    arguments = parser.parse_args()
    if arguments.cpu_time:
        torch.set_num_threads(1)
        clock = time.process_time
    bench = load_yardstick(arguments.prototype)
    report: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "level": ENGINE.best_level(),
        "threads": torch.get_num_threads(),
        "clock": clock.__name__,
        "yardstick": bench is not None,
        "scenes": [scene_report(name, bench, arguments.repeats) for name in arguments.scenes.split(",")],
        "twin": twin_report(3),
    }
    if arguments.large:
        report["large"] = large_report()
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
