"""What `sfm.worker` does with given poses: it compares them with matches, refines them, and triangulates points."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from jaxtyping import Float, Int

from gs_stereo.io.reconstruction import PoseRefinement
from gs_stereo.sfm.conventions import MatchedPair, PoseFit, fit_of_matches
from gs_stereo.sfm.job import Job
from gs_stereo.sfm.refinement import FEWEST_HELD_OUT, Judgement, held_out_matches, judged, laid_over

MIN_INLIERS = 15
_GAUGE = 2  # cameras

_ROUNDS_PX = (16.0, 8.0, 4.0)
"""How far points may be from where they are seen. 0.5 degrees are 5 px in a photo of 640 px."""
_SURE_PX = 1.0
"""Of the Cauchy loss: SIFT finds features to about half a pixel."""


def incremental_options(job: Job) -> Any:
    """Of mapping and triangulation: one thread, and seeds."""
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = job.seed
    options.num_threads = options.mapper.num_threads = 1
    return options


def model_folder(job: Job) -> Path:
    """Where COLMAP writes what it finds."""
    folder = Path(job.output) / "models"
    folder.mkdir(exist_ok=True)
    return folder


def triangulate(job: Job, database: Path, options: Any = None) -> Any:
    """A model of the job's poses with points."""
    known = pycolmap.Reconstruction()
    with pycolmap.Database.open(database) as store:
        for camera in store.read_all_cameras():
            known.add_camera_with_trivial_rig(camera)
        for image in sorted(store.read_all_images(), key=lambda image: image.image_id):
            pose = pycolmap.Rigid3d(np.array(job.poses[image.name], dtype=np.float64))
            known.add_image_with_trivial_frame(
                pycolmap.Image(name=image.name, camera_id=image.camera_id, image_id=image.image_id), pose
            )
    options = options or incremental_options(job)
    return pycolmap.triangulate_points(known, database, job.folder, model_folder(job), True, options)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Matches:
    """Features of two images that the geometry of the pair verifies. ids: of the images."""

    ids: tuple[int, int]
    features: Int[np.ndarray, "n 2"]


def _matches(store: Any) -> list[_Matches]:
    return [
        _Matches(ids=pycolmap.pair_id_to_image_pair(pair_id), features=features)
        for pair_id, geometry in zip(*store.read_two_view_geometries(), strict=True)
        if len(features := np.asarray(geometry.inlier_matches, dtype=np.int64).reshape(-1, 2)) >= MIN_INLIERS
    ]


def _rays(store: Any, matches: list[_Matches], cameras: Mapping[int, Any] | None = None) -> list[MatchedPair]:
    """Where both cameras of each pair see the matches; cameras: in place of the stored ones."""
    images = {image.image_id: image for image in store.read_all_images()}

    @cache
    def rays(image_id: int) -> Any:
        keypoints = np.asarray(store.read_keypoints(image_id), dtype=np.float64)[:, :2]
        camera_id = images[image_id].camera_id
        return (cameras[camera_id] if cameras else store.read_camera(camera_id)).cam_from_img(keypoints)

    found = []
    for pair in matches:
        a, b = pair.ids
        seen = rays(a)[pair.features[:, 0]], rays(b)[pair.features[:, 1]]
        found.append(MatchedPair(names=(images[a].name, images[b].name), rays_a=seen[0], rays_b=seen[1]))
    return found


def pose_fit_of(job: Job, database: Path) -> PoseFit:
    """How far the given poses explain the verified matches."""
    with pycolmap.Database.open(database) as store:
        return fit_of_matches(_rays(store, _matches(store)), _square(job.poses), job.read_as)


def _square(poses: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Float[np.ndarray, "4 4"]]:
    return {name: np.vstack([rows, [0, 0, 0, 1]]) for name, rows in poses.items()}


