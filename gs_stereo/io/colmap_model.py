"""What a COLMAP model holds: cameras, images and points with their tracks, and what makes a model sound.

Poses are `cam_from_world` as a wxyz quaternion and a translation; pixels have their centre at + 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float, Int, UInt8

from gs_stereo.errors import InputError
from gs_stereo.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix

CAMERA_MODELS: Mapping[str, tuple[int, int]] = {
    "SIMPLE_PINHOLE": (0, 3),
    "PINHOLE": (1, 4),
    "SIMPLE_RADIAL": (2, 4),
    "RADIAL": (3, 5),
    "OPENCV": (4, 8),
    "OPENCV_FISHEYE": (5, 8),
    "FULL_OPENCV": (6, 12),
    "FOV": (7, 5),
    "SIMPLE_RADIAL_FISHEYE": (8, 4),
    "RADIAL_FISHEYE": (9, 5),
    "THIN_PRISM_FISHEYE": (10, 12),
    "RAD_TAN_THIN_PRISM_FISHEYE": (11, 16),
    "SIMPLE_DIVISION": (12, 4),
    "DIVISION": (13, 5),
    "SIMPLE_FISHEYE": (14, 3),
    "FISHEYE": (15, 4),
    "EUCM": (16, 6),
    "EQUIRECTANGULAR": (17, 2),
}
"""Name -> (model id in binary files, number of parameters), from COLMAP's table of camera models."""

MAX_IMAGE_EDGE_PX = 1 << 17
_NO_POINT = -1


