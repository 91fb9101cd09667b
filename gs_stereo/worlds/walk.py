"""The path of a person who walks along an arc and looks at the scene, phone in hand."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from gs_stereo.core.hashing import unit_seed
from gs_stereo.types import Camera
from gs_stereo.worlds.rooms.world import SceneDesign

_FOCAL_PER_WIDTH = 0.8125


def training_cameras(design: SceneDesign, count: int, size: tuple[int, int], seed: int) -> list[Camera]:
    """`count` views: there along the arc at the first height and back at the second."""
    there = (count + 1) // 2
    stops = [(k / max(there - 1, 1), 0.0) for k in range(there)]
    back = count - there
    stops += [(1 - (k + 0.5) / back, 1.0) for k in range(back)]
    return [_camera(design, stop, f"{k:03d}.png", size, unit_seed(seed, f"train/{k}")) for k, stop in enumerate(stops)]


def held_out_cameras(design: SceneDesign, count: int, size: tuple[int, int], seed: int) -> list[Camera]:
    """`count` views between the two passes of the walk."""
    stops = [((k + 0.5) / count, (0.35, 0.65)[k % 2]) for k in range(count)]
    return [_camera(design, stop, f"{k:03d}.png", size, unit_seed(seed, f"test/{k}")) for k, stop in enumerate(stops)]


def _camera(design: SceneDesign, stop: tuple[float, float], name: str, size: tuple[int, int], seed: int) -> Camera:
    """A hand-held camera at (place on the arc, place between the two heights), both from 0 to 1."""
    rng = np.random.default_rng(seed)
    first, last = design.arc_deg
    angle = np.deg2rad(first + (last - first) * stop[0])
    radius = design.radius_m + 0.12 * stop[1] + rng.uniform(-0.05, 0.05)
    target = np.asarray(design.target)
    height = design.heights_m[0] + (design.heights_m[1] - design.heights_m[0]) * stop[1]
    eye = np.array([target[0] + radius * np.sin(angle), target[1] - radius * np.cos(angle), height])
    eye += rng.uniform(-0.03, 0.03, 3)
    aim = target + rng.uniform(-0.06, 0.06, 3)
    roll = np.deg2rad(rng.uniform(-2.0, 2.0))
    width, height_px = size
    focal = _FOCAL_PER_WIDTH * width
    intrinsics = np.array([[focal, 0.0, width / 2], [0.0, focal, height_px / 2], [0.0, 0.0, 1.0]])
    return Camera(
        name=name, width=width, height=height_px, intrinsics=intrinsics, cam_from_world=looking(eye, aim, roll)
    )


def looking(eye: np.ndarray, aim: np.ndarray, roll: float) -> Float64[np.ndarray, "4 4"]:
    """Pose of a camera at `eye` that looks at `aim`, world z up, turned by `roll` about its axis."""
    forward = (aim - eye) / np.linalg.norm(aim - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    level = np.stack([right, np.cross(forward, right), forward])
    turn = np.array([[np.cos(roll), np.sin(roll), 0.0], [-np.sin(roll), np.cos(roll), 0.0], [0.0, 0.0, 1.0]])
    pose = np.eye(4)
    pose[:3, :3] = turn @ level
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose
