"""What `label` asks once for each left view, for all its baselines: photos, a rendered stack, neighbours, points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from gs_stereo.core.atomic import atomic_path
from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.splat import folder as splat_folder

if TYPE_CHECKING:
    from gs_stereo.labels.photos import PhotosOfReconstruction
    from gs_stereo.labels.sources import ViewDepth
    from gs_stereo.labels.surroundings import DepthView
    from gs_stereo.mvs.views import InverseDepthPrior, SweepResult
    from gs_stereo.splat.pairs import SplatRenderer
    from gs_stereo.types import Camera, SparseScene, StereoPair

_LEAST_SUPPORT = 2
_LEAST_REJECTED_COST = 1.0
_SAME_POSE = 1e-9


@dataclass(frozen=True, kw_only=True)
class ViewAsks:
    """Which sources a view is asked for.

    photos: how many. stack_offsets: scene units along x, empty = no stack. silhouettes: what the fused label asks of
    a view to know which pixels are hidden.
    """

    photos: int
    silhouettes: bool
    stack_offsets: tuple[float, ...]
    multiview: MultiViewConfig
    backend: str = "auto"


@dataclass(frozen=True, kw_only=True)
class ViewJob:
    """One left view: a unit of work. neighbours: pair folders of other views whose depth is compared."""

    pair_dir: Path
    neighbours: tuple[Path, ...]
    reconstruct_dir: Path
    fit_dir: Path
    file: Path
    asks: ViewAsks


def view_job(job: ViewJob) -> Path:
    """Ask all sources of one view and write their maps; returns the file."""
    from gs_stereo.io.pairs import read_pair

    sources = view_sources(read_pair(job.pair_dir), job)
    maps = {f"{name}.inverse_depth": source.inverse_depth for name, source in sources.items()}
    maps |= {f"{name}.cost": source.cost for name, source in sources.items() if source.cost is not None}
    with atomic_path(job.file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **maps)
    return job.file


def read_view_sources(file: Path) -> dict[str, ViewDepth]:
    """The maps that `view_job` wrote."""
    from gs_stereo.labels.sources import ViewDepth

    with np.load(file, allow_pickle=False) as maps:
        names = [name.removesuffix(".inverse_depth") for name in maps.files if name.endswith(".inverse_depth")]
        costs = {name: maps[f"{name}.cost"] if f"{name}.cost" in maps.files else None for name in names}
        return {name: ViewDepth(inverse_depth=maps[f"{name}.inverse_depth"], cost=costs[name]) for name in names}


def view_sources(pair: StereoPair, job: ViewJob) -> dict[str, ViewDepth]:
    """All that is known about the depth of a pair's left view, besides its own rendered depth."""
    from gs_stereo.labels.sources import MULTIBASELINE, PHOTOS, POINTS, SILHOUETTES, VIEWS, ViewDepth
    from gs_stereo.labels.surroundings import inverse_depth_from_neighbours, inverse_depth_from_points

    scene, photos = _capture(job.reconstruct_dir)
    view, neighbours = _depth_view(pair), [_neighbour(path) for path in job.neighbours]
    found = {
        VIEWS: ViewDepth(inverse_depth=inverse_depth_from_neighbours(view, neighbours)),
        POINTS: ViewDepth(inverse_depth=inverse_depth_from_points(view, scene.points)),
    }
    if not np.isfinite(pair.left_depth.median).any():
        return found
    image = _own_image(pair, scene, photos) if job.asks.photos else pair.left
    if job.asks.silhouettes:
        found[SILHOUETTES] = _silhouettes(pair, image)
    if job.asks.photos:
        swept = _photo_depth(pair, image, scene, photos, job.asks)
        found |= {} if swept is None else {PHOTOS: swept}
    if job.asks.stack_offsets:
        found[MULTIBASELINE] = _stack_depth(pair, job)
    return found


def nearest_pairs(cameras: Mapping[Path, Camera], folder: Path, depth: float, count: int) -> tuple[Path, ...]:
    """Pair folders of the other views that see most of the same, nearest first."""
    from gs_stereo.geometry.view_selection import views_with_parallax

    others = [path for path in cameras if path != folder]
    chosen = views_with_parallax(cameras[folder], [cameras[path] for path in others], depth, count)
    return tuple(others[index] for index in chosen)


def _own_image(pair: StereoPair, scene: SparseScene, photos: PhotosOfReconstruction) -> UInt8[np.ndarray, "h w 3"]:
    """What the left view shows: the photo that was taken there, or else the rendered image."""
    own = next((camera for camera in scene.cameras if _same_view(camera, pair.rig.left)), None)
    return pair.left if own is None else photos(own.name)


