"""A real stereo camera: a YAML file of ours, or the calibration that OpenCV, ROS, Kalibr or an OAK writes.

    calibration: stereo.yaml         # of OpenCV, Kalibr or DepthAI; two files [left.yaml, right.yaml] of ROS;
                                     # or in its place what the rectified pairs have:
    width: 640
    height: 480
    fx: 451.03                       # px; fy where it differs
    cx: 299.04                       # px of the left image, pixel centres at whole numbers as in OpenCV
    cy: 255.17
    doffs: 0                         # principal point of the right image minus the left one's, px
    baseline_m: 0.075
    sensor: {blur_px: 0.6, read_noise: 1.0, row_offset_px: 0.3}      # `SensorConfig`, all optional

A calibration of two unrectified cameras is rectified as OpenCV does, with one principal point and no blank borders
(CALIB_ZERO_DISPARITY, alpha = 0). Lengths in a calibration are metres (DepthAI: centimetres) unless
`metres_per_calibration_unit` says otherwise. Files come from anywhere: whatever is wrong with one is an InputError.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import Field

from gs_stereo.config import Config, parse_config, yaml_text, yaml_value
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.geometry.pixels import intrinsics_from_opencv, intrinsics_to_opencv
from gs_stereo.imaging.sensor_config import SensorConfig
from gs_stereo.types import Camera

_LONGEST_BASELINE_M = 20.0
_LEFT_SOCKET, _RIGHT_SOCKET = 1, 2
_CENTIMETRE = 0.01
_OPENCV_HEAD = re.compile(r"\A%YAML[^\n]*\n")
_OPENCV_TAG = re.compile(r"!!opencv[-\w]*")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "K1": ("K1", "M1", "cameraMatrix1", "camera_matrix_1", "cameraMatrixL", "left_camera_matrix", "Camera_Matrix_Left"),
    "K2": (
        "K2",
        "M2",
        "cameraMatrix2",
        "camera_matrix_2",
        "cameraMatrixR",
        "right_camera_matrix",
        "Camera_Matrix_Right",
    ),
    "D1": ("D1", "distCoeffs1", "dist_coeffs_1", "distCoeffsL", "left_distortion", "distortionCoefficients1"),
    "D2": ("D2", "distCoeffs2", "dist_coeffs_2", "distCoeffsR", "right_distortion", "distortionCoefficients2"),
    "R": ("R", "rotation", "rotation_matrix"),
    "T": ("T", "translation", "translation_vector"),
    "P1": ("P1",),
    "P2": ("P2",),
    "Q": ("Q",),
    "size": ("image_size", "imageSize", "image_shape", "size", "resolution"),
    "width": ("image_width", "imageWidth", "width"),
    "height": ("image_height", "imageHeight", "height"),
}
"""What the parts of a calibration are called in the files of people; upper and lower case are the same."""


class RigConfig(Config):
    """The content of a rig file. Lengths in pixels where no unit is named."""

    calibration: str | tuple[str, str] | None = Field(
        default=None, description="Calibration file, or two of ROS, left and right; relative to this file."
    )
    metres_per_calibration_unit: float | None = Field(
        default=None, gt=0, le=1, description="0.001 if the calibration is in millimetres; by default metres."
    )
    width: int | None = Field(default=None, ge=16, le=16384, description="Width of the rectified images, px.")
    height: int | None = Field(default=None, ge=16, le=16384, description="Height of the rectified images, px.")
    fx: float | None = Field(default=None, gt=0, le=1e6, description="Focal length, px.")
    fy: float | None = Field(default=None, gt=0, le=1e6, description="Vertical focal length, px; null: fx.")
    cx: float | None = Field(default=None, ge=-1e6, le=1e6, description="Principal point of the left image, px.")
    cy: float | None = Field(default=None, ge=-1e6, le=1e6, description="Principal point, px.")
    doffs: float = Field(default=0.0, ge=-1e4, le=1e4, description="Principal point of right minus left, px.")
    baseline_m: float | None = Field(default=None, gt=0, le=_LONGEST_BASELINE_M, description="Baseline, metres.")
    sensor: SensorConfig = Field(default=SensorConfig(), description="What the camera does to its images.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Rig:
    """A rectified stereo camera.

    width, height: px. intrinsics: K of the left image, pixel centres at + 0.5. baseline_m: metres. doffs_px: principal
    point of right minus left. sensor: what it does to its images. files: everything that was read.
    """

    width: int
    height: int
    intrinsics: Float[np.ndarray, "3 3"]
    baseline_m: float
    doffs_px: float = 0.0
    sensor: SensorConfig = field(default=SensorConfig())
    files: tuple[Path, ...] = ()

    def at(self, view: Camera) -> Camera:
        """This camera's left eye where `view` stands."""
        return replace(view, width=self.width, height=self.height, intrinsics=self.intrinsics)


