"""What tests are made of: cameras, points, scenes, splats, pairs, samples, data sets and images.

Defaults are tiny and awkward (names with accents, pixels without label, off-centre principal points where it matters);
a test names only what it is about. The same arguments give the same values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from twins.rasterizer import ReferenceRasterizer

from gs_stereo.datasets.schema import DatasetInfo, ShardSample
from gs_stereo.datasets.write import ShardWriting, write_dataset
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.geometry.projection import inside, project, unproject
from gs_stereo.geometry.rotations import matrix_from_axis_angle
from gs_stereo.splat.raster.protocol import RenderSettings
from gs_stereo.types import Camera, DepthMaps, LabelFlag, Provenance, SparsePoints, SparseScene, StereoPair, StereoRig
from gs_stereo.types.gaussians import Gaussians
from gs_stereo.types.photo_source import PhotoSource

WIDTH, HEIGHT = 48, 32  # of `camera_at` and `tiny_scene`
SAMPLE_SHAPE = (12, 20)  # of `make_sample`
BOARD_SHAPE, BOARD_FOCAL_TIMES_BASELINE = (40, 160), 100.0 * 0.2  # of `board_pair`
SH_OF_WHITE = 0.28209479  # the constant spherical harmonic


# Images


def noise(shape: tuple[int, int], seed: int = 0, sigma_px: float = 0.0) -> np.ndarray:
    """Random uint8 RGB, smoothed where sigma_px > 0."""
    values = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px)) if sigma_px else values


def gradient(shape: tuple[int, int], phase: int = 0) -> np.ndarray:
    """Smooth uint8 RGB, which JPEG keeps well."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    channels = [rows * 9 + phase * 5, columns * 7 + phase * 3, rows * 4 + columns * 5 + phase]
    return np.stack(channels, axis=-1).astype(np.uint8)


