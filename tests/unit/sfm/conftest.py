"""A tiny capture with exact cameras: a textured board before a textured wall, seen from a row of places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import builders
import cv2
import numpy as np
import pytest

from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.geometry.rotations import matrix_from_quaternion
from gs_stereo.imaging.images import write_png
from gs_stereo.sfm.lens import Lens, undistort
from gs_stereo.types import Camera

WIDTH, HEIGHT, FOCAL_PX = 320, 240, 300.0
TEXELS_PER_UNIT = 160.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Capture:
    folder: Path
    cameras: tuple[Camera, ...]


@lru_cache
def texture(seed: int) -> np.ndarray:
    """Smooth noise of several sizes: SIFT finds features at several scales, a few hundred a photo, which match fast."""
    random = np.random.default_rng(seed)
    image = np.zeros((1024, 1024, 3), dtype=np.float32)
    for cell in (12, 24, 48):
        coarse = random.normal(size=(1024 // cell, 1024 // cell, 3)).astype(np.float32)
        image += cv2.resize(coarse, (1024, 1024), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 40 * image, 0, 255).astype(np.uint8)


def look(camera: Camera, rays: np.ndarray) -> np.ndarray:
    """The picture along rays (x, y, 1): wall at z = 5, board at z = 3.5 for -1 < x < 0.6, |y| < 0.8."""
    world_from_cam = camera.world_from_cam
    directions = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1) @ world_from_cam[:3, :3].T
    picture = np.zeros((*rays.shape[:2], 3), dtype=np.uint8)
    for depth, seed in ((5.0, 1), (3.5, 2)):
        hit = camera.centre_in_world + directions * ((depth - camera.centre_in_world[2]) / directions[..., 2:])
        texel = (hit[..., :2] * TEXELS_PER_UNIT + 512).astype(np.float32)
        layer = cv2.remap(texture(seed), texel[..., 0], texel[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        on_board = (hit[..., 0] > -1) & (hit[..., 0] < 0.6) & (np.abs(hit[..., 1]) < 0.8)
        picture = np.where(on_board[..., None] | (depth == 5.0), layer, picture)
    return picture


def camera_at(index: int, count: int) -> Camera:
    offset = index / (count - 1) - 0.5
    turn = -0.15 * offset
    pose = np.eye(4)
    pose[:3, :3] = matrix_from_quaternion(np.array([np.cos(turn), 0.02 * offset, np.sin(turn), 0.05 * offset]))
    pose[:3, 3] = -pose[:3, :3] @ np.array([1.6 * offset, 0.3 * offset**2, 0.2 * np.sin(5 * offset)])
    camera = builders.camera_at(f"foto é{index}.png", size=(WIDTH, HEIGHT), focal_px=FOCAL_PX)
    return replace(camera, cam_from_world=pose)


def lens_of(camera: Camera, *coefficients: float) -> Lens:
    values = np.zeros(8)
    values[: len(coefficients)] = coefficients
    return Lens(width=camera.width, height=camera.height, intrinsics=camera.intrinsics, coefficients=values)


def render(camera: Camera, *coefficients: float) -> np.ndarray:
    """Two by two samples a pixel, through a lens with the given distortion."""
    fine = camera.resized(2 * camera.width, 2 * camera.height)
    lens = lens_of(fine, *coefficients)
    centres = pixel_centres(fine.width, fine.height)
    rays = undistort(lens, centres.reshape(-1, 2)).reshape(centres.shape)
    return cv2.resize(look(camera, rays), (camera.width, camera.height), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="session")
def make_capture() -> Callable[..., Capture]:
    def make(folder: Path, count: int = 5, coefficients: tuple[float, ...] = ()) -> Capture:
        cameras = tuple(camera_at(index, count) for index in range(count))
        for camera in cameras:
            write_png(folder / camera.name, render(camera, *coefficients))
        return Capture(folder=folder, cameras=cameras)

    return make


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory, make_capture: Callable[..., Capture]) -> Capture:
    return make_capture(tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="session")
def render_scene() -> Callable[..., np.ndarray]:
    return render