def refined(job: Job, database: Path) -> tuple[Job, PoseRefinement | None]:
    """The job with refined poses, and the database with refined focal lengths, if held-out matches agree; else both as
    they were. None if there are too few matches to refine and to judge.
    """
    trial = Path(shutil.copyfile(database, database.with_name("trial.db")))
    with pycolmap.Database.open(trial) as store:
        matches = _matches(store)
        held = held_out_matches([pair.ids for pair in matches], [pair.features for pair in matches])
        for pair, out in zip(matches, held, strict=True):
            geometry = store.read_two_view_geometry(*pair.ids)
            geometry.inlier_matches = pair.features[~out].astype(np.uint32)
            store.update_two_view_geometry(*pair.ids, geometry)
        judges = [replace(pair, features=pair.features[out]) for pair, out in zip(matches, held, strict=True)]
    model = _adjusted(job, trial) if sum(len(pair.features) for pair in judges) >= FEWEST_HELD_OUT else None
    if model is None:
        return job, None
    given, moved = _square(job.poses), [image for image in model.images.values() if image.num_points3D >= MIN_INLIERS]
    poses = {image.name: np.vstack([image.cam_from_world().matrix(), [0, 0, 0, 1]]) for image in moved}
    poses = {**given, **laid_over(poses, given)}
    with pycolmap.Database.open(database) as store:
        old = {camera.camera_id: camera for camera in store.read_all_cameras()}
        ratios = [model.cameras[key].mean_focal_length() / camera.mean_focal_length() for key, camera in old.items()]
        found = judged(
            Judgement(poses=given, matches=_rays(store, judges)),
            Judgement(poses=poses, matches=_rays(store, judges, model.cameras)),
            focal_px=float(np.median([camera.mean_focal_length() for camera in old.values()])),
            depth=_median_depth(model),
            focal_ratio=float(np.median(ratios)),
        )
        if not found.accepted:
            return job, found
        for camera in model.cameras.values():
            store.update_camera(camera)
    return replace(job, poses={name: pose[:3].tolist() for name, pose in poses.items()}), found


def _adjusted(job: Job, database: Path) -> Any:
    """The model after triangulation and bundle adjustment in turn, from generous to strict; None if it has no points.

    The gauge is two cameras. Photos with few points stay where they are.
    """
    model = None
    for most_px in _ROUNDS_PX:
        options = incremental_options(job)
        options.mapper.filter_max_reproj_error = most_px
        options.triangulation.complete_max_reproj_error = options.triangulation.merge_max_reproj_error = most_px
        if model is not None:  # the cameras of the database stay as they were given
            with pycolmap.Database.open(database) as store:
                for camera in model.cameras.values():
                    store.update_camera(camera)
            poses = {image.name: image.cam_from_world().matrix().tolist() for image in model.images.values()}
            job = replace(job, poses=poses)
        model = triangulate(job, database, options)
        config = pycolmap.BundleAdjustmentConfig()
        for image_id, image in model.images.items():
            config.add_image(image_id)
            if image.num_points3D < MIN_INLIERS:
                config.set_constant_rig_from_world_pose(image.frame_id)
        if sum(image.num_points3D >= MIN_INLIERS for image in model.images.values()) <= _GAUGE:
            return None
        if job.refine == "poses":
            for camera_id in model.cameras:
                config.set_constant_cam_intrinsics(camera_id)
        config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
        options = pycolmap.BundleAdjustmentOptions()
        options.refine_extra_params = options.print_summary = False
        options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
        options.ceres.loss_function_scale = _SURE_PX
        options.ceres.solver_options.num_threads = 1
        pycolmap.create_default_bundle_adjuster(options, config, model).solve()
    return model


def _median_depth(model: Any) -> float:
    xyz = {key: point.xyz for key, point in model.points3D.items()}
    depths = [
        (image.cam_from_world() * xyz[seen.point3D_id])[2]
        for image in model.images.values()
        for seen in image.get_observation_points2D()
    ]
    return float(np.median(depths))
