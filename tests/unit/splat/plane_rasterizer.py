"""A rasterizer with an exact answer: a textured plane in the world, with an optional window in it.

It ignores the Gaussians it is given. Every pixel centre is intersected with the plane z_world = `plane_z`, so that
depth, disparity and the rows of both eyes are known in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from builders import camera_at, make_gaussians, make_points

from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.geometry.projection import unproject
from gs_stereo.geometry.rotations import matrix_from_axis_angle
from gs_stereo.geometry.trajectories import pose_from_rotation_and_centre
from gs_stereo.splat.raster.protocol import RenderExtras, RenderOutput, RenderSettings
from gs_stereo.types import Camera, SparseScene, StereoRig
from gs_stereo.types.gaussians import Gaussians


def no_gaussians() -> Gaussians:
    return make_gaussians([])


@dataclass
class PlaneRasterizer:
    """Plane z_world = plane_z, visible where |x_world| <= half_width; the mean depth is off by `mean_shift`."""

    plane_z: float = 4.0
    half_width: float = float("inf")
    mean_shift: float = 0.0
    detail: float = 1.0
    calls: int = 0
    name: ClassVar[str] = "plane"
    device: ClassVar[torch.device] = torch.device("cpu")

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        settings: RenderSettings,
        extras: RenderExtras = RenderExtras(),
    ) -> RenderOutput:
        self.calls += 1
        rgb, alpha, depth = (np.stack(arrays) for arrays in zip(*map(self._view, cameras), strict=True))
        z = torch.from_numpy(np.nan_to_num(depth)).float()
        a = torch.from_numpy(alpha).float()
        return RenderOutput(
            rgb=torch.from_numpy(rgb).float().permute(0, 3, 1, 2),
            alpha=a,
            z_sum=a * z * (1 + self.mean_shift),
            z2_sum=a * (z * (1 + self.mean_shift)) ** 2,
            median_depth=torch.from_numpy(np.where(alpha > 0.5, depth, np.nan)).float(),
            radii_px=torch.zeros(len(cameras), len(gaussians)),
        )

    def render_stereo(
        self, gaussians: Gaussians, rig: StereoRig, settings: RenderSettings
    ) -> tuple[RenderOutput, RenderOutput]:
        both = self.render(gaussians, [rig.left, rig.right], settings)
        return both.view(0), both.view(1)

    def _view(self, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pixels = pixel_centres(camera.width, camera.height)
        along = unproject(camera, pixels, np.ones(pixels.shape[:2])) - camera.centre_in_world
        with np.errstate(divide="ignore"):
            depth = (self.plane_z - camera.centre_in_world[2]) / along[..., 2]
        depth = np.where(depth > 0, depth, np.nan)
        surface = camera.centre_in_world + along * depth[..., None]
        alpha = (np.abs(surface[..., 0]) <= self.half_width).astype(np.float64)
        surface = np.nan_to_num(surface)
        waves = np.stack([np.sin(9 * surface[..., 0]), np.sin(11 * surface[..., 1]), np.sin(7 * surface.sum(-1))], -1)
        # Beyond [0, 1] on purpose: rasterizers do not clamp either.
        return (0.5 + 0.7 * self.detail * waves) * alpha[..., None], alpha, np.where(alpha > 0, depth, np.nan)


def view_at(x: float = 0.0, y: float = 0.0, z: float = 0.0, *, name: str = "view", size=(64, 48)) -> Camera:
    """A camera that looks along world +z; focal length 60 px at width 64, the principal point off the centre."""
    focal = 60.0 * size[0] / 64
    principal = (size[0] / 2 + 1.25, size[1] / 2 - 0.75)
    return camera_at(name, x, y, z, size=size, focal_px=(focal, focal * 1.01), principal_px=principal)


def turned(camera: Camera, degrees: float) -> Camera:
    """The camera turned to the right about its own y axis, at the same place."""
    rotation = matrix_from_axis_angle(np.array([0, -np.radians(degrees), 0])) @ camera.cam_from_world[:3, :3]
    return replace(camera, cam_from_world=pose_from_rotation_and_centre(rotation, camera.centre_in_world))


def plane_scene(names: Sequence[str], spacing: float = 0.5, point_count: int = 200) -> SparseScene:
    """Photos side by side before the plane z = 4, and points on it."""
    xy = np.random.default_rng(3).uniform(-3, 3, size=(point_count, 2))
    points = make_points(np.column_stack([xy, np.full(len(xy), 4.0)]), rgb=0, error_px=0.0)
    cameras = tuple(view_at(spacing * number, name=name) for number, name in enumerate(names))
    return SparseScene(cameras=cameras, points=points)
