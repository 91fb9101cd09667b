"""What the user brings, as it is read: the model of a COLMAP folder or a transforms.json, and the photos it is of."""

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import list_photos, photo_size, read_photo
from gs_stereo.imaging.masks import read_mask
from gs_stereo.io.colmap_model import ColmapCamera, ColmapImage, ColmapModel, ColmapPoints, posed_image
from gs_stereo.io.ply import load_points
from gs_stereo.io.transforms import Transforms, TransformsFrame
from gs_stereo.sfm.config import Convention, ImportConfig
from gs_stereo.sfm.conventions import converted
from gs_stereo.sfm.job import OnProgress
from gs_stereo.sfm.lens import Lens, colmap_from_lens, lens_from_colmap
from gs_stereo.sfm.masks import given_mask
from gs_stereo.sfm.photos import FirstOfEqual, in_threads
from gs_stereo.sfm.undistort import PhotoSource

LEAST_WITNESSES = 2
_MOST_GIVEN_POINTS = 100_000  # a fit starts with some ten thousand Gaussians


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """A model whose cameras fit its photos exactly, the photos, what is left out, and what was put right.

    read_as: what its poses were taken for.
    """

    model: ColmapModel
    read_as: Convention
    sources: Mapping[str, PhotoSource]
    failed: Mapping[str, str]
    notes: tuple[str, ...] = ()


def given_colmap(model: ColmapModel, image_folder: Path, notes: tuple[str, ...]) -> Given:
    """The photos that `model` is of, its cameras fitted to them; what has no photo is in `failed`."""
    photos = PhotosByName(image_folder)
    renamed = 0
    images: dict[int, ColmapImage] = {}
    sources: dict[str, PhotoSource] = {}
    failed: dict[str, str] = {}
    cameras: dict[int, ColmapCamera] = {}
    fitted: dict[tuple[int, int, int], int] = {}
    for image_id, image in sorted(model.images.items()):
        lens = lens_from_colmap(model.cameras[image.camera_id])
        try:
            name = photos.find(image.name)
            source = _source(image_folder / name, lens.width, lens.height)
        except InputError as error:
            failed[image.name] = str(error)
            continue
        camera_id = fitted.setdefault((image.camera_id, source.width, source.height), len(fitted) + 1)
        fitted_lens = _fitted(lens, source)
        cameras.setdefault(camera_id, colmap_from_lens(fitted_lens))
        stretch = np.array([source.width / lens.width, source.height / lens.height])
        images[image_id] = replace(image, name=name, camera_id=camera_id, points_xy=image.points_xy * stretch)
        sources[name] = source
        renamed += name != image.name
    unused = len(photos) - len(images)
    if not len(model.points.ids):
        notes = (*notes, "The model has no points; they are made of matches between the photos.")
    if renamed:
        notes = (*notes, f"{renamed} image names of the model differ from the files (separators, folders, case).")
    if unused > 0:
        notes = (*notes, f"{unused} photos of {image_folder} are not in the model.")
    kept = replace(model, cameras=cameras, images=images)
    return Given(model=kept, read_as="cam_from_world_opencv", sources=sources, failed=failed, notes=notes)


class PhotosByName:
    """The photos of a folder by names that other programs wrote: absolute, with back-slashes, in another case or form.

    The form is that of letters with accents (NFC or NFD), which disks of Macs change.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        names = [path.relative_to(folder).as_posix() for path in list_photos(folder)]
        self._by_lower: dict[str, list[str]] = {}
        for name in names:
            for tail in _tails(name):
                self._by_lower.setdefault(tail, []).append(name)
        self._names = frozenset(names)

    def __len__(self) -> int:
        return len(self._names)

    def find(self, name: str) -> str:
        """The photo's path in the folder; InputError if there is none, or more than one that is as good."""
        plain = name.replace("\\", "/")
        if plain in self._names:
            return plain
        for tail in _tails(plain):  # the longest first
            found = self._by_lower.get(tail, [])
            if len(found) == 1:
                return found[0]
            if found:
                raise InputError(
                    f"The image {name!r} could be any of {', '.join(sorted(found)[:3])}; rename the files."
                )
        raise InputError(f"There is no image {name!r} in {self._folder}; add it or name the right image folder.")


