"""A tiny scene with known Gaussians: a textured wall with a box before it, seen by a row of cameras."""

from __future__ import annotations

import math

import numpy as np
import torch

from gs_stereo.geometry.projection import inside, project
from gs_stereo.splat.raster.protocol import RenderSettings
from gs_stereo.splat.raster.reference import ReferenceRasterizer
from gs_stereo.types import Camera, SparsePoints, SparseScene
from gs_stereo.types.gaussians import Gaussians
from gs_stereo.types.photo_source import PhotoSource

WIDTH, HEIGHT, FOCAL = 48, 32, 40.0


def camera_at(name: str, x: float, y: float = 0.0) -> Camera:
    """A camera at (x, y, 0) that looks along +z."""
    pose = np.eye(4)
    pose[:3, 3] = [-x, -y, 0.0]
    intrinsics = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
    return Camera(name=name, width=WIDTH, height=HEIGHT, intrinsics=intrinsics, cam_from_world=pose)


def true_gaussians(count: int = 160, seed: int = 3) -> Gaussians:
    """Opaque Gaussians on the wall z = 2 and on a box at z = 1.5."""
    random = np.random.default_rng(seed)
    means = np.stack([random.uniform(-1.6, 1.6, count), random.uniform(-1.1, 1.1, count), np.full(count, 2.0)], 1)
    near = (np.abs(means[:, 0]) < 0.4) & (np.abs(means[:, 1]) < 0.4)
    means[near, 2] = 1.5
    sh = np.zeros((count, 1, 3))
    sh[:, 0] = random.uniform(-1.5, 1.5, (count, 3))
    return Gaussians(
        means=torch.tensor(means, dtype=torch.float32),
        quats_wxyz=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.full((count, 3), math.log(0.09)),
        opacity_logits=torch.full((count,), 3.0),
        sh=torch.tensor(sh, dtype=torch.float32),
    )


def tiny_scene(views: int = 9) -> tuple[SparseScene, PhotoSource]:
    """The scene with its photos; the SfM points are half of the Gaussians' centres."""
    truth = true_gaussians()
    cameras = tuple(camera_at(f"{index:03d}.png", x) for index, x in enumerate(np.linspace(-0.4, 0.4, views)))
    rasterizer = ReferenceRasterizer()
    photos = {}
    for camera in cameras:
        rgb = rasterizer.render(truth, [camera], RenderSettings()).rgb[0]
        photos[camera.name] = (rgb.clamp(0, 1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    xyz = truth.means[::2].numpy().astype(np.float64)
    rgb = ((truth.sh[::2, 0] * 0.28209479 + 0.5).clamp(0, 1).numpy() * 255).astype(np.uint8)
    points = SparsePoints(
        xyz_in_world=xyz, rgb=rgb, error_px=np.full(len(xyz), 0.3), track_length=np.full(len(xyz), views)
    )
    visible = tuple(np.flatnonzero(inside(camera, project(camera, xyz)[0])) for camera in cameras)
    return SparseScene(cameras=cameras, points=points, visible_points=visible), photos.__getitem__
