"""Photos made ready for matching: checked, upright, shrunk, with names that any library can read."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

from gs_stereo.core.cores import cores
from gs_stereo.core.text import is_text, printable
from gs_stereo.errors import InputError
from gs_stereo.imaging.exif import GpsPosition, read_metadata
from gs_stereo.imaging.images import (
    VIDEO_SUFFIXES,
    fitting_scale,
    fitting_size,
    list_photos,
    read_photo,
    shrink_to_edge,
    unused_files,
    write_png,
)
from gs_stereo.imaging.masks import SHOWN, GivenMask, read_mask, resampled, white_where
from gs_stereo.imaging.png import write_gray_png
from gs_stereo.imaging.video import extract_frames
from gs_stereo.io.colmap_model import CAMERA_MODELS
from gs_stereo.sfm.config import ReconstructConfig
from gs_stereo.sfm.job import MASKS, CameraGroup, OnProgress, Progress, ignore_progress
from gs_stereo.sfm.masks import MasksOfPhotos, masks_of

_DEFAULT_FOCAL_OVER_EDGE = 1.2
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class PhotoSet:
    """Photos below `root`. is_video: they are frames, in the order in which they were taken."""

    root: Path
    paths: tuple[Path, ...]
    masks: MasksOfPhotos = field(default_factory=MasksOfPhotos)
    is_video: bool = False

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A usable photo. `file` is its name in the working folder; the size is that of the upright original."""

    name: str
    path: Path
    file: str
    width: int
    height: int
    camera: str
    focal_over_edge: float | None
    gps: GpsPosition | None
    mask: GivenMask | None = None


def find_photos(
    source: Path, frame_folder: Path, config: ReconstructConfig, on_progress: OnProgress = ignore_progress
) -> PhotoSet:
    """The photos of a folder, or frames of a video file, which are written to `frame_folder`."""
    if source.is_file():
        if source.suffix.lower() not in VIDEO_SUFFIXES:
            raise InputError(
                f"{source} is no video file; give a folder of photos or one of {', '.join(VIDEO_SUFFIXES)}."
            )

        def on_frame(done: int, total: int) -> None:
            on_progress(Progress(step="frames", done=done, total=total))

        frames = extract_frames(source, frame_folder, config.max_frames, on_frame)
        return PhotoSet(root=frame_folder, paths=tuple(frames), is_video=True)
    paths = list_photos(source)
    if not paths:
        unused = unused_files(source)
        reason = f" {unused}" if unused else ""
        raise InputError(
            f"There are no photos in {source}; put JPEG, PNG, TIFF, WebP, BMP or HEIC files there.{reason}"
        )
    names = [path.relative_to(source).as_posix() for path in paths]
    return PhotoSet(root=source, paths=tuple(paths), masks=masks_of(source, names, config))


def in_threads(work: Callable[[T], R], items: Sequence[T], step: str, on_progress: OnProgress) -> list[R]:
    """`work` on every item, in order, with progress. An error stops the items that have not begun.

    The work is decoding and resampling, which free the GIL.
    """
    results = []
    with ThreadPoolExecutor(max_workers=min(cores(), 4)) as pool:
        for done, result in enumerate(pool.map(work, items), 1):
            results.append(result)
            on_progress(Progress(step=step, done=done, total=len(items)))
    return results