def read_rig(path: Path) -> Rig:
    """A rig file of ours, or a calibration file by itself; InputError says what is wrong with it."""
    values = _values(path)
    if not (values.keys() <= RigConfig.model_fields.keys()):
        if values.keys() >= {"fx", "cx_left", "baseline_m"}:  # calib.json beside a pair
            known = {name: values[name] for name in values.keys() & RigConfig.model_fields.keys()}
            return _stated(_checked({**known, "cx": values["cx_left"]}, path), path)
        return _calibrated((path,), 1.0)
    config = _checked(values, path)
    if config.calibration is None:
        return _stated(config, path)
    names = (config.calibration,) if isinstance(config.calibration, str) else config.calibration
    parts = tuple(path.parent / name for name in names)
    rig = _calibrated(parts, config.metres_per_calibration_unit or 1.0)
    return replace(rig, sensor=config.sensor, files=(path, *parts))


def rig_parts(path: Path) -> tuple[Path, ...]:
    """The files that a rig is read from; only `path` where it cannot be read."""
    try:
        return read_rig(path).files
    except InputError:
        return (path,)


def rig_text(rig: Rig, comment: str = "") -> str:
    """A rig as a file that `read_rig` reads."""
    import yaml

    matrix = intrinsics_to_opencv(rig.intrinsics)
    numbers = {"fx": matrix[0, 0], "fy": matrix[1, 1], "cx": matrix[0, 2], "cy": matrix[1, 2]}
    values = {
        "width": rig.width,
        "height": rig.height,
        **{name: float(value) for name, value in numbers.items()},
        "doffs": rig.doffs_px,
        "baseline_m": rig.baseline_m,
        "sensor": rig.sensor.model_dump(exclude_defaults=True),
    }
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    return lines + yaml.safe_dump(values, sort_keys=False)


def _checked(values: Mapping[str, Any], path: Path) -> RigConfig:
    try:
        return parse_config(RigConfig, values, where=str(path))
    except ConfigError as error:
        raise InputError(str(error)) from error


def _stated(config: RigConfig, path: Path) -> Rig:
    needed = {name: getattr(config, name) for name in ("width", "height", "fx", "cx", "cy", "baseline_m")}
    if missing := [name for name, value in needed.items() if value is None]:
        raise InputError(f"The rig {path} does not say {', '.join(missing)}; add it, or name its calibration file.")
    matrix = np.array([[needed["fx"], 0, needed["cx"]], [0, config.fy or needed["fx"], needed["cy"]], [0, 0, 1.0]])
    return Rig(
        width=needed["width"],
        height=needed["height"],
        intrinsics=intrinsics_from_opencv(matrix),
        baseline_m=needed["baseline_m"],
        doffs_px=config.doffs,
        sensor=config.sensor,
        files=(path,),
    )


def _values(path: Path) -> dict[str, Any]:
    """A YAML or JSON mapping, also with the head and the tags that OpenCV writes."""
    try:
        text = yaml_text(path)
        values = yaml_value(_OPENCV_TAG.sub("", _OPENCV_HEAD.sub("", text.removeprefix("\ufeff"))))
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; check the path of the rig.") from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"The file {path} is not readable YAML ({' '.join(str(error).split())}); correct it."
        ) from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise InputError(f"The file {path} holds no rig and no calibration; see docs/rig.md.")
    return values


@dataclass(frozen=True, kw_only=True, eq=False)
class _Eye:
    """A camera before rectification. fisheye: its distortion is OpenCV's fisheye model (equidistant)."""

    matrix: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, "d"]
    fisheye: bool = False


