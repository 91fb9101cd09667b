"""A room, and the path of a person who walks along an arc in it and looks around, phone in hand."""

from dataclasses import dataclass

import numpy as np

from gs_stereo.core.hashing import unit_seed
from gs_stereo.types import Camera
from gs_stereo.worlds.cameras import looking
from gs_stereo.worlds.light.baked import Lighting, baked_world
from gs_stereo.worlds.mesh import Vector
from gs_stereo.worlds.patches import Patch
from gs_stereo.worlds.world import World

_FOCAL_PER_WIDTH = 0.8125


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a room is made of, and where one walks.

    target: the point the walker looks at. The arc is (start, end) in degrees about the target, 0 = from -y.
    """

    patches: tuple[Patch, ...]
    lighting: Lighting
    target: Vector
    radius_m: float
    arc_deg: tuple[float, float]
    heights_m: tuple[float, float]

    def world(self, seed: int, detail: float = 1.0) -> World:
        """The room painted and lit; detail: of the textures, 1 is right for photos 640 pixels wide."""
        return baked_world(self.patches, self.lighting, seed, detail)


def training_cameras(room: Room, count: int, size: tuple[int, int], seed: int) -> list[Camera]:
    """`count` views: there along the arc at the first height and back at the second."""
    there = (count + 1) // 2
    stops = [(k / max(there - 1, 1), 0.0) for k in range(there)]
    back = count - there
    stops += [(1 - (k + 0.5) / back, 1.0) for k in range(back)]
    return [_camera(room, stop, f"{k:03d}.png", size, unit_seed(seed, f"train/{k}")) for k, stop in enumerate(stops)]


def held_out_cameras(room: Room, count: int, size: tuple[int, int], seed: int) -> list[Camera]:
    """`count` views between the two passes of the walk."""
    stops = [((k + 0.5) / count, (0.35, 0.65)[k % 2]) for k in range(count)]
    return [_camera(room, stop, f"{k:03d}.png", size, unit_seed(seed, f"test/{k}")) for k, stop in enumerate(stops)]


def _camera(room: Room, stop: tuple[float, float], name: str, size: tuple[int, int], seed: int) -> Camera:
    """A hand-held camera at (place on the arc, place between the two heights), both from 0 to 1."""
    rng = np.random.default_rng(seed)
    first, last = room.arc_deg
    angle = np.deg2rad(first + (last - first) * stop[0])
    radius = room.radius_m + 0.12 * stop[1] + rng.uniform(-0.05, 0.05)
    target = np.asarray(room.target)
    height = room.heights_m[0] + (room.heights_m[1] - room.heights_m[0]) * stop[1]
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
