"""The native kernels. The structs mirror native/mvs/multiview.cpp."""

from __future__ import annotations

import os
from ctypes import POINTER, c_float, c_int32, c_int64

import numpy as np
from jaxtyping import Float, Int, UInt8

from gs_stereo.mvs.problem import MISSING_COST, PatchCosts, Problem, ViewMap
from gs_stereo.native.library import Library, Struct, array_of


class View(Struct):
    """Another image, as words of four neighbouring pixels, and the map of the left image's rays into it."""

    _fields_ = (
        ("quads", array_of("u4", "height", "width")), ("width", c_int32), ("height", c_int32),
        ("rotation", c_float * 9), ("shift", c_float * 3),
    )  # fmt: skip


class Sweep(Struct):
    """A Problem."""

    _fields_ = (
        ("rgb", array_of("u1", "height", "width", 3)), ("gray", array_of("u1", "height", "width")),
        ("width", c_int32), ("height", c_int32), ("views", POINTER(View)),
        ("view_count", c_int32), ("best_views", c_int32), ("samples", array_of("i4", "sample_count", 2)),
        ("sample_weights", array_of("f4", "sample_count")), ("colour_weights", array_of("f4", 256)),
        ("sample_count", c_int32), ("noise_variance", c_float), ("missing_cost", c_float), ("threads", c_int32),
    )  # fmt: skip


class Patches(Struct):
    """What `patch_costs` is asked, and its answer."""

    _fields_ = (
        ("count", c_int64), ("view_count", c_int32), ("pixels", array_of("i4", "count")),
        ("planes", array_of("f4", 3, "count")), ("cost", array_of("f4", "count")),
        ("by_view", array_of("f4", "view_count", "count")),
    )  # fmt: skip


class Volume(Struct):
    """What `aggregate` is asked, and its answer."""

    _fields_ = (
        ("costs", array_of("f4", "height", "width", "count")), ("gray", array_of("u1", "height", "width")),
        ("total", array_of("f4", "height", "width", "count")),
        ("width", c_int32), ("height", c_int32), ("count", c_int32),
        ("small_jump", c_float), ("large_jump", c_float), ("edge_levels", c_float), ("threads", c_int32),
    )  # fmt: skip


LIBRARY = Library(name="mvs", functions={"gs_patch_costs": (Sweep, Patches), "gs_aggregate": (Volume,)})


class NativeKernel:
    """The Kernel in C++. Views are packed once for each problem."""

    def __init__(self) -> None:
        self._packed: tuple[Problem, Sweep] | None = None

    def patch_costs(
        self, problem: Problem, pixels: Int[np.ndarray, "n"], planes: Float[np.ndarray, "3 n"]
    ) -> PatchCosts:
        if self._packed is None or self._packed[0] is not problem:
            self._packed = (problem, _sweep(problem))
        count, views = len(pixels), len(problem.views)
        costs = PatchCosts(cost=np.empty(count, np.float32), by_view=np.empty((views, count), np.float32))
        patches = Patches(
            count=count, view_count=views, pixels=np.ascontiguousarray(pixels, np.int32),
            planes=np.ascontiguousarray(planes, np.float32), cost=costs.cost, by_view=costs.by_view,
        )  # fmt: skip
        LIBRARY.call("gs_patch_costs", self._packed[1], patches)
        return costs

    def aggregate(
        self,
        volume: Float[np.ndarray, "h w d"],
        gray: UInt8[np.ndarray, "h w"],
        penalties: tuple[float, float, float],
        threads: int,
    ) -> Float[np.ndarray, "h w d"]:
        costs = np.ascontiguousarray(volume, np.float32)
        total = np.empty_like(costs)
        (height, width, count), (small_jump, large_jump, edge_levels) = costs.shape, penalties
        asked = Volume(
            costs=costs, gray=np.ascontiguousarray(gray), total=total, width=width, height=height, count=count,
            small_jump=small_jump, large_jump=large_jump, edge_levels=edge_levels, threads=_threads(threads),
        )  # fmt: skip
        LIBRARY.call("gs_aggregate", asked)
        return total


def _sweep(problem: Problem) -> Sweep:
    height, width = problem.shape
    return Sweep(
        rgb=problem.rgb, gray=problem.gray, width=width, height=height,
        views=[_view(view) for view in problem.views], view_count=len(problem.views), best_views=problem.best_views,
        samples=problem.samples, sample_weights=problem.sample_weights, colour_weights=problem.colour_weights,
        sample_count=len(problem.samples), noise_variance=problem.noise_variance, missing_cost=MISSING_COST,
        threads=_threads(problem.threads),
    )  # fmt: skip


def _view(view: ViewMap) -> View:
    """A pixel and its right, lower and lower right neighbour in one word, so that sampling needs one load."""
    padded = np.pad(view.gray, ((0, 1), (0, 1)), mode="edge").astype(np.uint32)
    quads = padded[:-1, :-1] | padded[:-1, 1:] << 8 | padded[1:, :-1] << 16 | padded[1:, 1:] << 24
    height, width = view.gray.shape
    return View(quads=quads, width=width, height=height, rotation=view.rotation, shift=view.shift)


def _threads(wanted: int) -> int:
    """As many as asked for; 0 = all cores that this process may use."""
    if wanted:
        return wanted
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
