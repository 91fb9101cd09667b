"""Photos of a wall z = 2 with a smooth random texture, and SfM points on it."""

from __future__ import annotations

import cv2
import numpy as np

from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.geometry.projection import inside, project, unproject
from gs_stereo.types import Camera, SparsePoints, SparseScene
from gs_stereo.types.photo_source import PhotoSource

_TEXELS_PER_UNIT = 100


def textured_wall(views: int = 4) -> tuple[SparseScene, PhotoSource]:
    """A row of 96x64 views whose pixels move by 10 px from view to view."""
    random = np.random.default_rng(0)
    noise = cv2.GaussianBlur(random.uniform(0, 255, (400, 600, 3)).astype(np.float32), (0, 0), 3.0)
    texture = np.clip((noise - noise.mean()) * 8 + 128, 0, 255)
    intrinsics = np.array([[80.0, 0, 48], [0, 80.0, 32], [0, 0, 1]])
    cameras, photos = [], {}
    for index in range(views):
        pose = np.eye(4)
        pose[0, 3] = -0.25 * (index - (views - 1) / 2)
        camera = Camera(name=f"{index}.png", width=96, height=64, intrinsics=intrinsics, cam_from_world=pose)
        xyz = unproject(camera, pixel_centres(96, 64), np.full((64, 96), 2.0))
        texel = (xyz[..., :2] * _TEXELS_PER_UNIT + [300, 200]).astype(np.float32)
        photos[camera.name] = (
            cv2.remap(texture, texel[..., 0], texel[..., 1], cv2.INTER_LINEAR).round().astype(np.uint8)
        )
        cameras.append(camera)
    xyz = np.concatenate([random.uniform([-1.5, -0.8], [1.5, 0.8], (60, 2)), np.full((60, 1), 2.0)], axis=1)
    points = SparsePoints(
        xyz_in_world=xyz, rgb=np.full((60, 3), 128, np.uint8), error_px=np.ones(60), track_length=np.full(60, views)
    )
    visible = tuple(np.flatnonzero(inside(camera, project(camera, xyz)[0])) for camera in cameras)
    return SparseScene(cameras=tuple(cameras), points=points, visible_points=visible), photos.__getitem__