def _tails(path: str) -> list[str]:
    """A/b/c -> a/b/c, b/c, c, with letters and their accents in one form (disks of Macs keep another)."""
    plain = unicodedata.normalize("NFC", path).lower()
    parts = [part for part in plain.split("/") if part not in ("", ".", "..")]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def without_broken(given: Given, on_progress: OnProgress) -> Given:
    """Decode every photo once, and leave out those that fail, and copies; InputError if fewer than two are left."""
    first_of = FirstOfEqual()

    def problem(name: str) -> str | None:
        source = given.sources[name]
        try:
            first_of.see(name, read_photo(source.path, upright=source.upright))
            read_mask(source.path, source.mask, upright=source.upright)
        except InputError as error:
            return str(error)
        return None

    names = sorted(given.sources)
    problems = zip(names, in_threads(problem, names, "photos", on_progress), strict=True)
    broken = {name: text for name, text in problems if text is not None}
    failed = {**given.failed, **broken, **first_of.copies(name for name in names if name not in broken)}
    sources = given.sources.keys() - failed
    if len(sources) < 2:
        first = next(iter(failed.values()), "there are none").rstrip(".")
        count = f"{len(sources)} of {len(sources) + len(failed)} images"
        raise InputError(f"Only {count} can be used ({first}); give the folder that holds them.")
    kept = only(given, sources)
    return replace(kept, model=replace(kept.model, points=_still_seen(kept.model)), failed=failed)


def only(given: Given, names: Collection[str]) -> Given:
    """What belongs to the photos of these names."""
    images = {image_id: image for image_id, image in given.model.images.items() if image.name in names}
    sources = {name: source for name, source in given.sources.items() if name in names}
    return replace(given, model=replace(given.model, images=images), sources=sources)


def _still_seen(model: ColmapModel) -> ColmapPoints:
    """The points without those whose every observation is in an image that is gone."""
    points = model.points
    present = np.isin(points.track[:, 0], list(model.images))
    owner = np.repeat(np.arange(len(points)), np.diff(points.track_start))
    had, has = np.diff(points.track_start), np.bincount(owner[present], minlength=len(points))
    return _of_tracks(points, (has > 0) | (had == 0), present)


def without_measured(given: Given) -> Given:
    """Without the points that two photos or more see."""
    points = given.model.points
    single = np.diff(points.track_start) < LEAST_WITNESSES
    images = {
        key: replace(image, point_ids=np.where(np.isin(image.point_ids, points.ids[single]), image.point_ids, -1))
        for key, image in given.model.images.items()
    }
    kept = _of_tracks(points, single, np.ones(len(points.track), bool))
    return replace(given, model=replace(given.model, images=images, points=kept))


def with_shared_intrinsics(given: Given) -> Given:
    """One camera for all photos of one size and lens model: the median of each number over the photos."""
    alike: dict[tuple[str, int, int], list[int]] = {}
    for image_id, image in sorted(given.model.images.items()):
        camera = given.model.cameras[image.camera_id]
        alike.setdefault((camera.model, camera.width, camera.height), []).append(image_id)
    cameras: dict[int, ColmapCamera] = {}
    images: dict[int, ColmapImage] = {}
    for camera_id, ((model, width, height), members) in enumerate(alike.items(), start=1):
        every = [given.model.cameras[given.model.images[image_id].camera_id].params for image_id in members]
        cameras[camera_id] = ColmapCamera(model=model, width=width, height=height, params=np.median(every, axis=0))
        images |= {image_id: replace(given.model.images[image_id], camera_id=camera_id) for image_id in members}
    note = f"{len(images)} photos share {len(cameras)} cameras: the median of theirs."
    return replace(given, model=replace(given.model, cameras=cameras, images=images), notes=(*given.notes, note))


def _of_tracks(points: ColmapPoints, keep: Bool[np.ndarray, "n"], observed: Bool[np.ndarray, "m"]) -> ColmapPoints:
    """Some of the points, with some of their observations."""
    owner = np.repeat(np.arange(len(points)), np.diff(points.track_start))
    has = np.bincount(owner[observed], minlength=len(points))
    return ColmapPoints(
        ids=points.ids[keep],
        xyz_in_world=points.xyz_in_world[keep],
        rgb=points.rgb[keep],
        error_px=points.error_px[keep],
        track_start=np.concatenate([[0], np.cumsum(has[keep])]).astype(np.int64),
        track=points.track[observed & keep[owner]],
    )


