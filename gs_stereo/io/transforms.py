"""`transforms.json` of nerfstudio and instant-ngp: intrinsics and camera-to-world poses of a list of images.

Poses in the file are in the OpenGL convention (+x right, +y up, camera looks along -z); here they become
`cam_from_world` with OpenCV's axes. The world is left as it is. Intrinsics are COLMAP's, so pixel centres are at + 0.5.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import PHOTO_SUFFIXES

_PINHOLE_MODELS = frozenset({"", "OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE"})
_DISTORTION = ("k1", "k2", "p1", "p2", "k3")
_MAX_SKEW_OF_ROTATION = 1e-3
_OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class TransformsFrame:
    """One entry of the file.

    name: path without the folder that all frames share. path: the image, None if there is none.
    size: width and height if the file tells, else None. focal: fx, fy in pixels, or as a field of view (radians).
    centre: principal point in pixels, None for the middle. distortion: k1 k2 p1 p2 k3, OpenCV's order.
    """

    name: str
    path: Path | None
    size: tuple[int, int] | None
    focal: tuple[float, float] | None
    field_of_view: tuple[float, float | None] | None
    centre: tuple[float, float] | None
    distortion: tuple[float, ...]
    cam_from_world: Float[np.ndarray, "4 4"]

    def intrinsics(self, width: int, height: int) -> Float[np.ndarray, "3 3"]:
        """K for the size that the file states, or for `width` x `height` (the image's) if it states none."""
        width, height = self.size or (width, height)
        fx, fy = self.focal or self._focal_of_field_of_view(width, height)
        cx, cy = self.centre or (width / 2, height / 2)
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])

    def _focal_of_field_of_view(self, width: int, height: int) -> tuple[float, float]:
        assert self.field_of_view is not None
        along_x, along_y = self.field_of_view
        fx = width / 2 / math.tan(along_x / 2)
        return fx, fx if along_y is None else height / 2 / math.tan(along_y / 2)


def read_transforms(path: Path) -> tuple[TransformsFrame, ...]:
    """Read the frames of a transforms.json in the order of the file; InputError names what is wrong and where."""
    document = _load(path)
    frames = document.get("frames")
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise InputError(f"The file {path} has no list of frames; give a transforms.json of nerfstudio or instant-ngp.")
    files = [_file_path(path, number, frame) for number, frame in enumerate(frames)]
    shared = _shared_folder(files)
    names = [str(file.relative_to(shared)) for file in files]
    if len(set(names)) < len(names):
        raise InputError(f"Two frames in {path} have the same file_path; remove one of them.")
    result = []
    for number, (frame, name) in enumerate(zip(frames, names, strict=True)):
        result.append(_frame(path, f"frame {number} ({name})", {**document, **frame}, name))
    return tuple(result)


def _load(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"it holds {constant}")

    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=refuse)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"The file {path} is no readable JSON ({error}); export it again.") from error
    if not isinstance(document, dict):
        raise InputError(f"The file {path} holds no JSON object; give a transforms.json of nerfstudio or instant-ngp.")
    return document


