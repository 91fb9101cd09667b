"""`transforms.json` of nerfstudio and instant-ngp: intrinsics and camera-to-world poses of a list of images.

Poses in the file are in the OpenGL convention (+x right, +y up, camera looks along -z); here they become
`cam_from_world` with OpenCV's axes. The world is left as it is. Intrinsics are COLMAP's, so pixel centres are at + 0.5.
"""

import json
import math
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from pydantic import Field

from gs_stereo.core.records import OpenRecord, read_object, record_from_json
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import PHOTO_SUFFIXES
from gs_stereo.io.views import Row4

_PINHOLE_MODELS = frozenset({"", "OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE"})
_FISHEYE_MODELS = frozenset({"OPENCV_FISHEYE", "FISHEYE"})
_DISTORTION, _FISHEYE_DISTORTION = ("k1", "k2", "p1", "p2", "k3"), ("k1", "k2", "k3", "k4")
_MAX_SKEW_OF_ROTATION = 1e-3
_LEAST_SCALE = 1e-6
_WANTED = "give a transforms.json of nerfstudio or instant-ngp"
_OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


Number = Annotated[float, Field(gt=-1e9, lt=1e9)]
Length = Annotated[float, Field(gt=0, lt=1e9)]
Side = Annotated[float, Field(ge=1, le=1 << 17)]
Angle = Annotated[float, Field(gt=0, lt=math.pi)]


@dataclass(frozen=True, kw_only=True)
class Entry(OpenRecord):
    """A frame as it is written, with what the file says for all frames. Lengths are pixels, angles radians."""

    file_path: str
    mask_path: str | None = None
    transform_matrix: Annotated[tuple[Row4, ...], Field(min_length=3, max_length=4)]
    camera_model: str | None = None
    is_fisheye: bool | int | None = None
    w: Side | None = None
    h: Side | None = None
    fl_x: Length | None = None
    fl_y: Length | None = None
    camera_angle_x: Angle | None = None
    camera_angle_y: Angle | None = None
    cx: Number | None = None
    cy: Number | None = None
    k1: Number | None = None
    k2: Number | None = None
    p1: Number | None = None
    p2: Number | None = None
    k3: Number | None = None
    k4: Number | None = None

    def __post_init__(self) -> None:
        model = (self.camera_model or "").upper()
        if model not in _PINHOLE_MODELS | _FISHEYE_MODELS:
            raise ValueError(f"its camera is {model}, which no pinhole image can replace")
        if self.fisheye and (self.p1 or self.p2):
            raise ValueError("its camera is a fisheye with p1 and p2, which OpenCV's model does not have")
        if self.k4 and not self.fisheye:
            raise ValueError("its camera has k4, but is no fisheye")
        if self.fl_x is None and self.fl_y is None and self.camera_angle_x is None:
            raise ValueError("it has no focal length: neither fl_x nor camera_angle_x")

    @property
    def fisheye(self) -> bool:
        """By nerfstudio's camera model or instant-ngp's flag; both mean OpenCV's model with k1 k2 k3 k4."""
        return bool(self.is_fisheye) or (self.camera_model or "").upper() in _FISHEYE_MODELS


@dataclass(frozen=True, kw_only=True, eq=False)
class TransformsFrame:
    """One entry of the file.

    name: path without the folder that all frames share. path: the image, None if there is none. mask: as it is named,
    None if none is. pose_scale: length of
    the axes of the pose as it is written, for example of a scaled camera in Blender.
    """

    name: str
    path: Path | None
    mask: Path | None
    entry: Entry
    cam_from_world: Float[np.ndarray, "4 4"]
    pose_scale: float = 1.0

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height, if the file tells them."""
        return (round(self.entry.w), round(self.entry.h)) if self.entry.w and self.entry.h else None

    @property
    def distortion(self) -> tuple[float, ...]:
        """k1 k2 p1 p2 k3, OpenCV's order; of a fisheye k1 k2 k3 k4."""
        names = _FISHEYE_DISTORTION if self.entry.fisheye else _DISTORTION
        return tuple(getattr(self.entry, key) or 0.0 for key in names)

    def intrinsics(self, width: int, height: int) -> Float[np.ndarray, "3 3"]:
        """K for an image of this size; its centre is the principal point where the file names none."""
        entry = self.entry
        fx = entry.fl_x or entry.fl_y or width / 2 / math.tan((entry.camera_angle_x or 0) / 2)
        fy = entry.fl_y or entry.fl_x or fx
        if entry.camera_angle_y and not (entry.fl_x or entry.fl_y):
            fy = height / 2 / math.tan(entry.camera_angle_y / 2)
        cx, cy = (width / 2, height / 2) if entry.cx is None or entry.cy is None else (entry.cx, entry.cy)
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Transforms:
    """The usable frames in the order of the file, and why others are not, by name. notes: what was put right.

    points: the PLY of points in the same frame that the file names, None if it names none. metres_per_unit: where the
    format tells.
    """

    frames: tuple[TransformsFrame, ...]
    failed: Mapping[str, str]
    notes: tuple[str, ...] = ()
    points: Path | None = None
    metres_per_unit: float | None = None


