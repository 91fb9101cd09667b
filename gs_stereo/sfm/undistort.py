"""Pinhole images of a reconstruction, made from the original photos, and the model that belongs to them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.imaging.images import (
    fitting_scale,
    fitting_size,
    read_photo,
    shrink_to_edge,
    write_png,
)
from gs_stereo.imaging.masks import EMPTY, SHOWN, GivenMask, read_mask, resampled, white_where
from gs_stereo.imaging.png import write_gray_png
from gs_stereo.io.colmap_model import ColmapCamera, ColmapImage, ColmapModel, pinhole_camera, with_tracks
from gs_stereo.io.reconstruction import CUT_OUT_FOLDER, IMAGE_FOLDER, MASK_FOLDER
from gs_stereo.sfm.job import OnProgress, Progress
from gs_stereo.sfm.lens import (
    MAX_OVERSAMPLING,
    Lens,
    Undistorter,
    lens_from_colmap,
    pinhole_intrinsics_inside,
    undistort,
    undistorter,
)
from gs_stereo.sfm.photos import in_threads


@dataclass(frozen=True, kw_only=True)
class PhotoSource:
    """The photo behind an image of a model. The model's camera is for the photo shrunk by `scale`."""

    path: Path
    width: int
    height: int
    scale: float = 1.0
    upright: bool = True
    mask: GivenMask | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class _View:
    """What the images of one camera and photo size share: the lens at the model's size, and the pinhole camera."""

    lens: Lens
    source: PhotoSource
    width: int
    height: int
    intrinsics: Float[np.ndarray, "3 3"]

    @property
    def camera(self) -> ColmapCamera:
        return pinhole_camera(self.intrinsics, self.width, self.height)


def undistorted_model(
    model: ColmapModel, sources: Mapping[str, PhotoSource], max_edge_px: int
) -> tuple[ColmapModel, dict[int, _View]]:
    """The PINHOLE model of images whose longest edge is at most `max_edge_px`; poses and points stay as they are.

    Observations without a point are dropped. Returns also what `write_images` needs, by new camera id.
    """
    keys: dict[tuple[int, int, int], int] = {}
    views: dict[int, _View] = {}
    images: dict[int, ColmapImage] = {}
    for image_id, image in sorted(model.images.items()):
        source = sources[image.name]
        key = (image.camera_id, source.width, source.height)
        camera_id = keys.setdefault(key, len(keys) + 1)
        if camera_id not in views:
            views[camera_id] = _view(lens_from_colmap(model.cameras[image.camera_id]), source, max_edge_px)
        images[image_id] = _undistorted_image(image, camera_id, views[camera_id])
    cameras = {camera_id: view.camera for camera_id, view in views.items()}
    return ColmapModel(cameras=cameras, images=images, points=with_tracks(model.points, images)), views


def _view(lens: Lens, source: PhotoSource, max_edge_px: int) -> _View:
    scale = fitting_scale(source.width, source.height, max_edge_px)
    width, height = fitting_size(source.width, source.height, max_edge_px)
    shown = lens.scaled(scale / source.scale, width, height)
    intrinsics = pinhole_intrinsics_inside(shown)
    return _View(lens=lens, source=source, width=width, height=height, intrinsics=intrinsics)


def _undistorted_image(image: ColmapImage, camera_id: int, view: _View) -> ColmapImage:
    seen = image.point_ids >= 0
    k = view.intrinsics
    xy = undistort(view.lens, image.points_xy[seen]) * k[[0, 1], [0, 1]] + k[:2, 2]
    sound = np.isfinite(xy).all(axis=1)
    return replace(image, camera_id=camera_id, points_xy=xy[sound], point_ids=image.point_ids[seen][sound])


def write_images(
    model: ColmapModel,
    views: Mapping[int, _View],
    sources: Mapping[str, PhotoSource],
    files: Mapping[str, str],
    folder: Path,
    on_progress: OnProgress,
) -> None:
    """Write the pinhole image of every image of `model` to images/, and masks of those with any, camera by camera."""
    done = 0
    for camera_id, view in views.items():
        names = sorted(image.name for image in model.images.values() if image.camera_id == camera_id)
        before = done

        def count(progress: Progress, before: int = before) -> None:
            on_progress(replace(progress, done=before + progress.done, total=len(model.images)))

        _write_view(view, [(sources[name], files[name]) for name in names], folder, count)
        done += len(names)


def _write_view(view: _View, jobs: list[tuple[PhotoSource, str]], folder: Path, on_progress: OnProgress) -> None:
    """Shrink, or resample through the lens, the photos of one camera."""
    edge_px = max(view.width, view.height) * (1 if view.lens.is_pinhole else MAX_OVERSAMPLING)
    resample: Undistorter | None = None
    if not view.lens.is_pinhole:
        source = view.source
        scale = fitting_scale(source.width, source.height, edge_px) / source.scale
        lens = view.lens.scaled(scale, *fitting_size(source.width, source.height, edge_px))
        resample = undistorter(lens, view.intrinsics, view.width, view.height)

    def pinhole(photo: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "i j 3"]:
        small = shrink_to_edge(photo, edge_px)
        return resample(small) if resample else small

    def make(job: tuple[PhotoSource, str]) -> None:
        source, file = job
        write_png(folder / IMAGE_FOLDER / file, pinhole(read_photo(source.path, upright=source.upright)))
        mask = read_mask(source.path, source.mask, upright=source.upright)
        if mask is not None:
            mask = resampled(mask, pinhole)
            write_gray_png(folder / MASK_FOLDER / file, white_where(mask == SHOWN))
            if (mask == EMPTY).any():
                write_gray_png(folder / CUT_OUT_FOLDER / file, white_where(mask == EMPTY))

    in_threads(make, jobs, "undistorted", on_progress)
