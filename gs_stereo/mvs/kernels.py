"""The native kernels through ctypes. The structs mirror native/mvs/multiview.cpp."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_float, c_int32, c_int64, c_void_p
from functools import cache

import numpy as np
from jaxtyping import Float, Int, UInt8

from gs_stereo.mvs.problem import MISSING_COST, PatchCosts, Problem
from gs_stereo.native.library import FOLDER, open_library

LIBRARY = FOLDER / "libgsmultiview.so"


class _View(ctypes.Structure):
    _fields_ = (
        ("quads", c_void_p), ("width", c_int32), ("height", c_int32), ("rotation", c_float * 9), ("shift", c_float * 3),
    )  # fmt: skip


class _Sweep(ctypes.Structure):
    _fields_ = (
        ("rgb", c_void_p), ("gray", c_void_p), ("width", c_int32), ("height", c_int32),
        ("views", POINTER(_View)), ("view_count", c_int32), ("best_views", c_int32),
        ("samples", c_void_p), ("sample_weights", c_void_p), ("colour_weights", c_void_p), ("sample_count", c_int32),
        ("noise_variance", c_float), ("missing_cost", c_float), ("threads", c_int32),
    )  # fmt: skip


class NativeKernel:
    """The Kernel in C++. Views are packed once for each problem."""

    def __init__(self) -> None:
        self._library = load_library()
        self._packed: tuple[Problem, _Sweep, list[np.ndarray]] | None = None

    def patch_costs(
        self, problem: Problem, pixels: Int[np.ndarray, "n"], planes: Float[np.ndarray, "3 n"]
    ) -> PatchCosts:
        index = np.ascontiguousarray(pixels, np.int32)
        plane = np.ascontiguousarray(planes, np.float32)
        cost = np.empty(len(index), np.float32)
        by_view = np.empty((len(problem.views), len(index)), np.float32)
        answer = self._library.gs_patch_costs(
            ctypes.byref(self._pack(problem)), _pointer(index), _pointer(plane), len(index), _pointer(cost),
            _pointer(by_view),
        )  # fmt: skip
        assert answer == 0, "make_problem checks the sizes"
        return PatchCosts(cost=cost, by_view=by_view)

    def aggregate(
        self,
        volume: Float[np.ndarray, "h w d"],
        gray: UInt8[np.ndarray, "h w"],
        penalties: tuple[float, float, float],
        threads: int,
    ) -> Float[np.ndarray, "h w d"]:
        costs, guide = np.ascontiguousarray(volume, np.float32), np.ascontiguousarray(gray)
        total = np.empty_like(costs)
        height, width, count = costs.shape
        three = np.array(penalties, np.float32)
        self._library.gs_aggregate(
            _pointer(costs), _pointer(guide), width, height, count, _pointer(three), _threads(threads), _pointer(total)
        )
        return total

    def _pack(self, problem: Problem) -> _Sweep:
        if self._packed is None or self._packed[0] is not problem:
            quads = [_quads(view.gray) for view in problem.views]
            self._packed = (problem, _sweep(problem, quads), quads)
        return self._packed[1]


@cache
def load_library() -> ctypes.CDLL:
    """The built library; PluginError if it is not there."""
    library = open_library(LIBRARY)
    pointer = c_void_p
    library.gs_patch_costs.argtypes = [POINTER(_Sweep), pointer, pointer, c_int64, pointer, pointer]
    library.gs_aggregate.argtypes = [pointer, pointer, c_int32, c_int32, c_int32, pointer, c_int32, pointer]
    return library


def _sweep(problem: Problem, quads: list[np.ndarray]) -> _Sweep:
    views = (_View * len(problem.views))()
    for packed, view, words in zip(views, problem.views, quads, strict=True):
        packed.quads = words.ctypes.data
        packed.height, packed.width = view.gray.shape
        packed.rotation[:] = view.rotation.ravel().tolist()
        packed.shift[:] = view.shift.tolist()
    height, width = problem.shape
    return _Sweep(
        rgb=problem.rgb.ctypes.data, gray=problem.gray.ctypes.data, width=width, height=height,
        views=views, view_count=len(problem.views), best_views=problem.best_views,
        samples=problem.samples.ctypes.data, sample_weights=problem.sample_weights.ctypes.data,
        colour_weights=problem.colour_weights.ctypes.data, sample_count=len(problem.samples),
        noise_variance=problem.noise_variance, missing_cost=MISSING_COST, threads=_threads(problem.threads),
    )  # fmt: skip


def _quads(gray: UInt8[np.ndarray, "h w"]) -> np.ndarray:
    """A pixel and its right, lower and lower right neighbour in one word, so that sampling needs one load."""
    padded = np.pad(gray, ((0, 1), (0, 1)), mode="edge").astype(np.uint32)
    words = padded[:-1, :-1] | padded[:-1, 1:] << 8 | padded[1:, :-1] << 16 | padded[1:, 1:] << 24
    return np.ascontiguousarray(words)


def _threads(wanted: int) -> int:
    """As many as asked for; 0 = all cores that this process may use."""
    if wanted:
        return wanted
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pointer(array: np.ndarray) -> c_void_p:
    return c_void_p(array.ctypes.data)