def shifted_pair(size: tuple[int, int], shift_px: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth uint8 noise (H, W, 3) and the same moved left by `shift_px`: the disparity is `shift_px` everywhere."""
    height, width = size
    wide = noise((height, width + shift_px), seed, 1.2)
    return wide[:, :width].copy(), wide[:, shift_px:].copy()


# Cameras and what they see


def camera_at(
    name: str = "view",
    x: float = 0.0,
    y: float = 0.0,
    z: float = 0.0,
    *,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    focal_px: float | tuple[float, float] = 40.0,
    principal_px: tuple[float, float] | None = None,
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Camera:
    """A camera at (x, y, z). Unturned it looks along +z; turn_deg: the axis and angle of its cam_from_world rotation.

    size and principal_px are (x, y), the principal point the image's centre by default.
    """
    pose = np.eye(4)
    pose[:3, :3] = matrix_from_axis_angle(np.radians(np.array(turn_deg, float)))
    pose[:3, 3] = -pose[:3, :3] @ np.array([x, y, z], float)
    fx, fy = focal_px if isinstance(focal_px, tuple) else (focal_px, focal_px)
    cx, cy = principal_px or (size[0] / 2, size[1] / 2)
    intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    return Camera(name=name, width=size[0], height=size[1], intrinsics=intrinsics, cam_from_world=pose)


def make_points(xyz_in_world: Any, *, rgb: Any = 128, error_px: Any = 1.0, track_length: Any = 2) -> SparsePoints:
    """SfM points; one colour, error and track length for all, or an array each."""
    xyz = np.asarray(xyz_in_world, float).reshape(-1, 3)
    count = len(xyz)
    return SparsePoints(
        xyz_in_world=xyz,
        rgb=np.array(np.broadcast_to(np.asarray(rgb, np.uint8), (count, 3))),
        error_px=np.array(np.broadcast_to(np.asarray(error_px, float), count)),
        track_length=np.array(np.broadcast_to(np.asarray(track_length), count)),
    )


def make_scene(cameras: Iterable[Camera], points: SparsePoints, **values: Any) -> SparseScene:
    """Each camera sees the points that fall into its image."""
    cameras = tuple(cameras)
    visible = tuple(np.flatnonzero(inside(camera, project(camera, points.xyz_in_world)[0])) for camera in cameras)
    return SparseScene(**{"cameras": cameras, "points": points, "visible_points": visible, **values})


def textured_wall(views: int = 4) -> tuple[SparseScene, PhotoSource]:
    """A wall z = 2 with a smooth random texture: a row of 96x64 views whose pixels move by 10 px from view to view."""
    random = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(random.uniform(0, 255, (400, 600, 3)).astype(np.float32), (0, 0), 3.0)
    texture = np.clip((smooth - smooth.mean()) * 8 + 128, 0, 255)
    cameras, photos = [], {}
    for index in range(views):
        camera = camera_at(f"{index}.png", 0.25 * (index - (views - 1) / 2), size=(96, 64), focal_px=80.0)
        xyz = unproject(camera, pixel_centres(96, 64), np.full((64, 96), 2.0))
        texel = (xyz[..., :2] * 100 + [300, 200]).astype(np.float32)
        seen = cv2.remap(texture, texel[..., 0], texel[..., 1], cv2.INTER_LINEAR)
        photos[camera.name] = seen.round().astype(np.uint8)
        cameras.append(camera)
    xyz = np.concatenate([random.uniform([-1.5, -0.8], [1.5, 0.8], (60, 2)), np.full((60, 1), 2.0)], axis=1)
    return make_scene(cameras, make_points(xyz, track_length=views)), photos.__getitem__


# Splats


def make_gaussians(
    means: Any, *, scale: float = 0.1, opacity_logit: Any = 3.0, sh: Any = 0.0, dtype: torch.dtype = torch.float32
) -> Gaussians:
    """Round Gaussians. opacity_logit: one for all, or (n,). sh: (n, k, 3), or one number for a single coefficient."""
    places = np.asarray(means, float).reshape(-1, 3)
    count = len(places)
    coefficients = np.full((count, 1, 3), sh) if np.ndim(sh) == 0 else np.asarray(sh)
    return Gaussians(
        means=torch.tensor(places, dtype=dtype),
        quats_wxyz=torch.tensor([[1.0, 0, 0, 0]], dtype=dtype).repeat(count, 1),
        log_scales=torch.full((count, 3), math.log(scale), dtype=dtype),
        opacity_logits=torch.as_tensor(opacity_logit, dtype=dtype).broadcast_to(count).clone(),
        sh=torch.tensor(coefficients, dtype=dtype),
    )


def true_gaussians(count: int = 160, seed: int = 3) -> Gaussians:
    """Opaque Gaussians on the wall z = 2 and on a box at z = 1.5."""
    random = np.random.default_rng(seed)
    means = np.stack([random.uniform(-1.6, 1.6, count), random.uniform(-1.1, 1.1, count), np.full(count, 2.0)], 1)
    near = (np.abs(means[:, 0]) < 0.4) & (np.abs(means[:, 1]) < 0.4)
    means[near, 2] = 1.5
    return make_gaussians(means, scale=0.09, sh=random.uniform(-1.5, 1.5, (count, 3))[:, None])


def tiny_scene(views: int = 9) -> tuple[SparseScene, PhotoSource]:
    """`true_gaussians` seen by a row of cameras; the SfM points are half of the Gaussians' centres."""
    truth = true_gaussians()
    cameras = tuple(camera_at(f"{index:03d}.png", x) for index, x in enumerate(np.linspace(-0.4, 0.4, views)))
    photos = {}
    for camera in cameras:
        seen = ReferenceRasterizer().render(truth, [camera], RenderSettings()).rgb[0]
        photos[camera.name] = (seen.clamp(0, 1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    rgb = ((truth.sh[::2, 0] * SH_OF_WHITE + 0.5).clamp(0, 1).numpy() * 255).astype(np.uint8)
    points = make_points(truth.means[::2].numpy(), rgb=rgb, error_px=0.3, track_length=views)
    return make_scene(cameras, points), photos.__getitem__


def random_scene(
    count: int, width: int, height: int, sigma_px: float = 2.0, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[Gaussians, Camera]:
    """`count` Gaussians spread a little past the image at depths 2 to 8, with about `sigma_px` standard deviation.

    The camera is turned and moved a little, its principal point off the centre.
    """
    rng = np.random.default_rng(seed)
    camera = _random_camera(width, height)
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


def _random_camera(width: int, height: int) -> Camera:
    turn, tilt = np.deg2rad(20.0), np.deg2rad(-7.0)
    about_y = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = about_x @ about_y
    cam_from_world[:3, 3] = 0.3, -0.2, 0.5
    focal = 0.9 * width
    intrinsics = np.array([[focal, 0, 0.52 * width], [0, 1.05 * focal, 0.47 * height], [0, 0, 1]])
    return Camera(name="random", width=width, height=height, intrinsics=intrinsics, cam_from_world=cam_from_world)


def trainable(gaussians: Gaussians, dtype: torch.dtype) -> Gaussians:
    """Fresh leaves that require grad."""
    return Gaussians(
        **{name: tensor.detach().to(dtype).clone().requires_grad_() for name, tensor in gaussians.tensors().items()}
    )


def relative_l2(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """|actual - expected| / |expected|."""
    return float((actual.double() - expected.double()).norm() / expected.double().norm().clamp_min(1e-30))


# Pairs whose truth is known in closed form


@dataclass(frozen=True, kw_only=True)
class Board:
    """A fronto-parallel board: covers image-plane columns [x_from, x_to) of the left image, all rows."""

    disparity_px: float
    x_from: float = -np.inf
    x_to: float = np.inf

    def covers(self, x_left: np.ndarray) -> np.ndarray:
        return (x_left >= self.x_from) & (x_left < self.x_to)


def nearest_board(boards: tuple[Board, ...], x: np.ndarray, eye: float) -> np.ndarray:
    """Largest disparity seen at image-plane column x; eye 0 = left, 1 = right."""
    seen = [np.where(board.covers(x + eye * board.disparity_px), board.disparity_px, np.nan) for board in boards]
    return np.asarray(np.fmax.reduce(seen))


def board_depth_maps(disparity: np.ndarray) -> DepthMaps:
    """Surfaces without thickness, opaque where the disparity is known."""
    depth = BOARD_FOCAL_TIMES_BASELINE / disparity
    alpha = np.where(np.isfinite(depth), 1.0, 0.0)
    return DepthMaps(expected=depth, median=depth, variance=np.zeros_like(depth), alpha=alpha)


def board_pair(boards: tuple[Board, ...]) -> tuple[StereoPair, np.ndarray, np.ndarray]:
    """The pair, the exact left disparity, and the exact occlusion mask (False out of frame)."""
    height, width = BOARD_SHAPE
    x = np.tile(np.arange(width) + 0.5, (height, 1))
    left, right = nearest_board(boards, x, 0), nearest_board(boards, x, 1)
    x_right = x - left
    hidden = (nearest_board(boards, x_right, 1) > left + 1e-9) & (x_right >= 0)
    camera = camera_at("a.jpg", size=(width, height), focal_px=100.0)
    image = np.zeros((height, width, 3), np.uint8)
    pair = StereoPair(
        sample_id="a/0.2",
        view_id="a.jpg",
        rig=StereoRig(left=camera, baseline=0.2),
        left=image,
        right=image,
        left_depth=board_depth_maps(left),
        right_depth=board_depth_maps(right),
    )
    return pair, left, hidden


# Samples and data sets


def make_info(**values: Any) -> DatasetInfo:
    """What a data set says about itself; texts that break paths and markup."""
    provenance = Provenance(name="sgbm", version="1", licence="Apache-2.0")
    usual = {"scene": "Küche links/left", "split": "train", "label": "sgbm", "provenance": provenance}
    return DatasetInfo(**{**usual, "generator": "gs_stereo test", "metres_per_unit": 0.5, **values})


INFO = make_info()


def make_sample(number: int = 0, disparity: np.ndarray | None = None, *, views: int = 2, **values: Any) -> ShardSample:
    """A sample of the size of `disparity`; its images are smooth, so that JPEG keeps them well.

    Without `disparity`, labels are random, with every awkward one: none, zero, less than any step, more than 8 and 10
    bits of pixels. views: of the N-view stack. Two numbers share a view. values: fields of ShardSample to set.
    """
    rng = np.random.default_rng(number)
    shape = SAMPLE_SHAPE if disparity is None else disparity.shape
    if disparity is None:
        disparity = rng.uniform(0.5, 200, shape).astype(np.float32)
        disparity[0, :7] = [np.nan, 0.0, 1e-5, 255.99, 300.0, 1023.9, 2000.0]
    flags = rng.choice(np.array([0, LabelFlag.OCCLUDED, LabelFlag.OUT_OF_FRAME, LabelFlag.FROM_SPLAT]), shape)
    pose = np.eye(4)
    pose[:3, 3] = rng.normal(size=3)
    images = [gradient(shape, number + 3 * k) for k in range(1 + max(1, views))]
    usual = {
        "sample_id": f"Küche-{number}/0.1",
        "view_id": f"{number // 2}.jpg",
        "left": images[0],
        "right": images[1],
        "disparity": disparity,
        "confidence": rng.integers(0, 256, shape, dtype=np.uint8),
        "flags": flags.astype(np.uint16),
        "intrinsics": np.array([[101.25, 0, 10.1], [0, 99.5, 6.3], [0, 0, 1]]),
        "baseline": 0.1 + number,
        "cam_from_world": pose,
        "views": np.stack(images[1:]) if views else None,
        "offsets": np.linspace(0.25, -0.1 - number, views) if views else None,
    }
    return ShardSample(**{**usual, **values})


def plain_sample(disparity: np.ndarray, *, sample_id: str = "s0", focal_px: float = 50.0, **values: Any) -> ShardSample:
    """A sample that is sure of every pixel and flags none: grey images, baseline 0.1, at the origin."""
    height, width = disparity.shape
    grey = np.full((height, width, 3), 128, np.uint8)
    usual = {
        "sample_id": sample_id,
        "view_id": sample_id,
        "left": grey,
        "right": grey,
        "disparity": disparity.astype(np.float32),
        "confidence": np.full((height, width), 255, np.uint8),
        "flags": np.zeros((height, width), np.uint16),
        "intrinsics": np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]]),
        "baseline": 0.1,
        "cam_from_world": np.eye(4),
    }
    return ShardSample(**{**usual, **values})


def write_samples(
    folder: Path, samples: Sequence[ShardSample], info: DatasetInfo = INFO, *, samples_per_shard: int = 64
) -> Path:
    """The samples as a data set; makes and returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    writing = ShardWriting(samples_per_shard=samples_per_shard)
    write_dataset(folder, samples, info, sample_count=len(samples), writing=writing)
    return folder


def write_small_model(folder: Path, seed: int = 0) -> Path:
    """A tiny model that makes second eyes, of fresh weights."""
    from gs_stereo.synthesis.model_files import ModelDescription
    from gs_stereo.synthesis.own_model import make_model, save_model
    from gs_stereo.synthesis.train_config import SmallModelConfig

    config = SmallModelConfig(widths=(16, 24), attention=(False, True), heads=2, norm_groups=8)
    description = ModelDescription(settings=config.model_dump(mode="json"), licence="CC0-1.0")
    save_model(folder, make_model(config, seed), description)
    return folder


def make_dataset(folder: Path, count: int = 3, *, info: DatasetInfo = INFO, views: int = 2) -> list[ShardSample]:
    """Write `count` samples of `make_sample` and return them."""
    samples = [make_sample(number, views=views) for number in range(count)]
    write_samples(folder, samples, info)
    return samples


def write_shifted_pairs(
    folder: Path, count: int, size: tuple[int, int] = (48, 64), *, licence: str = "Apache-2.0", scene: str = "noise"
) -> Path:
    """A data set of `count` pairs of shifted noise, two samples a view; a tenth of the pixels has no label."""
    samples = []
    for index in range(count):
        shift = 3 + index % 5
        left, right = shifted_pair(size, shift, index)
        disparity = np.full(size, shift, np.float32)
        disparity[: size[0] // 10] = np.nan
        flags = np.zeros(size, np.uint16)
        flags[:, :shift] = LabelFlag.OUT_OF_FRAME
        values: dict[str, Any] = {"sample_id": f"pair-{index}", "view_id": f"view-{index // 2}", "flags": flags}
        samples.append(plain_sample(disparity, left=left, right=right, **values))
    provenance = Provenance(name="exact", version="1", licence=licence)
    info = make_info(scene=scene, label="exact", provenance=provenance, metres_per_unit=None)
    return write_samples(folder, samples, info, samples_per_shard=4)
