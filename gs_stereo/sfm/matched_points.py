"""Points for given cameras: triangulated from SIFT matches of the photos."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gs_stereo.errors import InputError
from gs_stereo.geometry.local_frame import local_origin
from gs_stereo.geometry.projection import transform
from gs_stereo.imaging.images import fitting_scale, fitting_size, read_photo
from gs_stereo.imaging.masks import read_mask
from gs_stereo.io.colmap import read_model
from gs_stereo.io.colmap_model import ColmapModel, ColmapPoints, with_tracks
from gs_stereo.io.reconstruction import PoseRefinement
from gs_stereo.sfm.config import ImportConfig
from gs_stereo.sfm.conventions import PoseFit, SeenPoints
from gs_stereo.sfm.given import LEAST_WITNESSES, Given, only, poses_of
from gs_stereo.sfm.job import CameraGroup, Job, OnProgress, run_job
from gs_stereo.sfm.lens import colmap_from_lens, lens_from_colmap, undistort
from gs_stereo.sfm.pairs import pairs_by_pose, pairs_to_compare
from gs_stereo.sfm.photos import in_threads, write_working_image
from gs_stereo.sfm.scale import Similarity, apply_similarity, camera_centres

_JUDGED_OF_PHOTO = 300


def seen_points(model: ColmapModel) -> Iterator[SeenPoints]:
    """Some hundred observations of each photo, evenly spread, of points that another photo observes too."""
    row_of = {int(point_id): row for row, point_id in enumerate(model.points.ids)}
    measured = model.points.ids[np.diff(model.points.track_start) >= LEAST_WITNESSES]
    for image in model.images.values():
        seen = np.flatnonzero(np.isin(image.point_ids, measured))
        seen = seen[:: 1 + len(seen) // _JUDGED_OF_PHOTO]
        rows = [row_of[int(point_id)] for point_id in image.point_ids[seen]]
        rays = undistort(lens_from_colmap(model.cameras[image.camera_id]), image.points_xy[seen])
        sound = np.isfinite(rays).all(axis=1)
        yield SeenPoints(name=image.name, rays=rays[sound], xyz_in_world=model.points.xyz_in_world[rows][sound])


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedModel:
    """A given model with points from matches, how its poses fit them, and what refining changed, if it was tried."""

    model: ColmapModel
    fit: PoseFit
    refinement: PoseRefinement | None


def matched_points(
    given: Given, scratch: Path, config: ImportConfig, seed: int, on_progress: OnProgress
) -> MatchedModel:
    """The given model with points from matches, if no two photos share one. Its poses and focal lengths are touched
    only by an accepted refinement.

    InputError if the poses do not explain the matches between the photos.
    """
    has_points = bool((np.diff(given.model.points.track_start) >= LEAST_WITNESSES).any())
    # Triangulation squares the translations, so it is done near the origin too.
    origin = np.array(local_origin(np.array(list(camera_centres(given.model).values()))))
    near = Similarity(scale=1.0, rotation=np.eye(3), translation=-origin)
    poses = poses_of(apply_similarity(given.model, near))
    pairs = pairs_to_compare(list(poses)) if has_points else pairs_by_pose(poses)
    matched = only(given, {name for pair in pairs for name in pair}) if has_points else given
    file_of = _write_working_images(matched, scratch / "working", config, on_progress)
    job = Job(
        task="compare" if has_points else "triangulate",
        folder=str(scratch / "working"),
        output=str(scratch / "model"),
        groups=_groups(matched, file_of, config.max_image_size),
        pairs=[(file_of[a], file_of[b]) for a, b in pairs],
        poses={file: poses[name][:3].tolist() for name, file in file_of.items()},
        read_as=given.read_as,
        refine="nothing" if config.refine == "off" else "poses and focal" if config.refine_focal else "poses",
        seed=seed % ((1 << 31) - 1),
        threads=config.threads,
    )
    result = run_job(job, on_progress)
    fit, refinement = result.pose_fit, result.refinement
    assert fit is not None
    if problem := fit.problem():
        raise InputError(problem)
    if has_points:
        return MatchedModel(model=given.model, fit=fit, refinement=None)
    found = apply_similarity(read_model(Path(job.output)), replace(near, translation=origin))
    if not len(found.points):
        raise InputError(
            "The given poses agree with no feature matches; check that poses, intrinsics and images match."
        )
    name_of = {file: name for name, file in file_of.items()}
    images = {key: replace(image, name=name_of[image.name]) for key, image in found.images.items()}
    found, model = replace(found, images=images), given.model
    if refinement is not None:
        refinement = replace(refinement, farthest=name_of[refinement.farthest])
        if refinement.accepted:
            model = _refined(model, found, config.max_image_size)
    posed = _with_given_poses(model, found, config.max_image_size)
    return MatchedModel(model=_with_points(posed, model), fit=fit, refinement=refinement)


def _refined(given: ColmapModel, found: ColmapModel, max_edge_px: int) -> ColmapModel:
    """Poses and focal lengths as found. A point that one photo predicts stays where that photo sees it."""
    refined = {image.name: image for image in found.images.values()}
    xyz, row_of = given.points.xyz_in_world.copy(), {int(key): row for row, key in enumerate(given.points.ids)}
    images, cameras = {}, dict(given.cameras)
    for image_id, image in given.images.items():
        new = refined[image.name]
        images[image_id] = replace(image, qvec_wxyz=new.qvec_wxyz, tvec=new.tvec)
        rows = [row_of[int(key)] for key in image.point_ids if key >= 0]
        xyz[rows] = transform(np.linalg.inv(new.cam_from_world) @ image.cam_from_world, xyz[rows])
        lens, working = lens_from_colmap(given.cameras[image.camera_id]), lens_from_colmap(found.cameras[new.camera_id])
        scale, intrinsics = fitting_scale(lens.width, lens.height, max_edge_px), lens.intrinsics.copy()
        intrinsics[[0, 1], [0, 1]] = working.intrinsics[[0, 1], [0, 1]] / scale
        cameras[image.camera_id] = colmap_from_lens(replace(lens, intrinsics=intrinsics))
    return replace(given, cameras=cameras, images=images, points=replace(given.points, xyz_in_world=xyz))


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


def _write_working_images(given: Given, folder: Path, config: ImportConfig, on_progress: OnProgress) -> dict[str, str]:
    names = sorted(given.sources)
    file_of = {name: f"{number:06d}.png" for number, name in enumerate(names)}

    def shrink(name: str) -> None:
        source = given.sources[name]
        photo = read_photo(source.path, upright=source.upright)
        mask = read_mask(source.path, source.mask, upright=source.upright)
        write_working_image(folder / file_of[name], photo, mask, config.max_image_size)

    in_threads(shrink, names, "photos", on_progress)
    return file_of


def _groups(given: Given, file_of: Mapping[str, str], max_edge_px: int) -> list[CameraGroup]:
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


def _with_given_poses(given: ColmapModel, found: ColmapModel, max_edge_px: int) -> ColmapModel:
    """Points and observations as found, in the pixels of the given cameras, with the given poses."""
    image_of = {image.name: image for image in given.images.values()}
    images = {}
    for image_id, image in found.images.items():
        exact = image_of[image.name]
        camera = given.cameras[exact.camera_id]
        scale = fitting_scale(camera.width, camera.height, max_edge_px)
        images[image_id] = replace(exact, points_xy=image.points_xy / scale, point_ids=image.point_ids)
    return ColmapModel(cameras=given.cameras, images=images, points=found.points)