def prepare_photos(
    photos: PhotoSet, folder: Path, config: ReconstructConfig, on_progress: OnProgress
) -> tuple[list[Photo], dict[str, str]]:
    """Write a working image of every usable photo to `folder`; returns them, and the others with the reason.

    Of pictures that are equal pixel by pixel the first is used: copies tell nothing, and one that is held out while the
    other is learned from would be no test. InputError if fewer than two are usable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first_of = FirstOfEqual()

    def prepare(numbered: tuple[int, Path]) -> Photo | tuple[str, str]:
        number, path = numbered
        name = photos.name(path)
        try:
            _check_name(name)
            image, mask = read_photo(path), read_mask(path, photos.masks.by_name.get(name))
            height, width = image.shape[:2]
            if min(width, height) * fitting_scale(width, height, config.max_image_size) < 32:
                raise InputError(f"The photo {path} has {width} x {height} pixels, too few to match; remove it.")
            metadata = read_metadata(path)
            first_of.see(name, image)
        except InputError as error:
            return printable(name), str(error)
        file = f"{number:06d}.png"
        write_working_image(folder / file, image, mask, config.max_image_size)
        return Photo(
            name=name,
            path=path,
            file=file,
            width=width,
            height=height,
            camera=metadata.camera,
            focal_over_edge=metadata.focal_over_edge,
            gps=metadata.gps,
            mask=photos.masks.by_name.get(name),
        )

    results = in_threads(prepare, list(enumerate(photos.paths)), "photos", on_progress)
    usable = [result for result in results if isinstance(result, Photo)]
    failed = dict(result for result in results if not isinstance(result, Photo))
    copies = first_of.copies(photo.name for photo in usable)
    usable, failed = [photo for photo in usable if photo.name not in copies], failed | copies
    if len(usable) < 2:
        first = f" ({next(iter(failed.values())).rstrip('.')})" if failed else ""
        count = f"{len(usable)} of {len(photos.paths)} photos in {photos.root} can be used{first}"
        raise InputError(f"Only {count}; add photos of the scene from different places, at least two.")
    return usable, failed


class FirstOfEqual:
    """Finds photos that are equal pixel by pixel, however they are stored."""

    def __init__(self) -> None:
        self._digests: dict[str, bytes] = {}

    def see(self, name: str, image: UInt8[np.ndarray, "h w 3"]) -> None:
        """Remember a photo. Safe to call from several threads."""
        shape = np.array(image.shape).tobytes()
        self._digests[name] = hashlib.sha256(shape + np.ascontiguousarray(image).tobytes()).digest()

    def copies(self, names: Iterable[str]) -> dict[str, str]:
        """Those that equal an earlier one of the photos named, and a sentence about each."""
        first: dict[bytes, str] = {}
        found = {name: first.setdefault(self._digests[name], name) for name in names}
        return {name: f"It is the same picture as {other}." for name, other in found.items() if other != name}


def write_working_image(
    file: Path, image: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"] | None, max_edge_px: int
) -> None:
    """Write the shrunk photo, and its mask where COLMAP looks for it: no feature is taken where the mask is black."""
    write_png(file, shrink_to_edge(image, max_edge_px))
    if mask is not None:
        shown = resampled(mask, lambda picture: shrink_to_edge(picture, max_edge_px)) == SHOWN
        write_gray_png(file.with_name(MASKS) / f"{file.name}.png", white_where(shown))


def _check_name(name: str) -> None:
    if not is_text(name):
        raise InputError(f"The file name {printable(name)} is no UTF-8 text; rename the photo.")
    if any(ord(letter) < 32 for letter in name) or "\\" in name or ":" in name.split("/")[0]:
        raise InputError(f"The file name {name!r} holds a control character, colon or backslash; rename the photo.")


def camera_groups(photos: Sequence[Photo], config: ReconstructConfig) -> list[CameraGroup]:
    """Which photos share a camera (see `ReconstructConfig.single_camera`), with a first guess of its parameters."""
    groups: dict[object, list[Photo]] = {}
    for photo in photos:
        groups.setdefault(_camera_key(photo, config), []).append(photo)
    if config.single_camera == "auto" and len({_optics(photo) for photo in photos}) == 1:
        groups = {None: list(photos)}
    if config.single_camera == "always" and len({(photo.width, photo.height) for photo in photos}) > 1:
        raise InputError("The photos differ in size, so they cannot share one camera; set single_camera to auto.")
    return [_camera_group(members, config) for members in groups.values()]


def _optics(photo: Photo) -> object:
    focal = None if photo.focal_over_edge is None else round(photo.focal_over_edge, 3)
    return photo.width, photo.height, photo.camera, focal


def _camera_key(photo: Photo, config: ReconstructConfig) -> object:
    if config.single_camera == "always":
        return None
    if config.single_camera == "never":
        return photo.name
    return Path(photo.name).parent.as_posix(), _optics(photo)


def _camera_group(photos: Sequence[Photo], config: ReconstructConfig) -> CameraGroup:
    first = photos[0]
    scale = fitting_scale(first.width, first.height, config.max_image_size)
    width, height = fitting_size(first.width, first.height, config.max_image_size)
    known = [photo.focal_over_edge for photo in photos if photo.focal_over_edge is not None]
    focal_over_edge = float(np.median(known)) if known else _DEFAULT_FOCAL_OVER_EDGE
    focal_px = focal_over_edge * max(first.width, first.height) * scale
    centre = (first.width * scale / 2, first.height * scale / 2)
    return CameraGroup(
        names=[photo.file for photo in photos],
        model=config.camera_model,
        width=width,
        height=height,
        params=first_guess(config.camera_model, focal_px, centre),
        prior=bool(known),
    )


def first_guess(model: str, focal_px: float, centre: tuple[float, float]) -> list[float]:
    """Parameters of a camera model without distortion, in COLMAP's order."""
    one_focal = model in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
    params = [focal_px, *centre] if one_focal else [focal_px, focal_px, *centre]
    return params + [0.0] * (CAMERA_MODELS[model][1] - len(params))
