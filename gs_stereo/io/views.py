"""Cameras as JSON: the file of virtual views that a user may write, and the rig inside a stored pair.

    {"format": "gs_stereo.views", "format_version": 1,
     "views": [{"name": "a", "width": 640, "height": 480,
                "intrinsics": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
                "cam_from_world": [[r, r, r, t], [r, r, r, t], [r, r, r, t], [0, 0, 0, 1]]}]}

Conventions are those of `gs_stereo.types.Camera`: OpenCV axes, pixel centres at + 0.5, pixels and scene units.
Numbers are written with all their digits, so that a round trip gives the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gs_stereo.core.atomic import write_text
from gs_stereo.errors import InputError
from gs_stereo.types import Camera

FORMAT = "gs_stereo.views"
FORMAT_VERSION = 1

_MAX_SIDE_PX = 1 << 15
_MAX_FILE_BYTES = 1 << 28
_RIGID_TOLERANCE = 1e-5


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object; InputError if it is missing, too large, broken or something else."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise InputError(f"The file {path} is too large for a list of cameras; check that it is the right file.")
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}; check that it is there.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"The file {path} is not valid JSON ({error}); correct it or make it again.") from error
    if not isinstance(values, dict):
        raise InputError(f"The file {path} must hold a JSON object, not a {type(values).__name__}; make it again.")
    return values


def camera_to_json(camera: Camera) -> dict[str, Any]:
    """A camera as JSON values; `camera_from_json` gives back the same bits."""
    return {
        "name": camera.name,
        "width": camera.width,
        "height": camera.height,
        "intrinsics": camera.intrinsics.tolist(),
        "cam_from_world": camera.cam_from_world.tolist(),
    }


def camera_from_json(values: Any, *, where: str) -> Camera:
    """Check and build a camera; InputError names `where` and the field that is wrong."""
    if not isinstance(values, Mapping):
        raise InputError(f"The camera in {where} must be a JSON object; see the format in the documentation.")
    expected = {"name", "width", "height", "intrinsics", "cam_from_world"}
    if set(values) != expected:
        wrong = ", ".join(sorted(expected ^ set(values)))
        raise InputError(f"The camera in {where} lacks or does not know the fields: {wrong}; correct them.")
    name = values["name"]
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"The name of the camera in {where} must be a text that is not empty; give it one.")
    intrinsics = _matrix(values["intrinsics"], 3, f"intrinsics of {name!r} in {where}")
    _check_intrinsics(intrinsics, f"{name!r} in {where}")
    pose = _matrix(values["cam_from_world"], 4, f"cam_from_world of {name!r} in {where}")
    _check_rigid(pose, f"{name!r} in {where}")
    width = _side(values["width"], f"width of {name!r} in {where}")
    height = _side(values["height"], f"height of {name!r} in {where}")
    return Camera(name=name, width=width, height=height, intrinsics=intrinsics, cam_from_world=pose)


def write_views(path: Path, cameras: Sequence[Camera]) -> None:
    """Write a file of views, atomically."""
    views = [camera_to_json(camera) for camera in cameras]
    text = json.dumps(
        {"format": FORMAT, "format_version": FORMAT_VERSION, "views": views}, ensure_ascii=False, indent=1
    )
    write_text(path, text + "\n")


def read_views(path: Path) -> tuple[Camera, ...]:
    """Read a file of views in its order; InputError if anything in it is wrong or a name comes twice."""
    values = read_json(path)
    if (values.get("format"), values.get("format_version")) != (FORMAT, FORMAT_VERSION):
        raise InputError(
            f"The file {path} must say format {FORMAT!r} and format_version {FORMAT_VERSION}; see the documentation."
        )
    views = values.get("views")
    if not isinstance(views, list) or not views:
        raise InputError(f"The file {path} must hold a list 'views' with at least one camera; add one.")
    cameras = tuple(camera_from_json(view, where=f"{path}, view {number}") for number, view in enumerate(views))
    names = [camera.name for camera in cameras]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"The view {name!r} comes twice in {path}; give every view its own name.")
    return cameras


def _side(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MAX_SIDE_PX:
        raise InputError(f"The {what} must be a whole number of pixels from 1 to {_MAX_SIDE_PX}; correct it.")
    return value


def _matrix(value: Any, side: int, what: str) -> Float[np.ndarray, "n n"]:
    """A side x side matrix of finite numbers."""
    rows = value if isinstance(value, list) else []
    numbers = [entry for row in rows if isinstance(row, list) and len(row) == side for entry in row]
    good = all(isinstance(entry, int | float) and not isinstance(entry, bool) for entry in numbers)
    if len(rows) != side or len(numbers) != side * side or not good:
        raise InputError(f"The {what} must be a {side} x {side} list of numbers; correct it.")
    try:
        matrix = np.array(numbers, dtype=np.float64).reshape(side, side)
    except OverflowError:
        matrix = np.full((side, side), np.inf)
    if not np.isfinite(matrix).all():
        raise InputError(f"The {what} must hold finite numbers only; correct it.")
    return matrix


def _check_intrinsics(intrinsics: Float[np.ndarray, "3 3"], what: str) -> None:
    zeros = intrinsics[[0, 1, 2, 2], [1, 0, 0, 1]]
    if (zeros != 0).any() or intrinsics[2, 2] != 1 or intrinsics[0, 0] <= 0 or intrinsics[1, 1] <= 0:
        raise InputError(f"The intrinsics of {what} must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]; correct them.")


def _check_rigid(pose: Float[np.ndarray, "4 4"], what: str) -> None:
    rotation = pose[:3, :3]
    # Entries of a rotation are at most 1; looking at that first keeps huge numbers out of the product.
    small = bool((np.abs(rotation) <= 1 + _RIGID_TOLERANCE).all())
    orthogonal = small and bool(np.abs(rotation @ rotation.T - np.eye(3)).max() <= _RIGID_TOLERANCE)
    if not orthogonal or np.linalg.det(rotation) < 0 or (pose[3] != [0, 0, 0, 1]).any():
        raise InputError(
            f"The cam_from_world of {what} must be a rotation and a translation without scale or mirroring; correct it."
        )
