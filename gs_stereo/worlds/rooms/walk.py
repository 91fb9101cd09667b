"""A room, and the path of a person who walks in it and looks around, phone in hand."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from jaxtyping import Float64

from gs_stereo.core.hashing import unit_seed
from gs_stereo.types import Camera
from gs_stereo.worlds.cameras import looking
from gs_stereo.worlds.light.baked import Lighting, baked_world, part_of
from gs_stereo.worlds.mesh import Vector
from gs_stereo.worlds.patches import Patch
from gs_stereo.worlds.render import render
from gs_stereo.worlds.world import World

_FOCAL_PER_WIDTH = 0.8125
_FINE_DETAIL = 0.5
# A camera's meter: three quarters of the picture are darker than this linear light.
_METERED_SHARE, _METERED_LIGHT = 75.0, 0.42


@dataclass(frozen=True, kw_only=True, eq=False)
class Stand:
    """Place of an eye, and what it looks at."""

    eye: Float64[np.ndarray, "3"]
    aim: Float64[np.ndarray, "3"]


class Walk(Protocol):
    """Where one stands and looks at a stop: (place along the path, place between the two passes), both 0 to 1."""

    def stand(self, stop: tuple[float, float], rng: np.random.Generator) -> Stand: ...


@dataclass(frozen=True, kw_only=True)
class Arc:
    """About a target, there at the first height and back at the second; (start, end) in degrees, 0 = from -y."""

    target: Vector
    radius_m: float
    arc_deg: tuple[float, float]
    heights_m: tuple[float, float]

    def stand(self, stop: tuple[float, float], rng: np.random.Generator) -> Stand:
        first, last = self.arc_deg
        angle = np.deg2rad(first + (last - first) * stop[0])
        radius = self.radius_m + 0.12 * stop[1] + rng.uniform(-0.05, 0.05)
        target = np.asarray(self.target)
        height = self.heights_m[0] + (self.heights_m[1] - self.heights_m[0]) * stop[1]
        eye = np.array([target[0] + radius * np.sin(angle), target[1] - radius * np.cos(angle), height])
        return Stand(eye=eye, aim=target)


@dataclass(frozen=True, kw_only=True)
class Line:
    """From place to place, and back `aside`; the look goes from the first aim to the last."""

    start: Vector
    end: Vector
    aside: Vector
    aims: tuple[Vector, Vector]

    def stand(self, stop: tuple[float, float], rng: np.random.Generator) -> Stand:
        (start, end), (first, last) = np.asarray((self.start, self.end)), np.asarray(self.aims)
        eye = start + (end - start) * stop[0] + np.asarray(self.aside) * stop[1]
        return Stand(eye=eye + rng.uniform(-0.05, 0.05, 3), aim=first + (last - first) * stop[0])


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a room is made of, and where one walks.

    metered: exposed for what the walker sees, not by its lighting. passing: what is there in some photos only.
    """

    patches: tuple[Patch, ...]
    lighting: Lighting
    walk: Walk
    metered: bool = False
    passing: tuple[Patch, ...] = ()

    def world(self, seed: int, detail: float = 1.0) -> World:
        """The room, with all that passes, painted and lit.

        detail: of the textures, 1 is right for photos 640 pixels wide.
        """
        # Baking takes most of the time of a small sample; few of its pixels see a cell's border.
        lighting = replace(self.lighting, coarser=max(1.0, _FINE_DETAIL / detail)) if self.metered else self.lighting
        world = baked_world((*self.patches, *self.passing), lighting, seed, detail, len(self.passing))
        if not self.metered:
            return world
        lasting = np.arange(len(world.finishes)) < len(self.patches)
        empty = part_of(world, lasting) if self.passing else world
        looks = [render(empty, camera).light for camera in training_cameras(self, 5, (64, 48), seed)]
        bright = np.percentile(np.mean(looks, axis=-1), _METERED_SHARE)
        return replace(world, exposure=float(_METERED_LIGHT / max(bright, 1e-3)))


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
    """A hand-held camera at a stop of the walk."""
    rng = np.random.default_rng(seed)
    stand = room.walk.stand(stop, rng)
    eye = stand.eye + rng.uniform(-0.03, 0.03, 3)
    aim = stand.aim + rng.uniform(-0.06, 0.06, 3)
    roll = np.deg2rad(rng.uniform(-2.0, 2.0))
    width, height_px = size
    focal = _FOCAL_PER_WIDTH * width
    intrinsics = np.array([[focal, 0.0, width / 2], [0.0, focal, height_px / 2], [0.0, 0.0, 1.0]])
    return Camera(
        name=name, width=width, height=height_px, intrinsics=intrinsics, cam_from_world=looking(eye, aim, roll)
    )
