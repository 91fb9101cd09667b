"""From the scene's frame to the browser's: only the scale differs, so that every scene has a handy size on screen.

A browser clips at fixed distances and stores covariances in half precision. So one display unit is the typical
distance from the cameras to what they see. Axes stay those of the scene, and cameras those of OpenCV, as in viser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gs_stereo.geometry.local_frame import NO_ORIGIN
from gs_stereo.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix
from gs_stereo.geometry.trajectories import pose_from_rotation_and_centre
from gs_stereo.geometry.view_selection import camera_centres
from gs_stereo.types import Camera

_UP_IN_CAMERA = np.array([0.0, -1.0, 0.0])
_ASPECT = 4 / 3


@dataclass(frozen=True, kw_only=True, eq=False)
class DisplayFrame:
    """display = display_per_unit * (world - origin_in_world). up_in_world: unit vector.

    focus_in_world: what to look at first.
    """

    display_per_unit: float
    up_in_world: Float[np.ndarray, "3"]
    focus_in_world: Float[np.ndarray, "3"]
    origin_in_world: tuple[float, float, float] = NO_ORIGIN

    def place(self, x_in_world: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
        """Points in display units."""
        return (x_in_world - np.array(self.origin_in_world)) * self.display_per_unit

    def pose(self, camera: Camera) -> tuple[Float[np.ndarray, "4"], Float[np.ndarray, "3"]]:
        """Orientation (wxyz, world from camera) and position of a camera in the browser."""
        wxyz = quaternion_from_matrix(camera.world_from_cam[:3, :3])
        return wxyz, self.place(camera.centre_in_world)

    def camera_at(self, view: BrowserView, longest_edge_px: int) -> Camera:
        """The camera of a browser window: its middle part of 4 : 3, upright windows keep their field across."""
        width, height = longest_edge_px, round(longest_edge_px / _ASPECT)
        tangent = np.tan(view.vertical_fov_rad / 2) * min(1.0, view.aspect / _ASPECT)
        focal = height / 2 / tangent
        rotation = matrix_from_quaternion(view.wxyz).T
        centre = view.position / self.display_per_unit + np.array(self.origin_in_world)
        pose = pose_from_rotation_and_centre(rotation, centre)
        intrinsics = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
        return Camera(name="3D view", width=width, height=height, intrinsics=intrinsics, cam_from_world=pose)


@dataclass(frozen=True, kw_only=True, eq=False)
class BrowserView:
    """A browser's camera. wxyz: world from camera, OpenCV axes. position: display units. aspect: width / height."""

    wxyz: Float[np.ndarray, "4"]
    position: Float[np.ndarray, "3"]
    vertical_fov_rad: float
    aspect: float


def display_frame(
    cameras: Sequence[Camera],
    points_in_world: Float[np.ndarray, "n 3"],
    origin: tuple[float, float, float] = NO_ORIGIN,
) -> DisplayFrame:
    """Scale, up and focus of a scene from its cameras and any points on its surfaces; both may be empty."""
    focus = np.median(points_in_world, axis=0) if len(points_in_world) else np.zeros(3)
    centre = np.median(camera_centres(cameras), axis=0) if cameras else focus
    distances = np.linalg.norm(points_in_world - centre, axis=1)
    distance = float(np.median(distances)) if len(distances) else 1.0
    scale = 1.0 / distance if np.isfinite(distance) and distance > 0 else 1.0
    return DisplayFrame(display_per_unit=scale, up_in_world=_up(cameras), focus_in_world=focus, origin_in_world=origin)


def _up(cameras: Sequence[Camera]) -> Float[np.ndarray, "3"]:
    """The mean of the cameras' up; OpenCV's -y where they cancel out or are none."""
    ups = [camera.world_from_cam[:3, :3] @ _UP_IN_CAMERA for camera in cameras]
    mean = np.mean(ups, axis=0) if ups else _UP_IN_CAMERA
    length = float(np.linalg.norm(mean))
    return mean / length if length > 1e-3 else _UP_IN_CAMERA
