"""A left image and its views in the form that the native kernels work on, and what these are asked.

tests/twins/multiview.py says the same in plain numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, UInt8

from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import intrinsics_to_opencv
from gs_stereo.mvs import kernels
from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.mvs.views import PosedImage
from gs_stereo.native.library import Struct
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
class Window:
    """The patches that are compared. samples: offsets (dx, dy), with spatial weights.

    colour_weights: by channel difference, 256 entries. best_views: so many make the cost.
    """

    samples: Int[np.ndarray, "s 2"]
    sample_weights: Float[np.ndarray, "s"]
    colour_weights: Float[np.ndarray, "256"]
    best_views: int

    @staticmethod
    def of(config: MultiViewConfig) -> Window:
        """InputError for more samples than the kernel takes."""
        radius = config.window_radius_px
        offsets = np.arange(-radius, radius + 1, config.window_step_px, dtype=np.int32)
        samples = np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2).astype(np.int32)
        if len(samples) > 128:
            raise InputError("The multi-view window has more than 128 samples; raise multiview.window_step_px.")
        return Window(
            samples=np.ascontiguousarray(samples),
            sample_weights=np.exp(-(samples**2).sum(axis=1) / (2 * radius**2)).astype(np.float32),
            colour_weights=np.exp(-(np.arange(256) ** 2) / (2 * config.colour_levels**2)).astype(np.float32),
            best_views=config.best_views,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchCosts:
    """cost: of the best views. by_view: NaN where a view does not see the pixel."""

    cost: Float[np.ndarray, "n"]
    by_view: Float[np.ndarray, "v n"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Costs are 1 - correlation. noise_variance: in squared 8-bit levels. threads: of a call, 0 = all cores."""

    rgb: UInt8[np.ndarray, "h w 3"]
    gray: UInt8[np.ndarray, "h w"]
    views: tuple[ViewMap, ...]
    noise_variance: float
    threads: int

    @property
    def shape(self) -> tuple[int, int]:
        height, width = self.gray.shape
        return int(height), int(width)

    @cached_property
    def _sweep(self) -> Struct:
        height, width = self.shape
        views = [kernels.packed_view(view.gray, view.rotation, view.shift) for view in self.views]
        return kernels.LIBRARY.struct(
            "Sweep", rgb=self.rgb, gray=self.gray, width=width, height=height, views=views, view_count=len(views),
            noise_variance=self.noise_variance, missing_cost=MISSING_COST, threads=kernels.thread_count(self.threads),
        )  # fmt: skip

    def patch_costs(self, window: Window, pixels: Int[np.ndarray, "n"], planes: Float[np.ndarray, "3 n"]) -> PatchCosts:
        """Photometric cost of a plane (w, w by x, w by y) at each of the pixels (row * width + column)."""
        count, views = len(pixels), len(self.views)
        costs = PatchCosts(cost=np.empty(count, np.float32), by_view=np.empty((views, count), np.float32))
        patches = kernels.LIBRARY.struct(
            "Patches", count=count, view_count=views, pixels=np.ascontiguousarray(pixels, np.int32),
            planes=np.ascontiguousarray(planes, np.float32), cost=costs.cost, by_view=costs.by_view,
            samples=window.samples, sample_weights=window.sample_weights, colour_weights=window.colour_weights,
            sample_count=len(window.samples), best_views=window.best_views,
        )  # fmt: skip
        kernels.LIBRARY.call("gs_patch_costs", self._sweep, patches)
        return costs

    def plane_costs(self, inverse_depths: Float[np.ndarray, "d"], window_px: int) -> Float[np.ndarray, "h w d"]:
        """Photometric cost of planes of constant depth, of square windows: mean over the best half of the views."""
        (height, width), count = self.shape, len(inverse_depths)
        costs = np.empty((height, width, count), np.float32)
        planes = kernels.LIBRARY.struct(
            "Planes", inverse_depths=np.ascontiguousarray(inverse_depths, np.float32), costs=costs,
            width=width, height=height, count=count, radius=window_px // 2, best_views=(len(self.views) + 1) // 2,
        )  # fmt: skip
        kernels.LIBRARY.call("gs_plane_costs", self._sweep, planes)
        return costs


def make_problem(left: PosedImage, views: Sequence[PosedImage], noise_levels: float, threads: int) -> Problem:
    """InputError without views, or with more than the kernel takes."""
    if not 1 <= len(views) <= MOST_VIEWS:
        raise InputError(
            f"A multi-view sweep needs 1 to {MOST_VIEWS} views, not {len(views)}; choose the nearest ones."
        )
    return Problem(
        rgb=np.ascontiguousarray(left.image),
        gray=left.gray,
        views=tuple(_view_map(left.camera, view) for view in views),
        noise_variance=noise_levels**2,
        threads=threads,
    )


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
        gray=view.gray,
        rotation=intrinsics @ view_from_left[:3, :3] @ inverse,
        shift=intrinsics @ view_from_left[:3, 3],
    )