def _calibrated(paths: tuple[Path, ...], metres_per_unit: float) -> Rig:
    """The rig that calibration files describe, rectified."""
    files = [_values(path) for path in paths]
    try:
        rig = _from_files(files, metres_per_unit)
    except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise InputError(
            f"The calibration {paths[0]} cannot be used ({reason}); give one of OpenCV, Kalibr or DepthAI, two of ROS, "
            "or a rig file."
        ) from error
    usable = np.isfinite(rig.intrinsics).all() and 0 < rig.intrinsics[0, 0] < 1e6 and np.isfinite(rig.baseline_m)
    if not usable or not (16 <= rig.width <= 16384 and 16 <= rig.height <= 16384):
        raise InputError(f"The calibration {paths[0]} describes no camera; calibrate again.")
    if not 0 < rig.baseline_m <= _LONGEST_BASELINE_M:
        raise InputError(
            f"The baseline in {paths[0]} is {rig.baseline_m:.4g} m; if its lengths are millimetres, name it in a rig "
            "file with metres_per_calibration_unit: 0.001, and if it is negative, exchange left and right."
        )
    return replace(rig, files=paths)


def _from_files(files: list[dict[str, Any]], unit_m: float) -> Rig:
    if len(files) == 2:
        left, right = (_matrix(_found(each, "P1", ("projection_matrix", "P")), (3, 4)) for each in files)
        return _projected(left, right, _size(files[0]), unit_m)
    [values] = files
    if "cameraData" in values:
        return _from_depthai(values, unit_m)
    if "cam0" in values:
        return _from_kalibr(values, unit_m)
    if "projection_matrix" in values or "camera_matrix" in values:
        raise ValueError("it is one camera of ROS: name both in a rig file, calibration: [left.yaml, right.yaml]")
    size = _size(values)
    names = {key.lower() for key in values}
    if {"p1", "p2"} <= names:
        left, right = (_matrix(_found(values, name), (3, 4)) for name in ("P1", "P2"))
        return _projected(left, right, size, unit_m)
    if "q" in names and not names & {name.lower() for name in _NAMES["K1"]}:
        return _from_q(_matrix(_found(values, "Q"), (4, 4)), size, unit_m)
    eyes = [
        _Eye(matrix=_matrix(_found(values, f"K{n}"), (3, 3)), distortion=_numbers(_found(values, f"D{n}")))
        for n in (1, 2)
    ]
    rotation = _matrix(_found(values, "R"), (3, 3))
    return _rectified(eyes, size, rotation, _matrix(_found(values, "T"), (3,)) * unit_m)


def _from_q(q: Float[np.ndarray, "4 4"], size: tuple[int, int], unit_m: float) -> Rig:
    """OpenCV's disparity-to-depth matrix: rows (1 0 0 -cx), (0 1 0 -cy), (0 0 0 f), (0 0 1/b doffs/b)."""
    projection = np.array([[q[2, 3], 0, -q[0, 3], 0], [0, q[2, 3], -q[1, 3], 0], [0, 0, 1.0, 0]])
    moved = projection.copy()
    moved[0, 2] += float(q[3, 3]) / float(q[3, 2])
    moved[0, 3] = -float(q[2, 3]) / float(q[3, 2])
    return _projected(projection, moved, size, unit_m)


def _from_kalibr(values: dict[str, Any], unit_m: float) -> Rig:
    models = {"radtan": False, "none": False, "equidistant": True}
    eyes = []
    for name in ("cam0", "cam1"):
        cam = values[name]
        if cam.get("camera_model", "pinhole") != "pinhole" or cam.get("distortion_model", "none") not in models:
            raise ValueError("only pinhole with radtan or equidistant distortion is supported")
        fx, fy, cx, cy = _matrix(cam["intrinsics"], (4,))
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
        distortion = _numbers(cam.get("distortion_coeffs", [0, 0, 0, 0]))
        eyes.append(_Eye(matrix=matrix, distortion=distortion, fisheye=models[cam.get("distortion_model", "none")]))
    pose = _matrix(values["cam1"]["T_cn_cnm1"], (4, 4))
    return _rectified(eyes, _pair_of(values["cam0"]["resolution"]), pose[:3, :3], pose[:3, 3] * unit_m)


