"""A left image and its views in the form that the kernels (native and reference) work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import intrinsics_to_opencv
from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.mvs.views import PosedImage
from gs_stereo.types import Camera

MOST_VIEWS = 62
MISSING_COST = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewMap:
    """Array coordinates of a left pixel (x, y) in a view: rotation (x, y, 1) + w shift, divided by the third."""

    gray: UInt8[np.ndarray, "h w"]
    rotation: Float[np.ndarray, "3 3"]
    shift: Float[np.ndarray, "3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """samples: window offsets (dx, dy), with spatial weights. colour_weights: by channel difference, 256 entries."""

    rgb: UInt8[np.ndarray, "h w 3"]
    gray: UInt8[np.ndarray, "h w"]
    views: tuple[ViewMap, ...]
    samples: Int[np.ndarray, "s 2"]
    sample_weights: Float[np.ndarray, "s"]
    colour_weights: Float[np.ndarray, "256"]
    noise_variance: float
    best_views: int
    threads: int

    @property
    def shape(self) -> tuple[int, int]:
        height, width = self.gray.shape
        return int(height), int(width)


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchCosts:
    """cost: of the best views. by_view: NaN where a view does not see the pixel."""

    cost: Float[np.ndarray, "n"]
    by_view: Float[np.ndarray, "v n"]


class Kernel(Protocol):
    """The two heavy loops; `native` and `reference` implement them."""

    def patch_costs(
        self, problem: Problem, pixels: Int[np.ndarray, "n"], planes: Float[np.ndarray, "3 n"]
    ) -> PatchCosts:
        """Photometric cost of a plane (w, w by x, w by y) at each of the pixels (row * width + column)."""
        ...

    def aggregate(
        self,
        volume: Float[np.ndarray, "h w d"],
        gray: UInt8[np.ndarray, "h w"],
        penalties: tuple[float, float, float],
        threads: int,
    ) -> Float[np.ndarray, "h w d"]:
        """Semi-global sums of a cost volume over eight paths. penalties: small jump, large jump, edge levels."""
        ...


def make_problem(left: PosedImage, views: Sequence[PosedImage], config: MultiViewConfig) -> Problem:
    """InputError without views, or with more than the kernel takes."""
    if not 1 <= len(views) <= MOST_VIEWS:
        raise InputError(
            f"A multi-view sweep needs 1 to {MOST_VIEWS} views, not {len(views)}; choose the nearest ones."
        )
    radius = config.window_radius_px
    offsets = np.arange(-radius, radius + 1, config.window_step_px, dtype=np.int32)
    samples = np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2).astype(np.int32)
    if len(samples) > 128:
        raise InputError("The multi-view window has more than 128 samples; raise window_step_px.")
    return Problem(
        rgb=np.ascontiguousarray(left.image),
        gray=to_gray(left.image),
        views=tuple(_view_map(left.camera, view) for view in views),
        samples=np.ascontiguousarray(samples),
        sample_weights=np.exp(-(samples**2).sum(axis=1) / (2 * radius**2)).astype(np.float32),
        colour_weights=np.exp(-(np.arange(256) ** 2) / (2 * config.colour_levels**2)).astype(np.float32),
        noise_variance=config.noise_levels**2,
        best_views=config.best_views,
        threads=config.threads,
    )


def scaled(view: PosedImage, scale: float) -> PosedImage:
    """The view at another resolution."""
    size = (max(1, round(view.camera.width * scale)), max(1, round(view.camera.height * scale)))
    if size == (view.camera.width, view.camera.height):
        return view
    image = cv2.resize(view.image, size, interpolation=cv2.INTER_AREA)
    return PosedImage(camera=view.camera.resized(*size), image=np.asarray(image))


def to_gray(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """Luma."""
    return np.ascontiguousarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY))


def reference_px(problem: Problem, inverse_depth: float) -> float:
    """Pixels that the image centre moves in the median view when its inverse depth grows by one."""
    height, width = problem.shape
    centre = np.array([width / 2, height / 2, 1.0])
    speeds = []
    for view in problem.views:
        at = view.rotation @ centre + inverse_depth * view.shift
        if at[2] > 0:
            speeds.append(np.hypot(*((view.shift[:2] - at[:2] / at[2] * view.shift[2]) / at[2])))
    speed = float(np.median(speeds)) if speeds else 0.0
    if not speed > 0:
        raise InputError("The views of a multi-view sweep all lie behind or at the left camera; choose others.")
    return speed


def _view_map(left: Camera, view: PosedImage) -> ViewMap:
    view_from_left = view.camera.cam_from_world @ left.world_from_cam
    intrinsics = intrinsics_to_opencv(view.camera.intrinsics)
    inverse = np.linalg.inv(intrinsics_to_opencv(left.intrinsics))
    return ViewMap(
        gray=to_gray(view.image),
        rotation=intrinsics @ view_from_left[:3, :3] @ inverse,
        shift=intrinsics @ view_from_left[:3, 3],
    )