def given_transforms(read: Transforms, transforms: Path, config: ImportConfig) -> Given:
    """The photos and cameras of a transforms.json, and the points it names, as far as they can be used."""
    images: dict[int, ColmapImage] = {}
    sources: dict[str, PhotoSource] = {}
    failed = dict(read.failed)
    cameras: dict[int, ColmapCamera] = {}
    known: dict[tuple[float, ...], int] = {}
    for frame in sorted(read.frames, key=lambda frame: frame.name):
        try:
            lens, source = _lens_of_frame(frame, transforms)
            if frame.mask is not None and config.masks != "off":
                source = replace(source, mask=given_mask(frame.mask, config))
        except InputError as error:
            failed[frame.name] = str(error)
            continue
        key = (lens.fisheye, lens.width, lens.height, *lens.intrinsics.ravel(), *lens.coefficients)
        camera_id = known.setdefault(key, len(known) + 1)
        cameras.setdefault(camera_id, colmap_from_lens(lens))
        nothing = np.empty((0, 2)), np.empty(0, dtype=np.int64)
        images[len(images) + 1] = posed_image(frame.name, camera_id, frame.cam_from_world, *nothing)
        sources[frame.name] = source
    model, notes = ColmapModel(cameras=cameras, images=images, points=ColmapPoints.none()), read.notes
    if read.points is not None:
        try:
            xyz, rgb = load_points(read.points)
        except InputError as error:
            notes = (*notes, f"The points that {transforms.name} names are not used: {error}")
        else:
            model = replace(model, points=_unseen_points(xyz, rgb))
            notes = (*notes, f"{len(model.points)} of {len(xyz)} points of {read.points.name} help the fit to start.")
    return Given(model=model, read_as="world_from_cam_opengl", sources=sources, failed=failed, notes=notes)


def _unseen_points(xyz: Float[np.ndarray, "n 3"], rgb: UInt8[np.ndarray, "n 3"]) -> ColmapPoints:
    """Points that nobody is known to observe, thinned evenly."""
    step = 1 + len(xyz) // _MOST_GIVEN_POINTS
    xyz, rgb = xyz[::step], rgb[::step]
    return replace(
        ColmapPoints.none(),
        ids=np.arange(1, len(xyz) + 1, dtype=np.int64),
        xyz_in_world=xyz,
        rgb=rgb,
        error_px=np.full(len(xyz), -1.0),
        track_start=np.zeros(len(xyz) + 1, dtype=np.int64),
    )


def _lens_of_frame(frame: TransformsFrame, transforms: Path) -> tuple[Lens, PhotoSource]:
    if frame.path is None:
        raise InputError(f"The image is not there; add it, or remove its frame from {transforms.name}.")
    width, height = frame.size or photo_size(frame.path)
    source = _source(frame.path, width, height)
    coefficients = np.zeros(8)
    coefficients[: len(frame.distortion)] = frame.distortion
    lens = Lens(
        width=width,
        height=height,
        intrinsics=frame.intrinsics(width, height),
        coefficients=coefficients,
        fisheye=frame.entry.fisheye,
    )
    return _fitted(lens, source), source


def _source(path: Path, width: int, height: int) -> PhotoSource:
    """The photo of a camera of `width` x `height`: as stored, or upright if only that has the camera's shape.

    Tools that find poses mostly ignore the EXIF orientation, so pixels as stored come first.
    """
    if not path.is_file():
        raise InputError(f"The image {path} is not there; add it or name the right image folder.")
    sizes = {upright: photo_size(path, upright=upright) for upright in (False, True)}
    for upright in (False, True):
        if sizes[upright] == (width, height):
            return PhotoSource(path=path, width=width, height=height, upright=upright)
    for upright in (False, True):
        actual_width, actual_height = sizes[upright]
        if abs(actual_width * height / width - actual_height) <= 1:
            return PhotoSource(path=path, width=actual_width, height=actual_height, upright=upright)
    shape = f"{sizes[True][0]} x {sizes[True][1]}"
    raise InputError(
        f"The image {path} has {shape} pixels, but its camera {width} x {height}; give the images it is for."
    )


def _fitted(lens: Lens, source: PhotoSource) -> Lens:
    """The lens for photos that were resized after the poses were found."""
    stretch = np.diag([source.width / lens.width, source.height / lens.height, 1.0])
    return replace(lens, width=source.width, height=source.height, intrinsics=stretch @ lens.intrinsics)


def poses_of(model: ColmapModel) -> dict[str, Float[np.ndarray, "4 4"]]:
    """cam_from_world by the name of the photo."""
    return {image.name: image.cam_from_world for image in model.images.values()}


def read_in(given: Given, config: ImportConfig) -> Given:
    """The poses as the settings say that they were written."""
    if config.poses in (None, given.read_as):
        return given
    images = {
        image_id: posed_image(
            image.name,
            image.camera_id,
            converted(image.cam_from_world, given.read_as, config.poses),
            image.points_xy,
            image.point_ids,
        )
        for image_id, image in given.model.images.items()
    }
    return replace(given, model=replace(given.model, images=images), read_as=config.poses)
