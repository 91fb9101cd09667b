"""The process that runs pycolmap (see `sfm.job`), because that may abort on bad input or run out of memory.

The result depends on the job alone. Image ids come from the sorted order in which images are imported, not from the
order in which threads finish. COLMAP matches on one thread, because with more its matches differ from run to run; so
we split the pairs among several such matchers, each with a database of its own. Bundle adjustment runs on one thread,
because Ceres adds up in thread order.
"""

import itertools
import queue
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pycolmap

from gs_stereo.core.channel import Channel
from gs_stereo.core.cores import cores
from gs_stereo.core.records import json_text, record_from_json
from gs_stereo.io.reconstruction import PoseRefinement
from gs_stereo.sfm.job import MASKS, Job, JobResult
from gs_stereo.sfm.posed_worker import MIN_INLIERS, incremental_options, model_folder, pose_fit_of, refined, triangulate
from gs_stereo.sfm.retrieval import similar_pairs

Emit = Callable[[str, int, int], None]
T = TypeVar("T")
_PAIRS_PER_CALL = 64
_IMAGES_PER_THREAD = 4
_SMALLEST_MODEL = 3

# Shared cameras are doubted from this error on, or below this share of placed photos; trying others costs the mapping
# once more, no matching. A camera for each photo left 97 to 108 % of the error in four captures of one camera, and 27 %
# where every other photo was zoomed by 1.5 (0.86 to 0.24 px).
_POOR_ERROR_PX, _MOST_SHARE = 0.35, 0.9
_MUCH_SMALLER, _MANY_MORE = 0.7, 1.2
_SANE_FOCALS = 0.3, 10.0


def main() -> None:
    """Run the one job that the parent sends."""
    channel = Channel()
    pycolmap.logging.minloglevel = pycolmap.logging.WARNING.value
    _, job = channel.receive()

    def emit(step: str, done: int, total: int) -> None:
        channel.send({"kind": "progress", "step": step, "done": done, "total": total})

    result = run(record_from_json(Job, job), emit)
    channel.send({"kind": "result"}, json_text(result).encode("utf-8"))
    channel.receive()  # the process ends when the parent has read it


def run(job: Job, emit: Emit) -> JobResult:
    """Extract, match, and map or triangulate."""
    pycolmap.set_random_seed(job.seed)
    output = Path(job.output)
    output.mkdir(parents=True, exist_ok=True)
    database = output / "database.db"
    pycolmap.Database.open(database).close()
    _import(job, database)
    _extract(job, database, emit)
    _match(job, database, emit)
    pose_fit = pose_fit_of(job, database) if job.poses else None
    refinement: PoseRefinement | None = None
    models: list[Any] = []
    if job.task == "compare" or (pose_fit and pose_fit.problem()):
        pass  # no points are of use with such poses
    elif job.task == "triangulate":
        emit("triangulated", 0, 1)
        if job.refine != "nothing":
            job, refinement = refined(job, database)
        models = [triangulate(job, database)]
        emit("triangulated", 1, 1)
    else:
        models = _map(job, database, emit)
    own_cameras, shared_error_px = False, None
    if job.try_own_cameras and _fits_poorly(models, len(job.names)):
        own = replace(job, groups=[replace(each, names=[name]) for each in job.groups for name in sorted(each.names)])
        freed = _map(own, _copied_matches(own, database), emit)
        if freed and _fit_better(freed[0], models[0] if models else None):
            own_cameras, shared_error_px = True, models[0].compute_mean_reprojection_error() if models else None
            models = freed
    if models:
        models[0].write_binary(output)
    found = _result(database, [model.num_reg_images() for model in models])
    return replace(
        found, pose_fit=pose_fit, refinement=refinement, own_cameras=own_cameras, shared_error_px=shared_error_px
    )


def _import(job: Job, database: Path) -> None:
    """Write cameras and images, one group after the other, before any feature."""
    for group in job.groups:
        options = pycolmap.ImageReaderOptions()
        options.camera_model = group.model
        options.camera_params = ",".join(repr(value) for value in group.params)
        names = sorted(group.names)
        pycolmap.import_images(database, job.folder, pycolmap.CameraMode.SINGLE, names, options)
        with pycolmap.Database.open(database) as store:
            camera = store.read_camera(store.read_image_with_name(names[0]).camera_id)
            camera.has_prior_focal_length = group.prior
            store.update_camera(camera)


