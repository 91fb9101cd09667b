"""`write_sample`: a capture with exact truth, from nothing but a seed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from gs_stereo.core.atomic import atomic_folder, fsync_path
from gs_stereo.core.cores import cores
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import png_bytes
from gs_stereo.imaging.masks import white_where
from gs_stereo.io.colmap import model_from_sparse_scene, write_model
from gs_stereo.log import progress
from gs_stereo.types import Camera, LabelFlag
from gs_stereo.worlds.render import RenderedView, render, stereo_truth
from gs_stereo.worlds.rooms import files
from gs_stereo.worlds.rooms.config import SampleConfig
from gs_stereo.worlds.rooms.hard_room import hard_room
from gs_stereo.worlds.rooms.landmarks import exact_model, pick
from gs_stereo.worlds.rooms.people import Visits, visited
from gs_stereo.worlds.rooms.plain_room import living_room, open_living_room
from gs_stereo.worlds.rooms.walk import Room, held_out_cameras, training_cameras
from gs_stereo.worlds.rooms.wild import PhoneCamera, draw_phone, draw_shot, jpeg_bytes, uncovered, wild_text
from gs_stereo.worlds.world import SurfaceClass, World

_DETAIL_WIDTH_PX = 640
_FAST_PNG = 1


@dataclass(frozen=True, kw_only=True)
class SampleSummary:
    """What was written. hidden_share: share of hidden pixels over all views, by baseline in metres."""

    folder: Path
    views: int
    test_views: int
    landmarks: int
    depth_range_m: tuple[float, float]
    class_shares: tuple[float, ...]
    hidden_share: dict[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Written:
    """What is kept of a written view: points and their colours for the sparse model, and numbers for the summary."""

    points: Float64[np.ndarray, "n 3"]
    rgb: UInt8[np.ndarray, "n 3"]
    depth_range_m: tuple[float, float]
    class_counts: Int64[np.ndarray, "c"]
    hidden_share: dict[float, float]
    covered_share: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Wild:
    """What happens to the photos of a casual capture."""

    visits: Visits
    phone: PhoneCamera
    seed: int


def write_sample(folder: Path, config: SampleConfig, seed: int) -> SampleSummary:
    """Render a capture into `folder`, in the layout of `gs_stereo.worlds.rooms.files`.

    The folder appears whole or not at all. The same config and seed give the same bytes on one machine.
    Raises InputError if `folder` exists and is not empty or cannot be written, PluginError without Open3D.
    """
    target = folder.resolve()
    if target.is_dir() and any(target.iterdir()):
        raise InputError(f"The folder {folder} is not empty; choose a new folder for the sample.")
    if target.exists() and not target.is_dir():
        raise InputError(f"{folder} is a file, not a folder; choose a new folder for the sample.")
    with atomic_folder(folder) as work:
        room, size, detail = _room(config, seed), (config.width, config.height), config.width / _DETAIL_WIDTH_PX
        train = training_cameras(room, config.views, size, seed)
        test = held_out_cameras(room, config.test_views, size, seed)
        wild = None
        if config.wild:
            train = [replace(camera, name=f"{Path(camera.name).stem}.jpg") for camera in train]
            wild = _Wild(visits=visited(room, train, seed, detail), phone=draw_phone(seed), seed=seed)
        world = wild.visits.empty if wild else room.world(seed, detail)
        for name in ("images", "test/images", "gt/train", "gt/test", "sparse/0"):
            (work / name).mkdir(parents=True)
        views = []
        with progress("sample", len(train) + len(test), "views") as bar, ThreadPoolExecutor(min(2, cores())) as pool:
            jobs = [
                pool.submit(_write_view, work, world, config, seed, camera, held_out, wild)
                for cameras, held_out in ((train, False), (test, True))
                for camera in cameras
            ]
            for job in jobs:
                views.append(job.result())
                bar.advance()
        seen = views[: len(train)]
        points, rgb = np.concatenate([view.points for view in seen]), np.concatenate([view.rgb for view in seen])
        model = exact_model(world, train, points, rgb)
        write_model(work / "sparse/0", model_from_sparse_scene(model), text=True)
        _write(work / "poses.json", files.poses_text(target.name, config, train, test).encode())
        _write(work / "camera_positions.txt", files.positions_text(train).encode())
        _write(work / "README.md", files.readme_text(config, seed).encode())
        if wild:
            covered = {camera.name: view.covered_share for camera, view in zip(train, seen, strict=True)}
            _write(work / "gt/wild.json", wild_text(wild.phone, covered, config.width, seed).encode())
    counts = sum((view.class_counts for view in views), np.zeros(len(SurfaceClass)))
    near, far = zip(*(view.depth_range_m for view in views), strict=True)
    return SampleSummary(
        folder=folder,
        views=len(train),
        test_views=len(test),
        landmarks=len(model.points),
        depth_range_m=(min(near), max(far)),
        class_shares=tuple((counts / counts.sum()).tolist()),
        hidden_share={b: float(np.mean([view.hidden_share[b] for view in views])) for b in config.baselines_m},
    )


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    fsync_path(path)


def _room(config: SampleConfig, seed: int) -> Room:
    if config.hard:
        return hard_room(seed)
    return open_living_room(seed) if config.wild else living_room()


def _write_view(
    work: Path, world: World, config: SampleConfig, seed: int, camera: Camera, held_out: bool, wild: _Wild | None
) -> _Written:
    """Photo and truth of a view, and its true right images if it is held out."""
    images, truths = ("test/images", "gt/test") if held_out else ("images", "gt/train")
    view = render(world, camera, config.supersampling)
    photo, covered_share = view.image, 0.0
    if wild and not held_out:
        covered_share = _write_wild(work, view, config, wild)
    else:
        _write(work / images / camera.name, png_bytes(camera.name, photo, _FAST_PNG))
    for baseline in config.right_baselines_m if held_out else ():
        right = render(world, camera.shifted(baseline), config.supersampling).image
        path = work / f"test/right_{files.baseline_tag(baseline)}" / camera.name
        _write(path, png_bytes(path, right, _FAST_PNG))
    occlusion = {b: stereo_truth(world, view, b).flags.astype(np.uint8) for b in config.baselines_m}
    arrays = files.truth_arrays(view, occlusion)
    _write(work / truths / f"{Path(camera.name).stem}.npz", files.npz_bytes(arrays))
    points, rgb = pick(view, photo, seed)
    return _Written(
        points=points,
        rgb=rgb,
        depth_range_m=(float(view.depth.min()), float(view.depth.max())),
        class_counts=np.bincount(view.surface.ravel(), minlength=len(SurfaceClass)),
        hidden_share={b: float((bits & LabelFlag.OCCLUDED > 0).mean()) for b, bits in occlusion.items()},
        covered_share=covered_share,
    )


def _write_wild(work: Path, view: RenderedView, config: SampleConfig, wild: _Wild) -> float:
    """The photo as the phone took it, the clean one, and the mask of who passed; the share they cover."""
    name, visit = view.camera.name, wild.visits.during(view.camera.name)
    shot = draw_shot(name, config.width, wild.seed)
    taken = render(visit, view.camera, config.supersampling) if visit else view
    _write(work / "images" / name, jpeg_bytes(taken.light * taken.exposure, wild.phone, shot, wild.seed))
    clean = f"{Path(name).stem}.png"
    _write(work / "gt/clean" / clean, png_bytes(clean, view.image, _FAST_PNG))
    shown = uncovered(view.light * view.exposure, taken.light * taken.exposure, shot)
    mask = f"{name}.png"
    _write(work / "gt/masks" / mask, png_bytes(mask, np.repeat(white_where(shown)[..., None], 3, axis=2)))
    return float(1 - shown.mean())