@dataclass(frozen=True, kw_only=True, eq=False)
class ColmapCamera:
    """Intrinsics as COLMAP stores them: a model name and its parameters, in COLMAP's order."""

    model: str
    width: int
    height: int
    params: Float[np.ndarray, "k"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ColmapImage:
    """A registered image: pose, observed pixels, and the id of the point each one sees (-1 = none)."""

    name: str
    camera_id: int
    qvec_wxyz: Float[np.ndarray, "4"]
    tvec: Float[np.ndarray, "3"]
    points_xy: Float[np.ndarray, "n 2"]
    point_ids: Int[np.ndarray, "n"]

    @property
    def cam_from_world(self) -> Float[np.ndarray, "4 4"]:
        pose = np.eye(4)
        pose[:3, :3] = matrix_from_quaternion(self.qvec_wxyz)
        pose[:3, 3] = self.tvec
        return pose


@dataclass(frozen=True, kw_only=True, eq=False)
class ColmapPoints:
    """Points as arrays. The track of point i is rows track_start[i] : track_start[i + 1] of `track`.

    track: image id and index of the observation in that image. error_px is negative where it is unknown.
    """

    ids: Int[np.ndarray, "n"]
    xyz_in_world: Float[np.ndarray, "n 3"]
    rgb: UInt8[np.ndarray, "n 3"]
    error_px: Float[np.ndarray, "n"]
    track_start: Int[np.ndarray, "n+1"]
    track: Int[np.ndarray, "m 2"]

    @classmethod
    def none(cls) -> ColmapPoints:
        """No points."""
        return cls(
            ids=np.empty(0, dtype=np.int64),
            xyz_in_world=np.empty((0, 3)),
            rgb=np.empty((0, 3), dtype=np.uint8),
            error_px=np.empty(0),
            track_start=np.zeros(1, dtype=np.int64),
            track=np.empty((0, 2), dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, kw_only=True, eq=False)
class ColmapModel:
    """Cameras and images by id, and the points. dropped_observations: of points or images that are not there."""

    cameras: Mapping[int, ColmapCamera]
    images: Mapping[int, ColmapImage]
    points: ColmapPoints
    dropped_observations: int = 0


def without_dangling(model: ColmapModel) -> ColmapModel:
    """The model without observations that lead nowhere; scripts thin out images or points, and COLMAP leaves some.

    The numbers of what remains do not change; points keep their place even if nobody is left who sees them.
    """
    points = model.points
    sizes = {image_id: len(image.points_xy) for image_id, image in model.images.items()}
    observed = np.array([sizes.get(int(image_id), 0) for image_id in points.track[:, 0]], dtype=np.int64)
    sound = (points.track[:, 1] >= 0) & (points.track[:, 1] < observed)
    images, dropped = {}, int((~sound).sum())
    for image_id, image in model.images.items():
        gone = (image.point_ids != _NO_POINT) & ~np.isin(image.point_ids, points.ids)
        dropped += int(gone.sum())
        images[image_id] = replace(image, point_ids=np.where(gone, _NO_POINT, image.point_ids)) if gone.any() else image
    if not dropped:
        return model
    owner = np.repeat(np.arange(len(points)), np.diff(points.track_start))
    counts = np.bincount(owner[sound], minlength=len(points))
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    kept = replace(points, track_start=start, track=points.track[sound])
    return replace(model, images=images, points=kept, dropped_observations=dropped)


def with_tracks(points: ColmapPoints, images: Mapping[int, ColmapImage]) -> ColmapPoints:
    """The points, in the order of their ids, with the tracks that the observations of `images` tell."""
    order = np.argsort(points.ids, kind="stable")
    ids, tables = points.ids[order], [np.empty((0, 3), dtype=np.int64)]
    for image_id, image in sorted(images.items()):
        index = np.flatnonzero(image.point_ids >= 0)
        rows = np.searchsorted(ids, image.point_ids[index])
        tables.append(np.column_stack([rows, np.full_like(rows, image_id), index]))
    table = np.concatenate(tables)
    table = table[np.argsort(table[:, 0], kind="stable")]
    lengths = np.bincount(table[:, 0], minlength=len(ids))
    return ColmapPoints(
        ids=ids,
        xyz_in_world=points.xyz_in_world[order],
        rgb=points.rgb[order],
        error_px=points.error_px[order],
        track_start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        track=np.ascontiguousarray(table[:, 1:]),
    )


def check_model(model: ColmapModel, folder: Path) -> None:
    """InputError unless every number is finite and every reference leads somewhere."""
    for camera_id, camera in model.cameras.items():
        _require(_camera_is_sound(camera), folder, f"camera {camera_id} has an impossible size, focal or parameter")
    for image_id, image in model.images.items():
        _require(image.camera_id in model.cameras, folder, f"image {image.name!r} uses a camera that is not there")
        _require(
            _image_is_sound(image), folder, f"image {image_id} ({image.name!r}) has no usable name, pose or pixels"
        )
    names = [image.name for image in model.images.values()]
    _require(len(set(names)) == len(names), folder, "two images have the same name")
    _check_points(model, folder)


def _camera_is_sound(camera: ColmapCamera) -> bool:
    edges = (camera.width, camera.height)
    sized = all(0 < edge <= MAX_IMAGE_EDGE_PX for edge in edges)
    if not sized or not np.isfinite(camera.params).all() or len(camera.params) != CAMERA_MODELS[camera.model][1]:
        return False
    return camera.model == "EQUIRECTANGULAR" or bool(camera.params[0] > 0)


def _image_is_sound(image: ColmapImage) -> bool:
    finite = all(np.isfinite(part).all() for part in (image.qvec_wxyz, image.tvec, image.points_xy))
    printable = bool(image.name) and not any(mark in image.name for mark in "\0\n\r")
    return finite and printable and bool(1e-6 < np.abs(image.qvec_wxyz).max() < 1e6)


def _check_points(model: ColmapModel, folder: Path) -> None:
    points = model.points
    _require(bool(np.isfinite(points.xyz_in_world).all()), folder, "a point has a coordinate that is not finite")
    _require(bool(np.isfinite(points.error_px).all()), folder, "a point has an error that is not finite")
    _require(len(np.unique(points.ids)) == len(points.ids), folder, "two points have the same id")
    sizes = {image_id: len(image.points_xy) for image_id, image in model.images.items()}
    observed = np.array([sizes.get(int(image_id), 0) for image_id in points.track[:, 0]], dtype=np.int64)
    inside = (points.track[:, 1] >= 0) & (points.track[:, 1] < observed)
    _require(bool(inside.all()), folder, "a track names an image or observation that is not there")
    for image in model.images.values():
        seen = image.point_ids[image.point_ids != _NO_POINT]
        known = bool(np.isin(seen, points.ids).all())
        _require(known, folder, f"image {image.name!r} observes a point that is not there")


def _require(sound: bool, folder: Path, problem: str) -> None:
    if not sound:
        raise InputError(f"The COLMAP model in {folder} is broken: {problem}; export it again.")


def check_image_name(name: str) -> str:
    """`name` if it is a relative path with forward slashes that stays in its folder; else InputError."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in path.parts[0]:
        raise InputError(f"The image name {name!r} does not stay inside the image folder; rename the image.")
    return name


def pinhole_intrinsics(camera: ColmapCamera, *, without_distortion: bool = False) -> Float[np.ndarray, "3 3"]:
    """K of a PINHOLE or SIMPLE_PINHOLE camera; InputError for a model with distortion, which may be left out."""
    if camera.model == "PINHOLE" or (without_distortion and camera.model in ("OPENCV", "FULL_OPENCV")):
        fx, fy, cx, cy = camera.params[:4]
    elif camera.model == "SIMPLE_PINHOLE" or (without_distortion and camera.model in ("SIMPLE_RADIAL", "RADIAL")):
        fx, cx, cy = camera.params[:3]
        fy = fx
    else:
        raise InputError(f"A camera has the model {camera.model}, which has distortion; undistort the images first.")
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def pinhole_camera(intrinsics: Float[np.ndarray, "3 3"], width: int, height: int) -> ColmapCamera:
    """The PINHOLE camera with this K."""
    k = np.asarray(intrinsics, dtype=np.float64)
    params = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2]])
    return ColmapCamera(model="PINHOLE", width=width, height=height, params=params)


def posed_image(
    name: str,
    camera_id: int,
    cam_from_world: Float[np.ndarray, "4 4"],
    points_xy: Float[np.ndarray, "n 2"],
    point_ids: Int[np.ndarray, "n"],
) -> ColmapImage:
    """An image with the pose of a matrix."""
    return ColmapImage(
        name=name,
        camera_id=camera_id,
        qvec_wxyz=quaternion_from_matrix(cam_from_world[:3, :3]),
        tvec=np.array(cam_from_world[:3, 3], dtype=np.float64),
        points_xy=points_xy,
        point_ids=point_ids.astype(np.int64),
    )
