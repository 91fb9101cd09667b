"""Cameras that the user brings: a COLMAP model or a transforms.json. Poses and frame are kept exactly as given.

Where there are no points, they are triangulated from SIFT matches with the given poses held fixed.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import InputError
from gs_stereo.geometry.local_frame import local_origin
from gs_stereo.imaging.images import (
    fitting_scale,
    fitting_size,
    list_photos,
    photo_size,
    read_photo,
)
from gs_stereo.imaging.masks import read_mask
from gs_stereo.io.colmap import read_best_model, read_model
from gs_stereo.io.colmap_model import (
    ColmapCamera,
    ColmapImage,
    ColmapModel,
    ColmapPoints,
    posed_image,
    with_tracks,
)
from gs_stereo.io.ply import load_points
from gs_stereo.io.reconstruction import ReconstructionSummary
from gs_stereo.io.transforms import Transforms, TransformsFrame, read_transforms
from gs_stereo.sfm.config import Convention, ImportConfig
from gs_stereo.sfm.conventions import PoseFit, SeenPoints, converted, fit_of_points
from gs_stereo.sfm.job import CameraGroup, Job, OnProgress, ignore_progress, run_job
from gs_stereo.sfm.lens import Lens, colmap_from_lens, lens_from_colmap, undistort
from gs_stereo.sfm.masks import given_mask, masks_of
from gs_stereo.sfm.pairs import pairs_by_pose, pairs_to_compare
from gs_stereo.sfm.photos import FirstOfEqual, in_threads, write_working_image
from gs_stereo.sfm.publish import ReconstructionResult, publish, scratch_folder
from gs_stereo.sfm.scale import Similarity, apply_similarity, camera_centres
from gs_stereo.sfm.undistort import PhotoSource

_JUDGED_OF_PHOTO = 300
_LEAST_WITNESSES = 2
_MOST_GIVEN_POINTS = 100_000  # a fit starts with some ten thousand Gaussians


@dataclass(frozen=True, kw_only=True, eq=False)
class _Given:
    """A model whose cameras fit its photos exactly, the photos, what is left out, and what was put right.

    read_as: what its poses were taken for.
    """

    model: ColmapModel
    read_as: Convention
    sources: Mapping[str, PhotoSource]
    failed: Mapping[str, str]
    notes: tuple[str, ...] = ()


def import_colmap(
    model_folder: Path,
    image_folder: Path,
    work_dir: Path,
    config: ImportConfig,
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> ReconstructionResult:
    """Take over a COLMAP model (text or binary) and its images into `work_dir` (layout: io/reconstruction.py).

    Images with lens distortion are undistorted, fisheyes as far as a pinhole image reaches. Images that are missing or
    broken are listed in the summary. Raises InputError for a broken model, and StageError if triangulation is needed
    and fails.
    """
    model, notes = read_best_model(model_folder)
    given = _given_colmap(model, image_folder, notes)
    masks = masks_of(image_folder, list(given.sources), config)
    sources = {name: replace(source, mask=masks.by_name.get(name)) for name, source in given.sources.items()}
    given = replace(given, sources=sources, notes=(*given.notes, *masks.notes))
    return _take_over(given, "colmap", work_dir, config, seed, on_progress)


def import_transforms(
    transforms: Path,
    work_dir: Path,
    config: ImportConfig,
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> ReconstructionResult:
    """Take over a transforms.json of nerfstudio or instant-ngp; see `import_colmap`. Points are triangulated."""
    given = _given_transforms(read_transforms(transforms), transforms, config)
    return _take_over(given, "transforms", work_dir, config, seed, on_progress)


def _take_over(
    given: _Given, source: str, work_dir: Path, config: ImportConfig, seed: int, on_progress: OnProgress
) -> ReconstructionResult:
    given = _read_as(_without_broken(given, on_progress), config)
    model = given.model
    measured = bool((np.diff(model.points.track_start) >= _LEAST_WITNESSES).any())
    fit = fit_of_points(_seen_points(model), _poses(model), given.read_as) if measured else None
    doubtful = fit is not None and fit.problem() is not None
    if fit is None or doubtful:  # tracks of a model that was edited may be wrong where its poses are right
        with scratch_folder(work_dir) as scratch:
            model, fit = _matched(given, scratch, config, seed, on_progress)
    notes = (*given.notes, *fit.doubts())
    if doubtful:
        notes = (*notes, "The model's own observations of its points do not fit its poses; matches of the photos do.")
    summary = ReconstructionSummary(
        source=source,
        metres_per_unit=config.metres_per_unit,
        scale_source="none" if config.metres_per_unit is None else "given",
        failed=given.failed,
        models=(len(model.images),),
        notes=notes,
    )
    return publish(model, given.sources, work_dir, summary, config.max_image_size, on_progress)


def _given_colmap(model: ColmapModel, image_folder: Path, notes: tuple[str, ...]) -> _Given:
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
    if renamed:
        notes = (*notes, f"{renamed} image names of the model differ from the files (separators, folders, case).")
    if unused > 0:
        notes = (*notes, f"{unused} photos of {image_folder} are not in the model.")
    kept = replace(model, cameras=cameras, images=images)
    return _Given(model=kept, read_as="cam_from_world_opencv", sources=sources, failed=failed, notes=notes)


class PhotosByName:
    """The photos of a folder by names that other programs wrote: absolute, with back-slashes, in another case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        names = [path.relative_to(folder).as_posix() for path in list_photos(folder)]
        self._by_lower: dict[str, list[str]] = {}
        for name in names:
            for tail in _tails(name.lower()):
                self._by_lower.setdefault(tail, []).append(name)
        self._names = frozenset(names)

    def __len__(self) -> int:
        return len(self._names)

    def find(self, name: str) -> str:
        """The photo's path in the folder; InputError if there is none, or more than one that is as good."""
        plain = name.replace("\\", "/")
        if plain in self._names:
            return plain
        for tail in _tails(plain.lower()):  # the longest first
            found = self._by_lower.get(tail, [])
            if len(found) == 1:
                return found[0]
            if found:
                raise InputError(
                    f"The image {name!r} could be any of {', '.join(sorted(found)[:3])}; rename the files."
                )
        raise InputError(f"There is no image {name!r} in {self._folder}; add it or name the right image folder.")


