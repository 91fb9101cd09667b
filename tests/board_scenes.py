"""Scenes of fronto-parallel boards whose depth, occlusion and frame are known in closed form for both eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gs_stereo.types import Camera, DepthMaps, StereoPair, StereoRig

HEIGHT, WIDTH, FOCAL_PX, BASELINE = 40, 160, 100.0, 0.2
FOCAL_TIMES_BASELINE = FOCAL_PX * BASELINE


@dataclass(frozen=True, kw_only=True)
class Board:
    """Covers image-plane columns [x_from, x_to) of the left image, all rows."""

    disparity_px: float
    x_from: float = -np.inf
    x_to: float = np.inf

    def covers(self, x_left: np.ndarray) -> np.ndarray:
        return (x_left >= self.x_from) & (x_left < self.x_to)


def nearest(boards: tuple[Board, ...], x: np.ndarray, eye: float) -> np.ndarray:
    """Largest disparity seen at image-plane column x; eye 0 = left, 1 = right."""
    seen = [np.where(board.covers(x + eye * board.disparity_px), board.disparity_px, np.nan) for board in boards]
    return np.fmax.reduce(seen)


def depth_maps(disparity: np.ndarray) -> DepthMaps:
    depth = FOCAL_TIMES_BASELINE / disparity
    alpha = np.where(np.isfinite(depth), 1.0, 0.0)
    return DepthMaps(expected=depth, median=depth, variance=np.zeros_like(depth), alpha=alpha)


def make_pair(boards: tuple[Board, ...]) -> tuple[StereoPair, np.ndarray, np.ndarray]:
    """The pair, the exact left disparity, and the exact occlusion mask (False out of frame)."""
    x = np.tile(np.arange(WIDTH) + 0.5, (HEIGHT, 1))
    left, right = nearest(boards, x, 0), nearest(boards, x, 1)
    x_right = x - left
    hidden = (nearest(boards, x_right, 1) > left + 1e-9) & (x_right >= 0)
    intrinsics = np.array([[FOCAL_PX, 0, WIDTH / 2], [0, FOCAL_PX, HEIGHT / 2], [0, 0, 1]])
    camera = Camera(name="a.jpg", width=WIDTH, height=HEIGHT, intrinsics=intrinsics, cam_from_world=np.eye(4))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pair = StereoPair(
        sample_id="a/0.2",
        view_id="a.jpg",
        rig=StereoRig(left=camera, baseline=BASELINE),
        left=image,
        right=image,
        left_depth=depth_maps(left),
        right_depth=depth_maps(right),
    )
    return pair, left, hidden
