"""Photos or a video to cameras, points and undistorted images."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import fitting_scale, unused_files
from gs_stereo.io.colmap import read_model
from gs_stereo.io.colmap_model import ColmapModel
from gs_stereo.io.reconstruction import NO_MATCH, ReconstructionSummary
from gs_stereo.sfm.config import ReconstructConfig
from gs_stereo.sfm.job import Job, JobResult, OnProgress, ignore_progress, run_job
from gs_stereo.sfm.pairs import choose_pairs
from gs_stereo.sfm.photos import Photo, PhotoSet, camera_groups, find_photos, prepare_photos
from gs_stereo.sfm.publish import ReconstructionResult, publish, scratch_folder
from gs_stereo.sfm.scale import apply_similarity, choose_scaling, read_camera_positions
from gs_stereo.sfm.undistort import PhotoSource

_FEW_FEATURES = 100
_MAX_COLMAP_SEED = (1 << 31) - 1


def reconstruct(
    source: Path,
    work_dir: Path,
    config: ReconstructConfig,
    *,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> ReconstructionResult:
    """Reconstruct a folder of photos or a video file into `work_dir` (layout: io/reconstruction.py).

    Photos that cannot be read or placed are listed in the summary with the reason. Raises InputError if fewer than
    two photos are usable or none can be placed, StageError if the worker process fails. `source` is only read.
    """
    with scratch_folder(work_dir) as scratch:
        photos = find_photos(source, scratch / "frames", config, on_progress)
        return _reconstruct_photos(photos, work_dir, config, seed, scratch, on_progress)


def _reconstruct_photos(
    photos: PhotoSet, work_dir: Path, config: ReconstructConfig, seed: int, scratch: Path, on_progress: OnProgress
) -> ReconstructionResult:
    _check_scale_source(photos, config)
    usable, failed = prepare_photos(photos, scratch / "working", config, on_progress)
    job = _job(usable, config, seed, scratch, is_video=photos.is_video)
    result = run_job(job, on_progress)
    if not result.models:
        raise InputError(_nothing_registered(result))
    model = _with_photo_names(read_model(Path(job.output)), usable)
    registered = {image.name for image in model.images.values()}
    failed |= {photo.name: _why_not(photo, result) for photo in usable if photo.name not in registered}
    gps = {photo.name: photo.gps for photo in usable if photo.gps is not None}
    scaling = choose_scaling(model, config, gps, seed)
    unused = None if photos.is_video else unused_files(photos.root)
    summary = ReconstructionSummary(
        source="video" if photos.is_video else "photos",
        metres_per_unit=scaling.metres_per_unit,
        scale_source=scaling.source,
        notes=(
            *_camera_notes(result),
            *_model_notes(result.models),
            *scaling.notes,
            *photos.masks.notes,
            *filter(None, [unused]),
        ),
        failed=failed,
        models=tuple(result.models),
    )
    final = apply_similarity(model, scaling.similarity)
    return publish(final, _sources(usable, config), work_dir, summary, config.max_image_size, on_progress)


def _check_scale_source(photos: PhotoSet, config: ReconstructConfig) -> None:
    """Find mistakes in the source of scale before the long work, not after it."""
    names = {photos.name(path) for path in photos.paths}
    if config.camera_positions is not None:
        known = names & read_camera_positions(Path(config.camera_positions)).keys()
        if len(known) < 2:
            raise InputError(f"Fewer than two names in {config.camera_positions} are photos; use their file names.")
    if config.known_distance is not None:
        for name in config.known_distance[:2]:
            if name not in names:
                raise InputError(f"The photo {name!r} of the known distance is not in {photos.root}; check its name.")


def _job(photos: Sequence[Photo], config: ReconstructConfig, seed: int, scratch: Path, *, is_video: bool) -> Job:
    file_of = {photo.name: photo.file for photo in photos}
    groups = camera_groups(photos, config)
    pairs, retrieve = choose_pairs(list(file_of), config, is_video=is_video)
    return Job(
        task="map",
        folder=str(scratch / "working"),
        output=str(scratch / "model"),
        groups=groups,
        pairs=[(file_of[a], file_of[b]) for a, b in pairs],
        retrieve=retrieve,
        mapper=config.mapper,
        try_own_cameras=config.single_camera == "auto" and len(groups) < len(photos),
        seed=seed % _MAX_COLMAP_SEED,
        threads=config.threads,
    )


def _with_photo_names(model: ColmapModel, photos: Sequence[Photo]) -> ColmapModel:
    name_of = {photo.file: photo.name for photo in photos}
    images = {image_id: replace(image, name=name_of[image.name]) for image_id, image in model.images.items()}
    return replace(model, images=images)


def _sources(photos: Sequence[Photo], config: ReconstructConfig) -> Mapping[str, PhotoSource]:
    return {
        photo.name: PhotoSource(
            path=photo.path,
            width=photo.width,
            height=photo.height,
            scale=fitting_scale(photo.width, photo.height, config.max_image_size),
            mask=photo.mask,
        )
        for photo in photos
    }


def _why_not(photo: Photo, result: JobResult) -> str:
    features, partners = result.features.get(photo.file, 0), result.partners.get(photo.file, 0)
    if features < _FEW_FEATURES:
        return f"Only {features} features were found in it: it is dark, blurred or without texture."
    if not partners:
        return f"{NO_MATCH}."
    return f"It matches {partners} other photos, but could not be placed with the rest."


def _nothing_registered(result: JobResult) -> str:
    count = len(result.partners)
    matched = sum(partners > 0 for partners in result.partners.values())
    weak = sum(features < _FEW_FEATURES for features in result.features.values())
    if matched == count:
        return (
            f"None of the {count} photos could be placed, although all match another one; "
            "take them from places that are further apart, and add some."
        )
    blurred = f", and {weak} have fewer than {_FEW_FEATURES} features" if weak else ""
    return (
        f"None of the {count} photos could be placed, because only {matched} match another one{blurred}; "
        "take photos of one static scene that overlap by two thirds, from places that are apart."
    )


def _camera_notes(result: JobResult) -> tuple[str, ...]:
    if not result.own_cameras:
        return ()
    before = "did not work" if result.shared_error_px is None else f"left an error of {result.shared_error_px:.2f} px"
    return (
        f"Shared cameras {before}, so each photo got one of its own, which fits better: the zoom seems to have changed "
        "(single_camera=always or never decides it).",
    )


def _model_notes(models: Sequence[int]) -> tuple[str, ...]:
    if len(models) < 2:
        return ()
    others = ", ".join(str(count) for count in models[1:])
    return (
        f"The photos fell into {len(models)} models; the largest, of {models[0]} photos, was kept (others: {others}).",
    )