def _tails(path: str) -> list[str]:
    """a/b/c -> a/b/c, b/c, c."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _without_broken(given: _Given, on_progress: OnProgress) -> _Given:
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
    kept = _only(given, sources)
    return replace(kept, model=replace(kept.model, points=_still_seen(kept.model)), failed=failed)


def _only(given: _Given, names: Collection[str]) -> _Given:
    images = {image_id: image for image_id, image in given.model.images.items() if image.name in names}
    sources = {name: source for name, source in given.sources.items() if name in names}
    return replace(given, model=replace(given.model, images=images), sources=sources)


def _still_seen(model: ColmapModel) -> ColmapPoints:
    """The points without those whose every observation is in an image that is gone."""
    points = model.points
    present = np.isin(points.track[:, 0], list(model.images))
    owner = np.repeat(np.arange(len(points)), np.diff(points.track_start))
    had, has = np.diff(points.track_start), np.bincount(owner[present], minlength=len(points))
    keep = (has > 0) | (had == 0)
    in_kept = present & keep[owner]
    return ColmapPoints(
        ids=points.ids[keep],
        xyz_in_world=points.xyz_in_world[keep],
        rgb=points.rgb[keep],
        error_px=points.error_px[keep],
        track_start=np.concatenate([[0], np.cumsum(has[keep])]).astype(np.int64),
        track=points.track[in_kept],
    )


def _given_transforms(read: Transforms, transforms: Path, config: ImportConfig) -> _Given:
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
    return _Given(model=model, read_as="world_from_cam_opengl", sources=sources, failed=failed, notes=notes)


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


def _poses(model: ColmapModel) -> dict[str, Float[np.ndarray, "4 4"]]:
    return {image.name: image.cam_from_world for image in model.images.values()}


def _read_as(given: _Given, config: ImportConfig) -> _Given:
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


def _seen_points(model: ColmapModel) -> Iterator[SeenPoints]:
    """Some hundred observations of each photo, evenly spread, of points that another photo observes too."""
    row_of = {int(point_id): row for row, point_id in enumerate(model.points.ids)}
    measured = model.points.ids[np.diff(model.points.track_start) >= _LEAST_WITNESSES]
    for image in model.images.values():
        seen = np.flatnonzero(np.isin(image.point_ids, measured))
        seen = seen[:: 1 + len(seen) // _JUDGED_OF_PHOTO]
        rows = [row_of[int(point_id)] for point_id in image.point_ids[seen]]
        rays = undistort(lens_from_colmap(model.cameras[image.camera_id]), image.points_xy[seen])
        sound = np.isfinite(rays).all(axis=1)
        yield SeenPoints(name=image.name, rays=rays[sound], xyz_in_world=model.points.xyz_in_world[rows][sound])


def _matched(
    given: _Given, scratch: Path, config: ImportConfig, seed: int, on_progress: OnProgress
) -> tuple[ColmapModel, PoseFit]:
    """The given model with points from matches, if no two photos share one; its poses and lenses are not touched.

    Also how the poses fit. InputError if the poses do not explain the matches between the photos.
    """
    has_points = bool((np.diff(given.model.points.track_start) >= _LEAST_WITNESSES).any())
    # Triangulation squares the translations, so it is done near the origin too.
    origin = np.array(local_origin(np.array(list(camera_centres(given.model).values()))))
    near = Similarity(scale=1.0, rotation=np.eye(3), translation=-origin)
    poses = _poses(apply_similarity(given.model, near))
    pairs = pairs_to_compare(list(poses)) if has_points else pairs_by_pose(poses)
    matched = _only(given, {name for pair in pairs for name in pair}) if has_points else given
    file_of = _write_working_images(matched, scratch / "working", config, on_progress)
    job = Job(
        task="compare" if has_points else "triangulate",
        folder=str(scratch / "working"),
        output=str(scratch / "model"),
        groups=_groups(matched, file_of, config.max_image_size),
        pairs=[(file_of[a], file_of[b]) for a, b in pairs],
        poses={file: poses[name][:3].tolist() for name, file in file_of.items()},
        read_as=given.read_as,
        seed=seed % ((1 << 31) - 1),
        threads=config.threads,
    )
    fit = run_job(job, on_progress).pose_fit
    assert fit is not None
    _refuse_misfit(fit)
    if has_points:
        return given.model, fit
    found = read_model(Path(job.output))
    if not len(found.points):
        raise InputError(
            "The given poses agree with no feature matches; check that poses, intrinsics and images match."
        )
    points = replace(found.points, xyz_in_world=found.points.xyz_in_world + origin)
    posed = _with_given_poses(given, replace(found, points=points), file_of, config.max_image_size)
    return _with_points(posed, given.model), fit


def _with_points(model: ColmapModel, given: ColmapModel) -> ColmapModel:
    """The model with the given points too, as far as they were observed by the photos that say so."""
    if not len(given.points):
        return model
    first = int(model.points.ids.max()) + 1
    new_id = dict(zip(given.points.ids.tolist(), range(first, first + len(given.points)), strict=True))
    images, observed = {}, {image.name: image for image in given.images.values()}
    for image_id, image in model.images.items():
        own = observed[image.name]
        ids = np.array([new_id.get(number, -1) for number in own.point_ids.tolist()], dtype=np.int64)
        images[image_id] = replace(
            image,
            points_xy=np.concatenate([image.points_xy, own.points_xy]),
            point_ids=np.concatenate([image.point_ids, ids]),
        )
    both = (model.points, given.points)
    points = ColmapPoints(
        ids=np.concatenate([model.points.ids, np.array(list(new_id.values()), dtype=np.int64)]),
        xyz_in_world=np.concatenate([points.xyz_in_world for points in both]),
        rgb=np.concatenate([points.rgb for points in both]),
        error_px=np.concatenate([points.error_px for points in both]),
        track_start=np.zeros(sum(map(len, both)) + 1, dtype=np.int64),
        track=np.empty((0, 2), dtype=np.int64),
    )
    return replace(model, images=images, points=with_tracks(points, images))


def _refuse_misfit(fit: PoseFit) -> None:
    if problem := fit.problem():
        raise InputError(problem)


def _write_working_images(given: _Given, folder: Path, config: ImportConfig, on_progress: OnProgress) -> dict[str, str]:
    names = sorted(given.sources)
    file_of = {name: f"{number:06d}.png" for number, name in enumerate(names)}

    def shrink(name: str) -> None:
        source = given.sources[name]
        photo = read_photo(source.path, upright=source.upright)
        mask = read_mask(source.path, source.mask, upright=source.upright)
        write_working_image(folder / file_of[name], photo, mask, config.max_image_size)

    in_threads(shrink, names, "photos", on_progress)
    return file_of


def _groups(given: _Given, file_of: Mapping[str, str], max_edge_px: int) -> list[CameraGroup]:
    groups = []
    for camera_id, camera in sorted(given.model.cameras.items()):
        lens = lens_from_colmap(camera)
        scale = fitting_scale(lens.width, lens.height, max_edge_px)
        working = colmap_from_lens(lens.scaled(scale, *fitting_size(lens.width, lens.height, max_edge_px)))
        names = [file_of[image.name] for image in given.model.images.values() if image.camera_id == camera_id]
        if not names:
            continue
        groups.append(
            CameraGroup(
                names=names,
                model=working.model,
                width=working.width,
                height=working.height,
                params=working.params.tolist(),
                prior=True,
            )
        )
    return groups


def _with_given_poses(given: _Given, found: ColmapModel, file_of: Mapping[str, str], max_edge_px: int) -> ColmapModel:
    """Points and observations as found, in the pixels of the given cameras, with the given poses."""
    name_of = {file: name for name, file in file_of.items()}
    image_of = {image.name: image for image in given.model.images.values()}
    images = {}
    for image_id, image in found.images.items():
        exact = image_of[name_of[image.name]]
        camera = given.model.cameras[exact.camera_id]
        scale = fitting_scale(camera.width, camera.height, max_edge_px)
        images[image_id] = replace(exact, points_xy=image.points_xy / scale, point_ids=image.point_ids)
    return ColmapModel(cameras=given.model.cameras, images=images, points=found.points)