def _silhouettes(pair: StereoPair, image: UInt8[np.ndarray, "h w 3"]) -> ViewDepth:
    """The rendered depth with its edges at those of the image."""
    from gs_stereo.labels.silhouettes import sharpened
    from gs_stereo.labels.sources import ViewDepth

    inverse_depth = 1 / np.where(pair.left_depth.median > 0, pair.left_depth.median.astype(np.float64), np.nan)
    return ViewDepth(inverse_depth=sharpened(inverse_depth, image).astype(np.float32))


def _photo_depth(
    pair: StereoPair,
    image: UInt8[np.ndarray, "h w 3"],
    scene: SparseScene,
    photos: PhotosOfReconstruction,
    asks: ViewAsks,
) -> ViewDepth | None:
    """Depth of what the left view shows by the nearest photos; None where there are fewer than two."""
    from gs_stereo.geometry.view_selection import views_with_parallax
    from gs_stereo.mvs.sweep import sweep_near
    from gs_stereo.mvs.views import PosedImage

    left = pair.rig.left
    near = views_with_parallax(left, scene.cameras, float(np.nanmedian(pair.left_depth.median)), asks.photos)
    if len(near) < _LEAST_SUPPORT:
        return None
    others = [PosedImage(camera=scene.cameras[k], image=photos(scene.cameras[k].name)) for k in near]
    return _view_depth(sweep_near(PosedImage(camera=left, image=image), others, _prior(pair), asks.multiview))


def _stack_depth(pair: StereoPair, job: ViewJob) -> ViewDepth:
    """Depth by views of the splat on both sides of the left view; those stored with the pair, or rendered now."""
    from gs_stereo.mvs.sweep import sweep_near
    from gs_stereo.mvs.views import PosedImage, RectifiedStack

    left, offsets = pair.rig.left, job.asks.stack_offsets
    if pair.extra_views:
        offsets, images = (pair.rig.baseline, *pair.extra_offsets), (pair.right, *pair.extra_views)
    else:
        rendered = _renderer(job.fit_dir, job.asks.backend).render([left.shifted(offset) for offset in offsets])
        images = tuple(view.image for view in rendered)
    stack = RectifiedStack(left=PosedImage(camera=left, image=pair.left), views=images, offsets=offsets)
    return _view_depth(sweep_near(stack.left, stack.posed_views(), _prior(pair), job.asks.multiview))


def _view_depth(result: SweepResult) -> ViewDepth:
    """A sweep as a source: no depth where fewer than two views agree with it."""
    from gs_stereo.labels.sources import ViewDepth

    agreed = result.supporting_views >= _LEAST_SUPPORT
    return ViewDepth(
        inverse_depth=np.where(agreed, result.inverse_depth, np.float32(np.nan)),
        cost=np.where(np.isfinite(result.inverse_depth), result.cost, np.float32(_LEAST_REJECTED_COST)),
    )


def _prior(pair: StereoPair) -> InverseDepthPrior:
    from gs_stereo.mvs.views import InverseDepthPrior

    depth = pair.left_depth
    return InverseDepthPrior.from_depth(depth.median, np.sqrt(np.maximum(depth.variance, 1e-12)))


def _same_view(photo: Camera, left: Camera) -> bool:
    """True if the left view re-renders this photo: the same pose, lens and size."""
    same_pose = np.allclose(photo.cam_from_world, left.cam_from_world, rtol=0, atol=_SAME_POSE)
    same_size = (photo.width, photo.height) == (left.width, left.height)
    return bool(same_pose and same_size and np.allclose(photo.intrinsics, left.intrinsics, atol=_SAME_POSE))


def _depth_view(pair: StereoPair) -> DepthView:
    from gs_stereo.labels.surroundings import DepthView

    return DepthView(camera=pair.rig.left, depth=pair.left_depth.median)


def _neighbour(folder: Path) -> DepthView:
    from gs_stereo.io.pairs import read_left_depth, read_rig
    from gs_stereo.labels.surroundings import DepthView

    return DepthView(camera=read_rig(folder).left, depth=read_left_depth(folder).median)


@lru_cache(maxsize=1)
def _capture(folder: Path) -> tuple[SparseScene, PhotosOfReconstruction]:
    """Cameras, points and photos, loaded once a process."""
    from gs_stereo.io.reconstruction import load_sparse_scene
    from gs_stereo.labels.photos import PhotosOfReconstruction

    return load_sparse_scene(folder), PhotosOfReconstruction(folder)


@lru_cache(maxsize=1)
def _renderer(fit_dir: Path, backend: str) -> SplatRenderer:
    return splat_folder.load_renderer(fit_dir, backend)


def clear_caches() -> None:
    """Forget what was loaded: another scene may be next in this process."""
    _capture.cache_clear()
    _renderer.cache_clear()


def offsets_of(baselines: Sequence[float]) -> tuple[float, ...]:
    """Where a stack looks from: half and the whole of the widest baseline, on both sides."""
    widest = max(baselines)
    return (-widest, -0.5 * widest, 0.5 * widest, widest)