def _file_path(path: Path, number: int, frame: Mapping[str, Any]) -> PurePosixPath:
    """The path of a frame without leading ./, ../ and /, so that it can serve as a name."""
    text = frame.get("file_path")
    if not isinstance(text, str) or not text or any(ord(letter) < 32 for letter in text):
        raise InputError(f"Frame {number} in {path} has no usable file_path; export the file again.")
    parts = [part for part in PurePosixPath(text.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    if not parts:
        raise InputError(f"Frame {number} in {path} has the file_path {text!r}, which names no file; correct it.")
    return PurePosixPath(*parts)


def _shared_folder(files: list[PurePosixPath]) -> PurePosixPath:
    return PurePosixPath(os.path.commonpath([str(file.parent) for file in files]))


def _frame(path: Path, where: str, values: Mapping[str, Any], name: str) -> TransformsFrame:
    model = str(values.get("camera_model", "")).upper()
    if model not in _PINHOLE_MODELS or values.get("is_fisheye"):
        raise InputError(f"The {where} in {path} has a {model or 'fisheye'} camera; undistort the images first.")
    if _number(path, where, values, "k4"):
        raise InputError(
            f"The {where} in {path} has a lens with k4, which is not supported; undistort the images first."
        )
    found = _find_image(path.parent, str(values["file_path"]).replace("\\", "/"))
    return TransformsFrame(
        name=name if found is None or name.endswith(found.suffix) else name + found.suffix,
        path=found,
        size=_size(path, where, values),
        focal=_focal(path, where, values),
        field_of_view=_field_of_view(path, where, values),
        centre=_centre(path, where, values),
        distortion=tuple(_number(path, where, values, key) or 0.0 for key in _DISTORTION),
        cam_from_world=_pose(path, where, values.get("transform_matrix")),
    )


def _find_image(folder: Path, file_path: str) -> Path | None:
    """The image as named, or with a photo suffix added, as NeRF's synthetic scenes want it."""
    for suffix in ("", *sorted(PHOTO_SUFFIXES)):
        candidate = folder / f"{file_path}{suffix}"
        if candidate.is_file():
            return candidate
    return None


def _number(path: Path, where: str, values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
        raise InputError(f"The {where} in {path} has no usable number {key}; correct it.")
    return float(value)


def _size(path: Path, where: str, values: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = (_number(path, where, values, key) for key in ("w", "h"))
    if width is None or height is None:
        return None
    if min(width, height) < 1 or max(width, height) > 1 << 17:
        raise InputError(f"The {where} in {path} has the impossible size {width} x {height}; correct w and h.")
    return round(width), round(height)


def _focal(path: Path, where: str, values: Mapping[str, Any]) -> tuple[float, float] | None:
    fx, fy = (_number(path, where, values, key) for key in ("fl_x", "fl_y"))
    fx, fy = (fy if fx is None else fx), (fx if fy is None else fy)
    if fx is None or fy is None:
        if _number(path, where, values, "camera_angle_x") is None:
            raise InputError(f"The {where} in {path} has no focal length; add fl_x or camera_angle_x.")
        return None
    if min(fx, fy) <= 0:
        raise InputError(f"The {where} in {path} has a focal length that is not positive; correct fl_x and fl_y.")
    return fx, fy


def _field_of_view(path: Path, where: str, values: Mapping[str, Any]) -> tuple[float, float | None] | None:
    along_x, along_y = (_number(path, where, values, key) for key in ("camera_angle_x", "camera_angle_y"))
    if along_x is None:
        return None
    if not all(angle is None or 0 < angle < math.pi for angle in (along_x, along_y)):
        raise InputError(f"The {where} in {path} has an impossible camera_angle; give radians between 0 and pi.")
    return along_x, along_y


def _centre(path: Path, where: str, values: Mapping[str, Any]) -> tuple[float, float] | None:
    cx, cy = (_number(path, where, values, key) for key in ("cx", "cy"))
    return None if cx is None or cy is None else (cx, cy)


def _pose(path: Path, where: str, rows: Any) -> Float[np.ndarray, "4 4"]:
    """`cam_from_world` of a camera-to-world matrix; its rounded rotation becomes the nearest exact one."""
    try:
        matrix = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.empty(0)
    if matrix.shape not in ((3, 4), (4, 4)) or not np.isfinite(matrix).all():
        raise InputError(f"The {where} in {path} has no 4 x 4 transform_matrix of finite numbers; export it again.")
    world_from_gl = np.vstack([matrix[:3], [0.0, 0.0, 0.0, 1.0]])
    world_from_cam = world_from_gl @ _OPENGL_FROM_OPENCV
    u, singular, vt = np.linalg.svd(world_from_cam[:3, :3])
    rotation = u @ vt
    if np.abs(singular - 1).max() > _MAX_SKEW_OF_ROTATION or np.linalg.det(rotation) < 0:
        raise InputError(f"The {where} in {path} has a pose that is no rotation and translation; export it again.")
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = rotation.T
    cam_from_world[:3, 3] = -rotation.T @ world_from_cam[:3, 3]
    return cam_from_world
