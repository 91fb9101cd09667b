"""`write_sample`: a capture with exact truth, from nothing but a seed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gs_stereo.core.atomic import atomic_folder
from gs_stereo.errors import InputError
from gs_stereo.io.colmap import model_from_sparse_scene, write_model
from gs_stereo.log import Progress, progress
from gs_stereo.types import Camera
from gs_stereo.worlds.rooms.config import SampleConfig
from gs_stereo.worlds.rooms.hard_room import conservatory
from gs_stereo.worlds.rooms.landmarks import exact_model, pick
from gs_stereo.worlds.rooms.layout import (
    baseline_tag,
    npz_bytes,
    png_bytes,
    poses_text,
    positions_text,
    truth_arrays,
)
from gs_stereo.worlds.rooms.plain_room import living_room
from gs_stereo.worlds.rooms.render import HIDDEN, ViewTruth, render_photo, render_truth
from gs_stereo.worlds.rooms.world import World, build_world
from gs_stereo.worlds.walk import held_out_cameras, training_cameras

_DETAIL_WIDTH_PX = 640


@dataclass(frozen=True, kw_only=True)
class SampleSummary:
    """What was written. hidden_share: share of hidden pixels over all views, by baseline in metres."""

    folder: Path
    views: int
    test_views: int
    landmarks: int
    depth_range_m: tuple[float, float]
    class_shares: tuple[float, float, float, float]
    hidden_share: dict[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class _View:
    """What is kept of a written view."""

    points: np.ndarray
    rgb: np.ndarray
    depth_range_m: tuple[float, float]
    class_counts: np.ndarray
    hidden: dict[float, float]


def write_sample(folder: Path, config: SampleConfig, seed: int) -> SampleSummary:
    """Render a capture into `folder`, in the layout of `gs_stereo.worlds.rooms.layout`.

    The folder appears whole or not at all. The same config and seed give the same bytes on one machine.
    Raises InputError if `folder` exists and is not empty or cannot be written, PluginError without Open3D.
    """
    with _fresh_folder(folder) as work:
        design = conservatory(seed) if config.hard else living_room()
        world = build_world(design, seed, config.width / _DETAIL_WIDTH_PX)
        size = (config.width, config.height)
        train = training_cameras(design, config.views, size, seed)
        test = held_out_cameras(design, config.test_views, size, seed)
        for name in ("images", "test/images", "gt/train", "gt/test", "sparse/0"):
            (work / name).mkdir(parents=True)
        with progress("sample", len(train) + len(test), "views") as bar, ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(_write_view, work, world, config, view, seed, bar) for view in train]
            held_out = [pool.submit(_write_test_view, work, world, config, view, seed, bar) for view in test]
            views = [job.result() for job in jobs]
            rest = [job.result() for job in held_out]
        model = exact_model(
            world, train, np.concatenate([v.points for v in views]), np.concatenate([v.rgb for v in views])
        )
        write_model(work / "sparse/0", model_from_sparse_scene(model), text=True)
        _write(work / "poses.json", poses_text(folder.resolve().name, config, train, test).encode())
        _write(work / "camera_positions.txt", positions_text(train).encode())
        _write(work / "README.md", _readme(config, seed).encode())
    return _summary(folder, [*views, *rest], len(train), len(model.points))


@contextmanager
def _fresh_folder(folder: Path) -> Iterator[Path]:
    """A work folder beside `folder` that takes its place if the block ends well, else it is removed."""
    target = folder.resolve()
    if target.is_dir() and any(target.iterdir()):
        raise InputError(f"The folder {folder} is not empty; choose a new folder for the sample.")
    if target.exists() and not target.is_dir():
        raise InputError(f"{folder} is a file, not a folder; choose a new folder for the sample.")
    with atomic_folder(folder) as work:
        yield work


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _write_view(work: Path, world: World, config: SampleConfig, camera: Camera, seed: int, bar: Progress) -> _View:
    photo = render_photo(world, camera, config.supersampling)
    _write(work / "images" / camera.name, png_bytes(photo))
    truth = _write_truth(work / "gt/train", world, config, camera)
    points, rgb = pick(camera, photo, truth.z, seed)
    bar.advance()
    return _kept(truth, points, rgb)


def _write_test_view(work: Path, world: World, config: SampleConfig, camera: Camera, seed: int, bar: Progress) -> _View:
    _write(work / "test/images" / camera.name, png_bytes(render_photo(world, camera, config.supersampling)))
    for baseline in config.right_baselines_m:
        folder = work / f"test/right_{baseline_tag(baseline)}"
        folder.mkdir(exist_ok=True)
        right = render_photo(world, camera.shifted(baseline), config.supersampling)
        _write(folder / camera.name, png_bytes(right))
    truth = _write_truth(work / "gt/test", world, config, camera)
    bar.advance()
    return _kept(truth, np.zeros((0, 3)), np.zeros((0, 3), np.uint8))


def _write_truth(folder: Path, world: World, config: SampleConfig, camera: Camera) -> ViewTruth:
    truth = render_truth(world, camera, config.baselines_m)
    path = folder / f"{camera.name.removesuffix('.png')}.npz"
    _write(path, npz_bytes(truth_arrays(truth, camera.focal_px)))
    return truth


def _kept(truth: ViewTruth, points: np.ndarray, rgb: np.ndarray) -> _View:
    return _View(
        points=points,
        rgb=rgb,
        depth_range_m=(float(truth.z.min()), float(truth.z.max())),
        class_counts=np.bincount(truth.kind.ravel(), minlength=4),
        hidden={baseline: float((bits & HIDDEN).mean()) for baseline, bits in truth.occlusion.items()},
    )


def _summary(folder: Path, views: list[_View], train: int, landmarks: int) -> SampleSummary:
    counts = sum((view.class_counts for view in views), np.zeros(4))
    shares = counts / counts.sum()
    return SampleSummary(
        folder=folder,
        views=train,
        test_views=len(views) - train,
        landmarks=landmarks,
        depth_range_m=(min(v.depth_range_m[0] for v in views), max(v.depth_range_m[1] for v in views)),
        class_shares=(float(shares[0]), float(shares[1]), float(shares[2]), float(shares[3])),
        hidden_share={b: float(np.mean([v.hidden[b] for v in views])) for b in views[0].hidden},
    )


def _readme(config: SampleConfig, seed: int) -> str:
    scene = "conservatory (hard)" if config.hard else "living room"
    baselines = ", ".join(f"{value:g}" for value in config.baselines_m)
    tag = baseline_tag(config.baselines_m[0])
    return f"""# Sample capture: {scene}, seed {seed}

Written by `gsstereo sample`: ray cast from procedural geometry and textures, with exact truth. Units are metres.

- `images/`: {config.views} training photos, {config.width} x {config.height}, 8-bit sRGB. Nothing else is in there.
- `test/images/`: {config.test_views} held-out left views; `test/right_bXXX/`: their true right images, XXX mm away.
- `gt/train/`, `gt/test/`: one npz a view. `z` is the depth along the optical axis of the surface on the ray through
  the pixel's centre (float32, 16 mantissa bits); `disp_{tag}` the disparity f b / z in pixels; `occ_{tag}` bit 0 =
  hidden from the right camera, bit 1 = outside the right image; `cls` 0 plain, 1 thin, 2 glossy, 3 without texture.
  Baselines: {baselines} m.
- `poses.json`: intrinsics and `cam_from_world` (4x4, OpenCV axes); the centre of pixel (column c, row r) is at
  (c + 0.5, r + 0.5).
- `sparse/0/`: COLMAP text model with the exact cameras and exact surface points of the training views.
- `camera_positions.txt`: name x y z of the training cameras, a source of scale.

A pixel of a photo is the mean over its area; at depth edges it can mix two surfaces. Glossy surfaces carry their own
depth, not that of what they reflect.
"""
