"""Where cameras look, and the rays of their pixels."""

import numpy as np
from jaxtyping import Float64

from gs_stereo.geometry.trajectories import pose_from_rotation_and_centre
from gs_stereo.types import Camera
from gs_stereo.worlds.raycast import Rays


def looking(eye: np.ndarray, aim: np.ndarray, roll: float) -> Float64[np.ndarray, "4 4"]:
    """Pose of a camera at `eye` that looks at `aim`, world z up, turned by `roll` radians about its axis."""
    forward = (aim - eye) / np.linalg.norm(aim - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    level = np.stack([right, np.cross(forward, right), forward])
    turn = np.array([[np.cos(roll), np.sin(roll), 0.0], [-np.sin(roll), np.cos(roll), 0.0], [0.0, 0.0, 1.0]])
    return pose_from_rotation_and_centre(turn @ level, eye)


def camera_rays(camera: Camera, image_xy: Float64[np.ndarray, "n 2"], per_side: int = 1) -> Rays:
    """Rays through a grid of per_side x per_side places in the pixel about each image point, the first place first.

    Their directions have z = 1 in the camera, so that a hit's distance in lengths of the direction is its depth.
    """
    rotation, k = camera.cam_from_world[:3, :3], camera.intrinsics
    right, down = rotation[0] / k[0, 0], rotation[1] / k[1, 1]
    corner = rotation[2] - k[0, 2] * right - k[1, 2] * down
    offset = (np.arange(per_side) + 0.5) / per_side - 0.5
    offsets = np.stack(np.meshgrid(offset, offset), axis=-1).reshape(-1, 2)
    rows = np.empty((len(offsets), len(image_xy), 6), np.float32)
    rows[..., :3] = camera.centre_in_world
    for axis in range(3):
        middle = corner[axis] + image_xy[:, 0] * right[axis] + image_xy[:, 1] * down[axis]
        rows[..., 3 + axis] = middle + (offsets[:, :1] * right[axis] + offsets[:, 1:] * down[axis])
    return Rays(
        rows=rows.reshape(-1, 6),
        right=(right / per_side).astype(np.float32),
        down=(down / per_side).astype(np.float32),
        spread=1.0 / (camera.focal_px * per_side),
    )
