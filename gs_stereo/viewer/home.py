"""Where a browser begins: the display frame of a scene and the first view, from whatever parts the scene has."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.geometry.local_frame import local_origin
from gs_stereo.geometry.view_selection import camera_centres
from gs_stereo.types import Camera, StereoRig
from gs_stereo.viewer.contents import SceneContents
from gs_stereo.viewer.frame import DisplayFrame, display_frame
from gs_stereo.viewer.pictures import label_points

_STEP_BACK = 0.25
_USUAL_DISTANCE_IN_BASELINES = 10.0
_ENOUGH_POINTS = 10_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Home:
    """The frame, and the first view: where to stand and what to look at, in the world."""

    frame: DisplayFrame
    position_in_world: Float[np.ndarray, "3"]
    target_in_world: Float[np.ndarray, "3"]


def find_home(contents: SceneContents) -> Home:
    """A step behind the camera in the middle of the capture; without any camera, in front of the splat."""
    sample = _first_sample(contents)
    cameras = _cameras(contents, sample)
    centres = camera_centres(cameras)
    origin = contents.renderer.origin if contents.renderer is not None else local_origin(centres)
    frame = display_frame(cameras, _surface_points(contents, sample), origin)
    distance = 1.0 / frame.display_per_unit
    if not cameras:
        target = frame.focus_in_world
        return Home(frame=frame, position_in_world=target - [0.0, 0.0, distance], target_in_world=target)
    camera = cameras[len(cameras) // 2]
    step = camera.world_from_cam[:3, 2] * distance
    centre = camera.centre_in_world
    return Home(frame=frame, position_in_world=centre - _STEP_BACK * step, target_in_world=centre + step)


def _first_sample(contents: SceneContents) -> ShardSample | None:
    """A labelled sample, only where nothing else says how large the scene is."""
    if contents.sparse is not None or contents.renderer is not None:
        return None
    for dataset in contents.datasets.values():
        try:
            return dataset.read(0) if dataset.sample_ids else None
        except InputError:
            continue  # the label panel says so when it is chosen
    return None


def _cameras(contents: SceneContents, sample: ShardSample | None) -> tuple[Camera, ...]:
    if contents.sparse is not None:
        return contents.sparse.cameras
    if rigs := _all_rigs(contents):
        return tuple(rig.left for rig in rigs)
    return () if sample is None else (sample.rig.left,)


def _surface_points(contents: SceneContents, sample: ShardSample | None) -> Float[np.ndarray, "n 3"]:
    """SfM points, else the splat's centres, else the label's, else a guess from the baselines of the rigs."""
    if contents.sparse is not None and len(contents.sparse.points):
        return contents.sparse.points.xyz_in_world
    if contents.renderer is not None:
        means = contents.renderer.gaussians.means.detach().cpu().numpy().astype(np.float64)
        return means + np.array(contents.renderer.origin)
    if sample is not None and len(points := label_points(sample, 0.0, "image", _ENOUGH_POINTS)):
        return points.xyz_in_world
    return np.array([_usual_point(rig) for rig in _all_rigs(contents)]).reshape(-1, 3)


def _usual_point(rig: StereoRig) -> Float[np.ndarray, "3"]:
    """On the optical axis, as far away as scenes of such a baseline usually are."""
    ahead = rig.left.world_from_cam[:3, 2] * rig.baseline * _USUAL_DISTANCE_IN_BASELINES
    return np.asarray(rig.left.centre_in_world + ahead)


def _all_rigs(contents: SceneContents) -> list[StereoRig]:
    return [rig for rigs in contents.rigs.values() for rig in rigs]
