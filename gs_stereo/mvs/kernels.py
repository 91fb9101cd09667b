"""The interface of the native kernels. The structs mirror native/mvs/multiview.cpp."""

from __future__ import annotations

import os
from ctypes import POINTER, c_float, c_int32, c_int64

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.mvs.config import SweepConfig
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
        ("width", c_int32), ("height", c_int32), ("views", POINTER(View)), ("view_count", c_int32),
        ("noise_variance", c_float), ("missing_cost", c_float), ("threads", c_int32),
    )  # fmt: skip


class Patches(Struct):
    """What `Problem.patch_costs` is asked, and its answer."""

    _fields_ = (
        ("count", c_int64), ("view_count", c_int32), ("pixels", array_of("i4", "count")),
        ("planes", array_of("f4", 3, "count")), ("cost", array_of("f4", "count")),
        ("by_view", array_of("f4", "view_count", "count")), ("samples", array_of("i4", "sample_count", 2)),
        ("sample_weights", array_of("f4", "sample_count")), ("colour_weights", array_of("f4", 256)),
        ("sample_count", c_int32), ("best_views", c_int32),
    )  # fmt: skip


class Planes(Struct):
    """What `Problem.plane_costs` is asked, and its answer."""

    _fields_ = (
        ("inverse_depths", array_of("f4", "count")), ("costs", array_of("f4", "height", "width", "count")),
        ("width", c_int32), ("height", c_int32), ("count", c_int32), ("radius", c_int32), ("best_views", c_int32),
    )  # fmt: skip


class Volume(Struct):
    """What `aggregate` is asked, and its answer."""

    _fields_ = (
        ("costs", array_of("f4", "height", "width", "count")), ("gray", array_of("u1", "height", "width")),
        ("total", array_of("f4", "height", "width", "count")),
        ("width", c_int32), ("height", c_int32), ("count", c_int32),
        ("small_jump", c_float), ("large_jump", c_float), ("edge_levels", c_float), ("threads", c_int32),
    )  # fmt: skip


LIBRARY = Library(
    name="mvs",
    functions={"gs_patch_costs": (Sweep, Patches), "gs_plane_costs": (Sweep, Planes), "gs_aggregate": (Volume,)},
)


def aggregate(
    costs: Float[np.ndarray, "h w d"], gray: UInt8[np.ndarray, "h w"], config: SweepConfig, threads: int
) -> Float[np.ndarray, "h w d"]:
    """Semi-global sums of a cost volume over eight paths; a jump is cheaper where the gray guide has an edge."""
    costs = np.ascontiguousarray(costs, np.float32)
    total = np.empty_like(costs)
    height, width, count = costs.shape
    asked = Volume(
        costs=costs, gray=np.ascontiguousarray(gray), total=total, width=width, height=height, count=count,
        small_jump=config.small_jump, large_jump=config.large_jump, edge_levels=config.edge_levels,
        threads=thread_count(threads),
    )  # fmt: skip
    LIBRARY.call("gs_aggregate", asked)
    return total


def packed_view(
    gray: UInt8[np.ndarray, "h w"], rotation: Float[np.ndarray, "3 3"], shift: Float[np.ndarray, "3"]
) -> View:
    """A pixel and its right, lower and lower right neighbour in one word, so that sampling needs one load."""
    padded = np.pad(gray, ((0, 1), (0, 1)), mode="edge").astype(np.uint32)
    quads = padded[:-1, :-1] | padded[:-1, 1:] << 8 | padded[1:, :-1] << 16 | padded[1:, 1:] << 24
    height, width = gray.shape
    return View(quads=quads, width=width, height=height, rotation=rotation, shift=shift)


def thread_count(wanted: int) -> int:
    """As many as asked for; 0 = all cores that this process may use."""
    if wanted:
        return wanted
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
