"""Random scenes of Gaussians in front of a camera, for the rasterizer tests and benchmarks."""

from __future__ import annotations

import numpy as np
import torch

from gs_stereo.types import Camera
from gs_stereo.types.gaussians import Gaussians


def random_camera(width: int, height: int) -> Camera:
    """Looks along +z, turned and moved a little, with a principal point off the centre."""
    turn, tilt = np.deg2rad(20.0), np.deg2rad(-7.0)
    about_y = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = about_x @ about_y
    cam_from_world[:3, 3] = 0.3, -0.2, 0.5
    focal = 0.9 * width
    intrinsics = np.array([[focal, 0, 0.52 * width], [0, 1.05 * focal, 0.47 * height], [0, 0, 1]])
    return Camera(name="random", width=width, height=height, intrinsics=intrinsics, cam_from_world=cam_from_world)


def random_scene(
    count: int, width: int, height: int, sigma_px: float = 2.0, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[Gaussians, Camera]:
    """`count` Gaussians spread a little past the image at depths 2 to 8, with about `sigma_px` standard deviation."""
    rng = np.random.default_rng(seed)
    camera = random_camera(width, height)
    z = rng.uniform(2.0, 8.0, count)
    x = rng.uniform(-0.1 * width, 1.1 * width, count)
    y = rng.uniform(-0.1 * height, 1.1 * height, count)
    rays = np.stack([x, y, np.ones(count)], axis=-1) @ np.linalg.inv(camera.intrinsics).T
    rotation, translation = camera.cam_from_world[:3, :3], camera.cam_from_world[:3, 3]
    size = sigma_px * np.exp(rng.normal(0, 0.5, (count, 1)) + rng.normal(0, 0.6, (count, 3)))
    sh = rng.normal(0, 0.15, (count, 16, 3))
    sh[:, 0] = rng.normal(0, 0.9, (count, 3))
    arrays = {
        "means": (rays * z[:, None] - translation) @ rotation,
        "quats_wxyz": rng.normal(size=(count, 4)),
        "log_scales": np.log(size * z[:, None] / camera.intrinsics[0, 0]),
        "opacity_logits": rng.normal(-0.4, 1.6, count),
        "sh": sh,
    }
    return Gaussians(**{name: torch.from_numpy(array).to(dtype) for name, array in arrays.items()}), camera


def trainable(gaussians: Gaussians, dtype: torch.dtype) -> Gaussians:
    """Fresh leaves that require grad."""
    return Gaussians(
        **{name: tensor.detach().to(dtype).clone().requires_grad_() for name, tensor in gaussians.tensors().items()}
    )


def relative_l2(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """|actual - expected| / |expected|."""
    return float((actual.double() - expected.double()).norm() / expected.double().norm().clamp_min(1e-30))