def _in_chunks(step: str, items: Sequence[T], size: int, emit: Emit) -> Iterator[Sequence[T]]:
    """The items, `size` at a time, with a word of progress after each."""
    emit(step, 0, len(items))
    for start in range(0, len(items), size):
        yield items[start : start + size]
        emit(step, min(start + size, len(items)), len(items))


def _extract(job: Job, database: Path, emit: Emit) -> None:
    options = pycolmap.FeatureExtractionOptions()
    options.num_threads = job.threads or cores()
    masks = Path(job.folder) / MASKS
    for names in _in_chunks("features", job.names, _IMAGES_PER_THREAD * options.num_threads, emit):
        masked = [name for name in names if (masks / f"{name}.png").is_file()]  # COLMAP skips images that lack one
        for part, folder in ((masked, str(masks)), ([name for name in names if name not in masked], "")):
            if part:
                reader = pycolmap.ImageReaderOptions()
                reader.mask_path = folder
                extraction = {"reader_options": reader, "extraction_options": options, "device": pycolmap.Device.cpu}
                pycolmap.extract_features(database, job.folder, part, **extraction)


def _match(job: Job, database: Path, emit: Emit) -> None:
    wanted = {(min(pair), max(pair)) for pair in job.pairs}
    if job.retrieve:
        wanted |= _similar(job, database, emit)
    pairs = sorted(wanted)
    threads = max(1, min(job.threads or cores(), len(pairs)))
    size = min(_PAIRS_PER_CALL, len(pairs) // threads + 1)
    chunks = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    copies = [shutil.copyfile(database, database.with_name(f"matches{index}.db")) for index in range(threads)]
    idle: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for copy in copies:
        idle.put(copy)

    def match(chunk: Sequence[tuple[str, str]]) -> int:
        copy = idle.get()
        try:
            _match_pairs(chunk, copy, job.seed)
        finally:
            idle.put(copy)
        return len(chunk)

    emit("pairs", 0, len(pairs))
    with ThreadPoolExecutor(threads) as pool:  # pycolmap releases the interpreter lock
        for done in itertools.accumulate(pool.map(match, chunks)):
            emit("pairs", done, len(pairs))
    for copy in copies:
        with pycolmap.Database.open(copy) as found, pycolmap.Database.open(database) as store:
            _copy_matches(found, store, lambda image_id: image_id)
        copy.unlink()


def _match_pairs(pairs: Sequence[tuple[str, str]], database: Path, seed: int) -> None:
    """On one thread. The matches of a pair do not depend on the others."""
    matching, verification = pycolmap.FeatureMatchingOptions(), pycolmap.TwoViewGeometryOptions()
    matching.num_threads = 1
    verification.ransac.random_seed = seed
    pairing = pycolmap.ImportedPairingOptions()
    pairing.match_list_path = database.with_suffix(".txt")
    pairing.match_list_path.write_text("".join(f"{a} {b}\n" for a, b in pairs), encoding="ascii")
    pycolmap.match_image_pairs(database, matching, pairing, verification, pycolmap.Device.cpu)


def _copy_matches(old: Any, new: Any, new_id: Callable[[int], int]) -> None:
    """From one open database to another one of the same images, which may have other ids."""
    for pair_id, geometry in zip(*old.read_two_view_geometries(), strict=True):
        a, b = map(new_id, pycolmap.pair_id_to_image_pair(pair_id))
        new.write_two_view_geometry(a, b, geometry)
    for pair_id, matches in zip(*old.read_all_matches(), strict=True):
        a, b = map(new_id, pycolmap.pair_id_to_image_pair(pair_id))
        new.write_matches(a, b, matches)


def _similar(job: Job, database: Path, emit: Emit) -> set[tuple[str, str]]:
    features = []
    with pycolmap.Database.open(database) as store:
        images = sorted(store.read_all_images(), key=lambda image: image.name)
        for image in images:
            keypoints = np.asarray(store.read_keypoints(image.image_id))
            descriptors = np.asarray(store.read_descriptors(image.image_id).data)
            features.append((keypoints, descriptors))
    index_pairs = similar_pairs(features, job.retrieve, lambda done: emit("similar", done, len(features)))
    return {(images[i].name, images[j].name) for i, j in index_pairs}


def _map(job: Job, database: Path, emit: Emit) -> list[Any]:
    """The models that were found, the largest first."""
    models = _map_globally(job, database, emit) if job.mapper == "global" else _map_incrementally(job, database, emit)
    return sorted(models, key=lambda model: (-model.num_reg_images(), -model.num_points3D()))


def _fits_poorly(models: Sequence[Any], photos: int) -> bool:
    """Whether shared cameras may be to blame: a large error, or many photos that could not be placed."""
    if not models or models[0].num_reg_images() < _MOST_SHARE * photos:
        return True
    return bool(models[0].compute_mean_reprojection_error() > _POOR_ERROR_PX)


def _fit_better(own: Any, shared: Any | None) -> bool:
    """A camera for each photo has more freedom, so it must be much better: that much only another zoom explains."""
    focal_over_edge = [camera.mean_focal_length() / max(camera.width, camera.height) for camera in own.cameras.values()]
    if not all(_SANE_FOCALS[0] < focal < _SANE_FOCALS[1] for focal in focal_over_edge):
        return False
    if shared is None:
        return True
    ratio = own.compute_mean_reprojection_error() / shared.compute_mean_reprojection_error()
    more = own.num_reg_images() / shared.num_reg_images()
    return bool(more >= 1 and (ratio < _MUCH_SMALLER or (more > _MANY_MORE and ratio < 1)))


def _copied_matches(job: Job, database: Path) -> Path:
    """A database with the cameras of `job`, and the keypoints and matches of another one of the same images."""
    copy = database.with_name("own.db")
    pycolmap.Database.open(copy).close()
    _import(job, copy)
    with pycolmap.Database.open(database) as old, pycolmap.Database.open(copy) as new:
        ids = {image.image_id: new.read_image_with_name(image.name).image_id for image in old.read_all_images()}
        for old_id, new_id in ids.items():
            new.write_keypoints(new_id, old.read_keypoints(old_id))
        _copy_matches(old, new, ids.__getitem__)
    return copy


def _map_incrementally(job: Job, database: Path, emit: Emit) -> list[Any]:
    options = incremental_options(job)
    options.min_model_size = _SMALLEST_MODEL
    total, registered = len(job.names), 0

    def start() -> None:
        nonlocal registered
        registered = 2
        emit("registered", registered, total)

    def advance() -> None:
        nonlocal registered
        registered += 1
        emit("registered", min(registered, total), total)

    models = pycolmap.incremental_mapping(
        database,
        job.folder,
        model_folder(job),
        options,
        initial_image_pair_callback=start,
        next_image_callback=advance,
    )
    return list(models.values())


def _map_globally(job: Job, database: Path, emit: Emit) -> list[Any]:
    options = pycolmap.GlobalPipelineOptions()
    mapper = options.mapper
    for part in (options, mapper, mapper.rotation_averaging, mapper.global_positioning, mapper.retriangulation):
        part.random_seed = job.seed
    options.num_threads = mapper.num_threads = 1
    mapper.global_positioning.use_gpu = mapper.bundle_adjustment.ceres.use_gpu = False
    emit("registered", 0, len(job.names))
    models = list(pycolmap.global_mapping(database, job.folder, model_folder(job), options).values())
    emit("registered", max((model.num_reg_images() for model in models), default=0), len(job.names))
    return models


def _result(database: Path, sizes: list[int]) -> JobResult:
    with pycolmap.Database.open(database) as store:
        images = {image.image_id: image.name for image in store.read_all_images()}
        features = {name: store.num_keypoints_for_image(image_id) for image_id, name in images.items()}
        pair_ids, counts = store.read_two_view_geometry_num_inliers()
    partners = dict.fromkeys(features, 0)
    for pair_id, count in zip(pair_ids, counts, strict=True):
        if count >= MIN_INLIERS:
            for image_id in pycolmap.pair_id_to_image_pair(pair_id):
                partners[images[image_id]] += 1
    return JobResult(models=sizes, features=features, partners=partners)


if __name__ == "__main__":
    main()
