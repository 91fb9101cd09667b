"""Virtual views of a capture: between neighbouring photos, or near one photo, never outside the capture's hull.

Names are `interpolate_00000` and `perturb_00000`; sizes and intrinsics are those of the photo closest to the view.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from gs_stereo.errors import InputError
from gs_stereo.geometry.rotations import matrix_from_axis_angle, slerp
from gs_stereo.geometry.view_selection import camera_centres, nearest_by_step, optical_axes, short_path, step_costs
from gs_stereo.types import Camera

_JUMP = 3.0
"""A step of the path that is this many times the median step joins photos that are no neighbours."""

_NEIGHBOURS = 6


def pose_from_rotation_and_centre(
    cam_from_world_rotation: Float[np.ndarray, "3 3"], centre_in_world: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "4 4"]:
    """`cam_from_world` of a camera with this orientation and projection centre."""
    pose = np.eye(4)
    pose[:3, :3] = cam_from_world_rotation
    pose[:3, 3] = -cam_from_world_rotation @ centre_in_world
    return pose


def between(first: Camera, second: Camera, share: float, name: str) -> Camera:
    """The view `share` of the way from one camera to another: centre on the line, orientation by slerp."""
    centre = (1.0 - share) * first.centre_in_world + share * second.centre_in_world
    rotation = slerp(first.cam_from_world[:3, :3], second.cam_from_world[:3, :3], share)
    closer = first if share <= 0.5 else second
    return replace(closer, name=name, cam_from_world=pose_from_rotation_and_centre(rotation, centre))


def interpolated_cameras(cameras: Sequence[Camera], count: int) -> list[Camera]:
    """`count` views spread evenly along a short path through the cameras, without its jumps.

    Raises InputError for fewer than two cameras.
    """
    _need_two(cameras, "interpolate")
    order = short_path(cameras)
    steps = step_costs(cameras)[order[:-1], order[1:]]
    kept = np.flatnonzero(steps <= _JUMP * np.median(steps))
    ends = np.concatenate([[0.0], np.cumsum(steps[kept])])
    views = []
    for number, position in enumerate((np.arange(count) + 0.5) / count * ends[-1]):
        segment = min(int(np.searchsorted(ends, position, side="right")) - 1, len(kept) - 1)
        length = ends[segment + 1] - ends[segment]
        share = (position - ends[segment]) / length if length > 0 else 0.5
        first, second = order[kept[segment]], order[kept[segment] + 1]
        views.append(between(cameras[first], cameras[second], float(share), f"interpolate_{number:05d}"))
    return views


def neighbours(cameras: Sequence[Camera]) -> Int[np.ndarray, "n k"]:
    """For each camera the indices of its (at most six) nearest others, nearest first. InputError for one camera."""
    _need_two(cameras, "perturb")
    return nearest_by_step(cameras, _NEIGHBOURS)


def perturbed_camera(
    camera: Camera, near: Sequence[Camera], magnitude: tuple[float, float], rng: np.random.Generator
) -> Camera:
    """The camera moved a little towards its neighbours `near` and turned a little about a random axis.

    magnitude: the largest motion and the largest turn, in units of the median distance and the median angle between
    the camera and its neighbours. The new centre is a convex combination of the old ones, so it stays in the hull
    of the capture, also where the capture is a line or a plane.
    """
    offsets = camera_centres(near) - camera.centre_in_world
    spacing = float(np.median(np.linalg.norm(offsets, axis=1)))
    angle = float(np.median(np.arccos(np.clip(optical_axes(near) @ camera.cam_from_world[2, :3], -1.0, 1.0))))

    step = rng.dirichlet(np.ones(len(near))) @ offsets
    length = float(np.linalg.norm(step))
    wanted = rng.uniform() * magnitude[0] * spacing
    centre = camera.centre_in_world + step * (min(1.0, wanted / length) if length > 0 else 0.0)

    axis = rng.normal(size=3)
    turn = axis / np.linalg.norm(axis) * (rng.uniform() * magnitude[1] * angle)
    rotation = matrix_from_axis_angle(turn) @ camera.cam_from_world[:3, :3]
    return replace(camera, cam_from_world=pose_from_rotation_and_centre(rotation, centre))


def _need_two(cameras: Sequence[Camera], views: str) -> None:
    if len(cameras) < 2:
        raise InputError(
            f"Views of the kind {views!r} need at least two registered photos, there are {len(cameras)}; "
            "use views=train, or register more photos."
        )
