"""COLMAP sparse models (cameras, images, points3D) in text and binary form, with plain numpy.

No COLMAP library is used: a broken file would abort its C++ process. Here every count and index is checked before
it is used, and anything broken is an InputError. The format is COLMAP's documented output format; `rigs` and
`frames` files are ignored, because `images` holds the pose of every image as well.

Poses are `cam_from_world` as a wxyz quaternion and a translation; pixels have their centre at + 0.5.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gs_stereo.errors import InputError
from gs_stereo.io import colmap_binary, colmap_text
from gs_stereo.io.colmap_model import (
    ColmapCamera,
    ColmapImage,
    ColmapModel,
    ColmapPoints,
    check_image_name,
    check_model,
    pinhole_camera,
    pinhole_intrinsics,
    posed_image,
    with_tracks,
    without_dangling,
)
from gs_stereo.types import Camera, SparsePoints, SparseScene

_NO_POINT = -1


def find_model_folder(folder: Path) -> Path:
    """The folder that holds a model: `folder` itself, or its `sparse/0`, `sparse` or `0`; InputError if none does."""
    for candidate in (folder, folder / "sparse" / "0", folder / "sparse", folder / "0"):
        if _model_suffix(candidate) is not None:
            return candidate
    raise InputError(
        f"There is no COLMAP model in {folder}; name the folder that holds cameras and images (.bin or .txt)."
    )


def _model_suffix(folder: Path) -> str | None:
    """Points are not needed, but of a text and a binary model the one that has them is taken."""
    for parts in (("cameras", "images", "points3D"), ("cameras", "images")):
        for suffix in (".bin", ".txt"):
            if all((folder / f"{part}{suffix}").is_file() for part in parts):
                return suffix
    return None


def model_files(folder: Path) -> list[Path]:
    """The files of all models in or below `folder`, sorted; InputError if it is no folder."""
    if not folder.is_dir():
        raise InputError(f"The COLMAP model folder {folder} does not exist; give the folder with cameras.txt or .bin.")
    named = (path for path in folder.rglob("*") if path.stem in ("cameras", "images", "points3D"))
    return sorted(path for path in named if path.suffix in (".bin", ".txt"))


def read_best_model(folder: Path) -> tuple[ColmapModel, tuple[str, ...]]:
    """The model in or below `folder` that holds most images, and what the user should know about it.

    COLMAP writes a folder for each part of a capture that it could not join to the others: `sparse/0` need not be the
    largest. A model that `folder` itself holds is taken as asked for, and a larger one beside it is named.
    """
    inner = [path for parent in (folder, folder / "sparse") for path in sorted(parent.glob("*")) if path.is_dir()]
    below = [path for path in (folder / "sparse", *inner) if _model_suffix(path) is not None]
    own = _model_suffix(folder) is not None
    beside = [path for path in sorted(folder.parent.glob("[0-9]*")) if own and _model_suffix(path) and path != folder]
    if own or not below:
        model = read_model(folder)
        larger = [(count, path) for path in beside if (count := len(read_model(path).images)) > len(model.images)]
        notes = tuple(
            f"The model in {folder} has {len(model.images)} images; {path} has {count}, give that to use it."
            for count, path in sorted(larger, reverse=True)[:1]
        )
        return model, (*model_notes(model), *notes)
    models = {path: read_model(path) for path in dict.fromkeys(below)}
    best = max(models, key=lambda path: len(models[path].images))
    others = ", ".join(f"{path.name} with {len(models[path].images)}" for path in models if path != best)
    note = (f"{best} with {len(models[best].images)} images was taken; smaller models beside it: {others}.",)
    return models[best], (*model_notes(models[best]), *(note if others else ()))


def model_notes(model: ColmapModel) -> tuple[str, ...]:
    """What was put right in a model."""
    count = model.dropped_observations
    return (f"{count} observations of points or images that are not in the model were left out.",) if count else ()


def read_model(folder: Path) -> ColmapModel:
    """Read and check a model (binary if it is there, else text); InputError on anything missing or broken."""
    found = find_model_folder(folder)
    model = colmap_binary.read(found) if _model_suffix(found) == ".bin" else colmap_text.read(found)
    model = without_dangling(model)
    check_model(model, found)
    return model


def write_model(folder: Path, model: ColmapModel, *, text: bool = False) -> None:
    """Write a model, ordered by id; each file appears whole."""
    check_model(model, folder)
    (colmap_text if text else colmap_binary).write(folder, model)


def sparse_scene_from_model(model: ColmapModel, metres_per_unit: float | None = None) -> SparseScene:
    """Cameras sorted by name and points sorted by id; every camera must be PINHOLE or SIMPLE_PINHOLE."""
    images = sorted(model.images.values(), key=lambda image: image.name)
    order = np.argsort(model.points.ids, kind="stable")
    ids = model.points.ids[order]
    visible = []
    for image in images:
        seen = np.unique(image.point_ids[image.point_ids != _NO_POINT])
        visible.append(np.searchsorted(ids, seen).astype(np.int64))
    error = model.points.error_px[order]
    return SparseScene(
        cameras=tuple(_pinhole_camera(model.cameras[image.camera_id], image) for image in images),
        points=SparsePoints(
            xyz_in_world=model.points.xyz_in_world[order],
            rgb=model.points.rgb[order],
            error_px=np.where(error >= 0, error, np.nan),
            track_length=np.diff(model.points.track_start)[order],
        ),
        visible_points=tuple(visible),
        metres_per_unit=metres_per_unit,
    )


def _pinhole_camera(camera: ColmapCamera, image: ColmapImage) -> Camera:
    return Camera(
        name=check_image_name(image.name),
        width=camera.width,
        height=camera.height,
        intrinsics=pinhole_intrinsics(camera),
        cam_from_world=image.cam_from_world,
    )


def model_from_sparse_scene(scene: SparseScene) -> ColmapModel:
    """A PINHOLE model of a scene; ids count from 1 in the scene's order.

    A scene does not keep the observed pixels: the observations written here are the projections of the points.
    """
    from gs_stereo.geometry.projection import project

    cameras, camera_ids = _unique_cameras(scene.cameras)
    visible = scene.visible_points or tuple(np.empty(0, dtype=np.int64) for _ in scene.cameras)
    images = {}
    for image_id, (camera, camera_id, seen) in enumerate(zip(scene.cameras, camera_ids, visible, strict=True), 1):
        xy, _ = project(camera, scene.points.xyz_in_world[seen])
        in_front = np.isfinite(xy).all(axis=1)
        seen, xy = seen[in_front], xy[in_front]
        images[image_id] = posed_image(camera.name, camera_id, camera.cam_from_world, xy, seen + 1)
    points = ColmapPoints(
        ids=np.arange(1, len(scene.points) + 1, dtype=np.int64),
        xyz_in_world=scene.points.xyz_in_world,
        rgb=scene.points.rgb,
        error_px=np.where(np.isfinite(scene.points.error_px), scene.points.error_px, -1.0),
        track_start=np.zeros(len(scene.points) + 1, dtype=np.int64),
        track=np.empty((0, 2), dtype=np.int64),
    )
    return ColmapModel(cameras=cameras, images=images, points=with_tracks(points, images))


def _unique_cameras(cameras: Iterable[Camera]) -> tuple[dict[int, ColmapCamera], list[int]]:
    found: dict[tuple[float, ...], int] = {}
    unique: dict[int, ColmapCamera] = {}
    ids = []
    for camera in cameras:
        pinhole = pinhole_camera(camera.intrinsics, camera.width, camera.height)
        camera_id = found.setdefault((camera.width, camera.height, *pinhole.params.tolist()), len(found) + 1)
        unique.setdefault(camera_id, pinhole)
        ids.append(camera_id)
    return unique, ids