def _from_depthai(values: dict[str, Any], unit_m: float) -> Rig:
    """The device's calibration as DepthAI exports it; translations are centimetres."""
    cameras = {int(socket): camera for socket, camera in values["cameraData"]}
    stereo = values.get("stereoConfigData") or {}
    sockets = [int(stereo.get(f"{eye}CameraSocket", -1)) for eye in ("left", "right")]
    left, right = sockets if min(sockets) >= 0 else (_LEFT_SOCKET, _RIGHT_SOCKET)
    eyes = [
        _Eye(
            matrix=_matrix(cameras[socket]["intrinsicMatrix"], (3, 3)),
            distortion=_numbers(cameras[socket]["distortionCoeff"]),
            fisheye=cameras[socket].get("cameraType") == 1,
        )
        for socket in (left, right)
    ]
    try:
        pose = _chained(cameras, left, right)
    except KeyError:
        pose = np.linalg.inv(_chained(cameras, right, left))
    size = int(cameras[left]["width"]), int(cameras[left]["height"])
    return _rectified(eyes, size, pose[:3, :3], pose[:3, 3] * _CENTIMETRE * unit_m)


def _chained(cameras: Mapping[int, Any], start: int, end: int) -> Float[np.ndarray, "4 4"]:
    """end_from_start, along the sockets that the file relates to each other."""
    pose, socket = np.eye(4), start
    for _ in range(len(cameras)):
        outer = cameras[socket]["extrinsics"]
        step = np.eye(4)
        step[:3, :3] = _matrix(outer["rotationMatrix"], (3, 3))
        step[:3, 3] = [float(outer["translation"][axis]) for axis in "xyz"]
        pose, socket = step @ pose, int(outer["toCameraSocket"])
        if socket == end:
            return pose
    raise KeyError(f"the way from socket {start} to {end}")


def _rectified(
    eyes: list[_Eye], size: tuple[int, int], rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, "3"]
) -> Rig:
    import cv2

    left, right = eyes
    column = translation.reshape(3, 1)
    parts = (left.matrix, left.distortion, right.matrix, right.distortion, rotation, column)
    if not all(np.isfinite(part).all() for part in parts):
        raise ValueError("a number is not finite")
    try:
        if left.fisheye:
            k1, d1, k2, d2 = left.matrix, left.distortion[:4], right.matrix, right.distortion[:4]
            _, _, p1, p2, _ = cv2.fisheye.stereoRectify(
                k1, d1, k2, d2, size, rotation, column, cv2.CALIB_ZERO_DISPARITY
            )
        else:
            _, _, p1, p2, *_ = cv2.stereoRectify(
                *parts[:4], size, rotation, column, flags=cv2.CALIB_ZERO_DISPARITY, alpha=0
            )
    except cv2.error as error:
        raise ValueError(f"OpenCV cannot rectify it: {error.err}") from error
    return _projected(p1, p2, size, 1.0)


def _projected(
    left: Float[np.ndarray, "3 4"], right: Float[np.ndarray, "3 4"], size: tuple[int, int], unit_m: float
) -> Rig:
    """The rig of two rectified projections."""
    if left[0, 0] <= 0:
        raise ValueError("its focal length is not positive")
    return Rig(
        width=size[0],
        height=size[1],
        intrinsics=intrinsics_from_opencv(left[:, :3]),
        baseline_m=float((left[0, 3] - right[0, 3]) / left[0, 0]) * unit_m,
        doffs_px=float(right[0, 2] - left[0, 2]),
    )


def _found(values: Mapping[str, Any], part: str, names: tuple[str, ...] | None = None) -> Any:
    """The value under any of the names of a part; KeyError with the part."""
    lower = {key.lower(): value for key, value in values.items()}
    for name in names or _NAMES[part]:
        if name.lower() in lower:
            return lower[name.lower()]
    raise KeyError(part)


def _size(values: Mapping[str, Any]) -> tuple[int, int]:
    """(width, height)."""
    try:
        return int(_found(values, "width")), int(_found(values, "height"))
    except KeyError:
        return _pair_of(_found(values, "size"))


def _pair_of(value: Any) -> tuple[int, int]:
    width, height = _matrix(value, (2,)).tolist()
    return int(width), int(height)


def _numbers(value: Any) -> Float[np.ndarray, "n"]:
    """Numbers of a list, or of a matrix that says its `data`, as float64."""
    listed = value["data"] if isinstance(value, Mapping) else value
    return np.asarray(listed, dtype=np.float64).ravel()


def _matrix(value: Any, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    return _numbers(value).reshape(shape)
