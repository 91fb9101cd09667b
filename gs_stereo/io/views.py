"""Cameras as JSON: the file of virtual views that a user may write, and the rig inside a stored pair.

    {"format": "gs_stereo.views", "format_version": 1,
     "views": [{"name": "a", "width": 640, "height": 480,
                "intrinsics": [[fx, 0, cx], [0, fy, cy], [0, 0, 1]],
                "cam_from_world": [[r, r, r, t], [r, r, r, t], [r, r, r, t], [0, 0, 0, 1]]}]}

Conventions are those of `gs_stereo.types.Camera`: OpenCV axes, pixel centres at + 0.5, pixels and scene units.
Numbers are written with all their digits, so that a round trip gives the same bits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from gs_stereo.core.records import Record, read_record
from gs_stereo.types import Camera

_RIGID_TOLERANCE = 1e-5

Row3 = tuple[float, float, float]
Row4 = tuple[float, float, float, float]
Matrix3 = tuple[Row3, Row3, Row3]
Matrix4 = tuple[Row4, Row4, Row4, Row4]


def _is_intrinsics(rows: Matrix3) -> Matrix3:
    (fx, skew, _), (below, fy, _), last = rows
    if skew or below or list(last) != [0, 0, 1] or fx <= 0 or fy <= 0:
        raise ValueError("must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with fx and fy above 0")
    return rows


def _is_rigid(rows: Matrix4) -> Matrix4:
    rotation = np.array(rows)[:3, :3]
    # Entries of a rotation are at most 1; looking at that first keeps huge numbers out of the product.
    small = bool((np.abs(rotation) <= 1 + _RIGID_TOLERANCE).all())
    orthogonal = small and bool(np.abs(rotation @ rotation.T - np.eye(3)).max() <= _RIGID_TOLERANCE)
    if not orthogonal or np.linalg.det(rotation) < 0 or list(rows[3]) != [0, 0, 0, 1]:
        raise ValueError("must be a rotation and a translation without scale or mirroring")
    return rows


Side = Annotated[int, Field(ge=1, le=1 << 15)]


@dataclass(frozen=True, kw_only=True)
class CameraRecord(Record):
    """A `Camera` in a file: the same bits."""

    name: Annotated[str, Field(pattern=r"\S")]
    width: Side
    height: Side
    intrinsics: Annotated[Matrix3, AfterValidator(_is_intrinsics)]
    cam_from_world: Annotated[Matrix4, AfterValidator(_is_rigid)]

    @classmethod
    def of(cls, camera: Camera) -> CameraRecord:
        matrices = {"intrinsics": camera.intrinsics.tolist(), "cam_from_world": camera.cam_from_world.tolist()}
        return cls(name=camera.name, width=camera.width, height=camera.height, **matrices)

    @property
    def camera(self) -> Camera:
        intrinsics, pose = np.array(self.intrinsics, np.float64), np.array(self.cam_from_world, np.float64)
        return Camera(name=self.name, width=self.width, height=self.height, intrinsics=intrinsics, cam_from_world=pose)


@dataclass(frozen=True, kw_only=True)
class ViewsFile(Record):
    """A file of virtual views."""

    format: Literal["gs_stereo.views"] = "gs_stereo.views"
    format_version: Literal[1] = 1
    views: Annotated[tuple[CameraRecord, ...], Field(min_length=1)]

    def __post_init__(self) -> None:
        name, count = Counter(view.name for view in self.views).most_common(1)[0]
        if count > 1:
            raise ValueError(f"the view {name!r} comes twice")


def read_views(path: Path) -> tuple[Camera, ...]:
    """Read a file of views in its order; InputError if anything in it is wrong or a name comes twice."""
    return tuple(view.camera for view in read_record(ViewsFile, path, fix="correct it").views)