def read_transforms(path: Path) -> Transforms:
    """Read a transforms.json; InputError if it is none, or if no frame can be used: then it names the first fault."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; {_WANTED}, for example {path / 'transforms.json'}.")
    return transforms_of(read_object(path, fix=_WANTED, allow_inf_nan=True), path)


def transforms_of(document: Mapping[str, Any], path: Path) -> Transforms:
    """As `read_transforms`, of what the file at `path` says, or might say; images are found from its folder on."""
    frames = document.get("frames")
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise InputError(f"The file {path} has no list of frames; {_WANTED}.")
    common = {key: value for key, value in document.items() if key in {item.name for item in fields(Entry)}}
    files = [_file_path(path, number, frame) for number, frame in enumerate(frames)]
    shared = os.path.commonpath([str(file.parent) for file in files])
    names = [str(file.relative_to(shared)) for file in files]
    if len(set(names)) < len(names):
        raise InputError(f"Two frames in {path} have the same file_path; remove one of them.")
    result: list[TransformsFrame] = []
    failed: dict[str, str] = {}
    for number, (frame, name) in enumerate(zip(frames, names, strict=True)):
        try:
            result.append(_frame(path.parent, record_from_json(Entry, json.dumps({**common, **frame})), name))
        except ValueError as error:
            failed[name] = f"Frame {number} ({name}) in {path} cannot be used ({error}); correct it."
    if not result:
        raise InputError(next(iter(failed.values())))
    scales = [frame.pose_scale for frame in result if abs(frame.pose_scale - 1) > _MAX_SKEW_OF_ROTATION]
    notes: tuple[str, ...] = ()
    if scales:
        notes = (
            f"The axes of {len(scales)} poses have length {np.median(scales):.4g}, not 1: the scale was taken out.",
        )
    ply = document.get("ply_file_path")
    points = path.parent / ply.replace("\\", "/") if isinstance(ply, str) and ply else None
    return Transforms(frames=tuple(result), failed=failed, notes=notes, points=points)


def _file_path(path: Path, number: int, frame: Mapping[str, Any]) -> PurePosixPath:
    """The path of a frame without leading ./, ../ and /, so that it can serve as a name."""
    text = frame.get("file_path")
    if not isinstance(text, str) or not text or any(ord(letter) < 32 for letter in text):
        raise InputError(f"Frame {number} in {path} has no usable file_path; export the file again.")
    parts = [part for part in PurePosixPath(text.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    if not parts:
        raise InputError(f"Frame {number} in {path} has the file_path {text!r}, which names no file; correct it.")
    return PurePosixPath(*parts)


def _frame(folder: Path, entry: Entry, name: str) -> TransformsFrame:
    """ValueError if the pose is none."""
    cam_from_world, pose_scale = _cam_from_world(entry.transform_matrix)
    found = _find_image(folder, entry.file_path.replace("\\", "/"))
    name = name if found is None or name.endswith(found.suffix) else name + found.suffix
    mask = folder / entry.mask_path.replace("\\", "/") if entry.mask_path else None
    return TransformsFrame(
        name=name, path=found, mask=mask, entry=entry, cam_from_world=cam_from_world, pose_scale=pose_scale
    )


def _find_image(folder: Path, file_path: str) -> Path | None:
    """The image as named, or with a photo suffix added, as NeRF's synthetic scenes want it.

    Disks of Macs keep letters and their accents in another form than most programs write.
    """
    forms = dict.fromkeys((file_path, *(unicodedata.normalize(form, file_path) for form in ("NFC", "NFD"))))
    for form, suffix in product(forms, ("", *sorted(PHOTO_SUFFIXES))):
        candidate = folder / f"{form}{suffix}"
        if candidate.is_file():
            return candidate
    return None


def _cam_from_world(rows: tuple[Row4, ...]) -> tuple[Float[np.ndarray, "4 4"], float]:
    """Of a camera-to-world matrix, and the length of its axes; ValueError if it is no rotation, but for one scale.

    Its rounded rotation becomes the nearest exact one.
    """
    world_from_gl = np.vstack([rows[:3], [0.0, 0.0, 0.0, 1.0]])
    world_from_cam = world_from_gl @ _OPENGL_FROM_OPENCV
    u, singular, vt = np.linalg.svd(world_from_cam[:3, :3])
    rotation = u @ vt
    scale = float(singular.mean())
    if scale < _LEAST_SCALE or np.abs(singular / scale - 1).max() > _MAX_SKEW_OF_ROTATION:
        lengths = ", ".join(f"{length:.4g}" for length in singular)
        raise ValueError(f"its pose is no rotation and translation: its axes have the lengths {lengths}")
    if np.linalg.det(rotation) < 0:
        raise ValueError("its pose is a mirror, no rotation")
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = rotation.T
    cam_from_world[:3, 3] = -rotation.T @ world_from_cam[:3, 3]
    return cam_from_world, scale
