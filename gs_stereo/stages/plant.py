"""A fitted capture -> its photos with virtual objects of known shape in `audit/planted/`, a scene of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from gs_stereo.core.hashing import unit_seed
from gs_stereo.core.records import read_record, write_record
from gs_stereo.pipeline.cell import Resources
from gs_stereo.pipeline.manifest import PublishedFolder
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.pipeline.stage import Stage, StageContext, StageInputs, StageOutcome
from gs_stereo.pipeline.worker_state import worker_state
from gs_stereo.planting.config import PlantConfig
from gs_stereo.splat import folder as splat_folder
from gs_stereo.stages import reconstruct

if TYPE_CHECKING:
    from gs_stereo.io.colmap_model import ColmapModel
    from gs_stereo.io.reconstruction import PhotosOfReconstruction
    from gs_stereo.planting.plan import AuditPlan, SeenView
    from gs_stereo.splat.pairs import SplatRenderer
    from gs_stereo.types import Camera
    from gs_stereo.worlds.world import World

FOLDER = "audit/planted"
IMAGES, MASKS, MODEL = "images", "masks", "sparse"
_PLANNING_EDGE_PX = 320
_TEXTURE_PHOTOS = 8


class PlantStage(Stage):
    """Publishes `images/`, `masks/` of photos that have some, cameras without points in `sparse/`, and `plan.json`."""

    name = "plant"
    version = 4
    config_type = PlantConfig

    def folder(self, config: PlantConfig) -> str:
        return FOLDER

    def inputs(self, paths: ScenePaths, config: PlantConfig) -> StageInputs:
        return StageInputs(published={reconstruct.FOLDER: "reconstruct", splat_folder.FOLDER: "fit"})

    def resources(self, config: PlantConfig) -> Resources:
        return Resources(cores=2, memory_mb=900)

    def run(self, context: StageContext, config: PlantConfig) -> StageOutcome:
        from gs_stereo.io.colmap import write_model
        from gs_stereo.io.reconstruction import load_sparse_scene, load_summary
        from gs_stereo.planting.photo import blank_share
        from gs_stereo.planting.plan import PLAN_FILE, lit_as_around, plan_objects

        source = context.published_folder(reconstruct.FOLDER)
        fit = context.published_folder(splat_folder.FOLDER)
        cameras = load_sparse_scene(source.path).cameras
        plan_path = context.work_dir / PLAN_FILE
        if not plan_path.is_file():
            renderer = splat_folder.load_renderer(fit.path, "auto")
            photos = _some_photos(source)
            blank = float(np.mean([blank_share(photo) for photo in photos.values()]))
            plan = plan_objects(_seen(cameras, renderer), config, blank, context.seed)
            write_record(plan_path, lit_as_around(plan, {camera.name: camera for camera in cameras}, photos))
        files = load_summary(source.path).image_files
        units = {
            camera.name: PhotoUnit(
                camera=camera,
                reconstruction=source,
                fit=fit,
                plan=plan_path,
                seed=context.seed,
                file=context.work_dir / IMAGES / files[camera.name],
                mask=context.work_dir / MASKS / files[camera.name],
            )
            for camera in cameras
        }
        for _ in context.finished("plant", plant_unit, units, noun="photo", workers=1):
            pass  # one process: the engine uses all cores, and the splat is loaded once
        write_model(context.work_dir / MODEL, _model(cameras, files))
        count = len(_plan(plan_path).objects)
        return StageOutcome(metrics={"objects": count}, summary={"objects": f"{count} in {len(cameras)} photos"})


@dataclass(frozen=True, kw_only=True)
class PhotoUnit:
    """One photo to plant objects into."""

    camera: Camera
    reconstruction: PublishedFolder
    fit: PublishedFolder
    plan: Path
    seed: int
    file: Path
    mask: Path


def plant_unit(unit: PhotoUnit) -> list[Path]:
    """Write the photo with the objects that it sees, and its mask; a planted object hides what is masked."""
    from gs_stereo.imaging.images import write_png, write_png_with_alpha
    from gs_stereo.imaging.masks import white_where
    from gs_stereo.imaging.png import write_gray_png
    from gs_stereo.planting.photo import Look, plant
    from gs_stereo.types.photo_source import cut_out_of_photo, hidden_of

    camera, source = unit.camera, unit.reconstruction
    photos: PhotosOfReconstruction = _photos(source)
    renderer: SplatRenderer = worker_state.loaded("renderer", splat_folder.load_renderer, unit.fit, "auto")
    world = worker_state.get("planted", source.fingerprint, lambda: _planted(_plan(unit.plan), source))
    view, photo = renderer.render([camera])[0], photos(camera.name)
    jpeg = Path(camera.name).suffix.lower() in (".jpg", ".jpeg")
    rng = np.random.default_rng(unit_seed(unit.seed, f"audit/photo/{camera.name}"))
    planted = plant(photo, camera, world, view.depth.median, Look.of(photo, view.image, jpeg=jpeg), rng)
    shown = planted.share > 0.5
    hidden, cut_out = hidden_of(photos, camera.name), cut_out_of_photo(photos, camera.name)
    unit.file.parent.mkdir(parents=True, exist_ok=True)
    if hidden is not None:
        unit.mask.parent.mkdir(parents=True, exist_ok=True)
        write_gray_png(unit.mask, white_where(~hidden | shown))
    if cut_out is None:
        write_png(unit.file, planted.image)
    else:
        write_png_with_alpha(unit.file, planted.image, ~cut_out | shown)
    return [unit.file] if hidden is None else [unit.file, unit.mask]


def _planted(plan: AuditPlan, source: PublishedFolder) -> World:
    """The objects of a plan, with textures from some photos of the capture."""
    from gs_stereo.planting.objects import planted_world

    return planted_world(plan.objects, list(_some_photos(source).values()), np.array(plan.up), plan.seed)


def _some_photos(source: PublishedFolder) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """Evenly chosen, so that memory does not grow with the capture."""
    photos = _photos(source)
    names = sorted(photos.names)
    return {name: photos(name) for name in names[:: -(-len(names) // _TEXTURE_PHOTOS)]}


def _photos(source: PublishedFolder) -> PhotosOfReconstruction:
    from gs_stereo.io.reconstruction import PhotosOfReconstruction

    return worker_state.loaded("photos", PhotosOfReconstruction, source)


def _plan(path: Path) -> AuditPlan:
    from gs_stereo.planting.plan import AuditPlan

    return read_record(AuditPlan, path, fix="run `gsstereo audit` again with --force")


def _seen(cameras: Sequence[Camera], renderer: SplatRenderer) -> list[SeenView]:
    """The photos' cameras and depth, small: a plan needs no more."""
    from gs_stereo.imaging.images import fitting_size
    from gs_stereo.planting.plan import SeenView

    small = [camera.resized(*fitting_size(camera.width, camera.height, _PLANNING_EDGE_PX)) for camera in cameras]
    return [SeenView.of(camera, renderer.render([camera])[0].depth) for camera in small]


def _model(cameras: Sequence[Camera], files: Mapping[str, str]) -> ColmapModel:
    """The cameras with their exact poses, and no points: these are found in the planted photos."""
    from gs_stereo.io.colmap_model import ColmapCamera, ColmapModel, ColmapPoints, posed_image

    nothing = np.empty((0, 2)), np.empty(0, dtype=np.int64)
    numbers: dict[tuple[float, ...], int] = {}
    images = {}
    for image_id, camera in enumerate(cameras, 1):
        k = camera.intrinsics
        lens = (camera.width, camera.height, *map(float, (k[0, 0], k[1, 1], k[0, 2], k[1, 2])))
        number = numbers.setdefault(lens, len(numbers) + 1)
        images[image_id] = posed_image(files[camera.name], number, camera.cam_from_world, *nothing)
    lenses = {
        number: ColmapCamera(model="PINHOLE", width=int(lens[0]), height=int(lens[1]), params=np.array(lens[2:]))
        for lens, number in numbers.items()
    }
    return ColmapModel(cameras=lenses, images=images, points=ColmapPoints.none())
