"""Fitting a splat to a scene: photos and SfM in, Gaussians and their measured quality out."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8

from gs_stereo.config import canonical_json
from gs_stereo.errors import InputError
from gs_stereo.geometry.local_frame import local_origin, scene_around
from gs_stereo.geometry.view_selection import camera_centres
from gs_stereo.log import Progress
from gs_stereo.mvs.first_depth import first_depths
from gs_stereo.splat.appearance import Appearance, find_appearance
from gs_stereo.splat.checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.evaluate import SplatQuality, evaluate_views
from gs_stereo.splat.fitted_photos import FittedPhotos
from gs_stereo.splat.init import initial_gaussians, scene_extent
from gs_stereo.splat.photos import CheckedPhotos, TrainingViews, blur_weights, split_names
from gs_stereo.splat.quality import FitRecord
from gs_stereo.splat.raster.protocol import RASTERIZERS, Rasterizer, RenderSettings
from gs_stereo.splat.sh import coefficient_count
from gs_stereo.splat.trainer import Trainer
from gs_stereo.splat.training_state import TrainingState
from gs_stereo.splat.transients import TransientSearch, resized_mask
from gs_stereo.types import Camera, SparseScene
from gs_stereo.types.gaussians import Gaussians
from gs_stereo.types.photo_source import PhotoSource, hidden_of, mask_of

_LEAST_VISIBLE_OPACITY = 1 / 255


@dataclass(frozen=True, kw_only=True, eq=False)
class FitResult:
    """A fitted splat. `seconds` is the wall time of this call; the rest depends on inputs, settings and seed only.

    appearance: what was undone in the photos before they were fitted and compared with. transients: where something
    stands before the scene, by the name of the photo; such pixels are neither fitted nor compared.
    settings: how the splat was fitted and measured, and wants to be rendered. The background is the photos' mean
    colour; it shows where no photo has looked.
    origin: place in the world that the means of the Gaussians are relative to; not 0 where the cameras are far from it.
    initial_count: Gaussians at the start. photos: quality on the training photos. held_out: on the held-out ones.
    blur_weights: of the photos that are blurred and weigh less.
    """

    gaussians: Gaussians
    origin: tuple[float, float, float]
    photos: SplatQuality
    held_out: SplatQuality
    appearance: Appearance
    transients: Mapping[str, Bool[np.ndarray, "h w"]] = field(repr=False)
    blur_weights: Mapping[str, float]
    records: tuple[FitRecord, ...] = field(repr=False)
    initial_count: int
    extent: float
    settings: RenderSettings
    backend: str
    seconds: float

    @property
    def held_out_names(self) -> list[str]:
        return [view.name for view in self.held_out.views]


def fit_gaussians(
    scene: SparseScene,
    photos: PhotoSource,
    config: FitConfig,
    *,
    work_dir: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FitResult:
    """Fit Gaussians to the photos of a scene.

    photos: gives the photo of a camera by name; its size must be the camera's. work_dir: where `checkpoint.pt` goes;
    if one is there it is resumed and the result is the same as without the interruption (on one device and thread
    count). progress: advanced by every iteration.
    Raises InputError for photos or points that do not fit, StageError if the optimisation diverges.
    """
    start = time.perf_counter()
    rasterizer = make_rasterizer(config.backend)
    origin = local_origin(camera_centres(scene.cameras))
    scene = scene_around(scene, origin)
    checked = CheckedPhotos(photos, scene.cameras)
    run_id = run_identity(scene, checked, config, seed, rasterizer.name)
    training, held_out = split_scene(scene, config)
    appearance = find_appearance(scene, checked) if config.undo_appearance else Appearance()
    if appearance.photos:
        checked = CheckedPhotos(FittedPhotos(photos, appearance), scene.cameras)
    weights = blur_weights(training.cameras, checked) if config.weigh_blur else {}
    swept = first_depths(training, checked, config.sweep) if config.plane_sweep else {}
    settings = RenderSettings(antialiased=config.antialiased, background=background(training, checked, config))
    search = None
    if config.find_transients and swept:
        search = TransientSearch(rasterizer=rasterizer, scene=scene, photos=checked, swept=swept, settings=settings)
    trainer = Trainer(
        rasterizer=rasterizer,
        views=TrainingViews(training.cameras, checked, swept, config.resolution, rasterizer.device, weights),
        config=config,
        settings=settings,
        extent=scene_extent(scene),
        seed=seed,
        search=search,
    )
    initial = initial_gaussians(training, checked, swept, config, seed).to(rasterizer.device)
    state = TrainingState.start(initial)
    checkpoint = work_dir / CHECKPOINT_NAME if work_dir is not None else None
    if checkpoint is not None and checkpoint.exists():
        state = load_checkpoint(checkpoint, run_id, rasterizer.device)
    _run(trainer, state, checkpoint, run_id, progress)
    state.widen_sh(coefficient_count(config.sh_degree))

    gaussians = state.gaussians()
    gaussians = gaussians.select(gaussians.opacities >= _LEAST_VISIBLE_OPACITY)  # the others are never drawn
    found = search.found(gaussians) if search is not None else {}
    sizes = {camera.name: (camera.width, camera.height) for camera in scene.cameras}
    transients = {name: resized_mask(mask, *sizes[name]) for name, mask in found.items()}
    shown = FittedPhotos(checked, Appearance(), transients.get)
    return FitResult(
        gaussians=gaussians,
        origin=origin,
        photos=evaluate_views(rasterizer, gaussians, training.cameras, shown, settings),
        held_out=evaluate_views(rasterizer, gaussians, held_out, shown, settings),
        appearance=appearance,
        transients=transients,
        blur_weights=weights,
        records=tuple(state.records),
        initial_count=len(initial),
        extent=trainer.extent,
        settings=settings,
        backend=rasterizer.name,
        seconds=time.perf_counter() - start,
    )


def _run(
    trainer: Trainer, state: TrainingState, checkpoint: Path | None, run_id: str, progress: Progress | None
) -> None:
    """Step to the end, with a checkpoint now and then and at the end."""
    every = trainer.config.checkpoint_every
    if progress is not None and state.iteration:
        progress.advance(state.iteration, "resumed")
    while state.iteration < trainer.config.iterations:
        loss = trainer.step(state)
        done = state.iteration == trainer.config.iterations
        if checkpoint is not None and every > 0 and (done or state.iteration % every == 0):
            save_checkpoint(checkpoint, state, run_id)
        if progress is not None:
            progress.advance(1, f"loss {loss:.4f}, {len(state)} Gaussians")


def split_scene(scene: SparseScene, config: FitConfig) -> tuple[SparseScene, list[Camera]]:
    """The scene with its training cameras only, and the held-out cameras; InputError if the scene has none.

    All points stay, because structure from motion has used all photos already.
    """
    if not scene.cameras:
        raise InputError("The scene has no registered photo; run reconstruct with photos that overlap.")
    training, held_out = split_names([camera.name for camera in scene.cameras], config.test_every)
    rows = [row for row, camera in enumerate(scene.cameras) if camera.name in set(training)]
    part = replace(
        scene,
        cameras=tuple(scene.cameras[row] for row in rows),
        visible_points=tuple(scene.visible_points[row] for row in rows) if scene.visible_points else (),
    )
    return part, [camera for camera in scene.cameras if camera.name in set(held_out)]


def background(scene: SparseScene, photos: PhotoSource, config: FitConfig) -> tuple[float, float, float]:
    """The colour of what no photo has seen."""
    if config.background == "black":
        return 0.0, 0.0, 0.0
    means = np.stack([_shown(photos, camera.name).mean(axis=0) for camera in scene.cameras])
    red, green, blue = (means.mean(axis=0) / 255).tolist()
    return red, green, blue


def _shown(photos: PhotoSource, name: str) -> UInt8[np.ndarray, "n 3"]:
    """The pixels of a photo that show the scene; all of them if none does."""
    mask, photo = mask_of(photos, name), photos(name)
    return photo[mask] if mask is not None and mask.any() else photo.reshape(-1, 3)


def make_rasterizer(backend: str) -> Rasterizer:
    """The rasterizer of a name; `auto` is gsplat where CUDA and gsplat are usable, else our CPU engine."""
    if backend == "auto":
        backend = "gsplat" if _gsplat_is_usable() else "cpu"
    return RASTERIZERS.load(backend)()


def _gsplat_is_usable() -> bool:
    from importlib.util import find_spec

    return torch.cuda.is_available() and find_spec("gsplat") is not None


def run_identity(scene: SparseScene, photos: PhotoSource, config: FitConfig, seed: int, backend: str) -> str:
    """sha256 of everything the result depends on; how often checkpoints are written is not part of it."""
    digest = hashlib.sha256()
    settings = config.model_copy(update={"checkpoint_every": 0})
    digest.update(
        canonical_json({"config": settings.model_dump(mode="json"), "seed": seed, "backend": backend}).encode()
    )
    for camera in scene.cameras:
        digest.update(canonical_json([camera.name, camera.width, camera.height]).encode())
        masks = [each for each in (mask_of(photos, camera.name), hidden_of(photos, camera.name)) if each is not None]
        for values in (camera.intrinsics, camera.cam_from_world, photos(camera.name), *masks):
            digest.update(np.ascontiguousarray(values).tobytes())
    for values in (scene.points.xyz_in_world, scene.points.rgb, *scene.visible_points):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
