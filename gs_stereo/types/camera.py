"""A pinhole camera with a pose, and the rectified stereo rig built on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """Pinhole camera without distortion.

    Axes are OpenCV's (+x right, +y down, +z forward). The image plane is [0, width] x [0, height] and the centre
    of pixel (row i, column j) is (j + 0.5, i + 0.5), so `intrinsics` is COLMAP's K.

    name: the photo's file name, or an id of a virtual view.
    intrinsics: K in pixels, zero skew.
    cam_from_world: rigid 4x4; x_in_cam = R x_in_world + t.
    """

    name: str
    width: int
    height: int
    intrinsics: Float[np.ndarray, "3 3"]
    cam_from_world: Float[np.ndarray, "4 4"]

    @property
    def world_from_cam(self) -> Float[np.ndarray, "4 4"]:
        rotation, translation = self.cam_from_world[:3, :3], self.cam_from_world[:3, 3]
        inverse = np.eye(4)
        inverse[:3, :3] = rotation.T
        inverse[:3, 3] = -rotation.T @ translation
        return inverse

    @property
    def centre_in_world(self) -> Float[np.ndarray, "3"]:
        return self.world_from_cam[:3, 3]

    @property
    def focal_px(self) -> float:
        """Focal length along x, the one that turns depth into disparity."""
        return float(self.intrinsics[0, 0])

    def around(self, origin: tuple[float, float, float]) -> Camera:
        """The same view in the world that is moved so that `origin` is its origin."""
        moved = self.cam_from_world.copy()
        moved[:3, 3] += moved[:3, :3] @ origin
        return replace(self, cam_from_world=moved)

    def resized(self, width: int, height: int) -> Camera:
        """The same view at another resolution."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return replace(self, width=width, height=height, intrinsics=scale @ self.intrinsics)

    def shifted(self, offset: float, name: str | None = None) -> Camera:
        """The camera moved by `offset` scene units along its own +x axis; rotation and intrinsics stay."""
        moved = self.cam_from_world.copy()
        moved[0, 3] -= offset
        return replace(self, name=self.name if name is None else name, cam_from_world=moved)


@dataclass(frozen=True, kw_only=True, eq=False)
class StereoRig:
    """Two cameras, rectified by construction: the right one is the left moved by +baseline along its own x axis."""

    left: Camera
    baseline: float

    @property
    def right(self) -> Camera:
        return self.left.shifted(self.baseline)

    @property
    def focal_times_baseline(self) -> float:
        """f b, in pixels times scene units: disparity_px = f b / depth."""
        return self.left.focal_px * self.baseline
