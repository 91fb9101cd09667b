"""Finds, chooses and loads the native engine: one shared library for each instruction-set level.

The libraries are built with the package (setup.py) here, as `libgsstereo-<level>.so`. The best level that
the machine can run is chosen from its CPU flags; GSSTEREO_CPU_LEVEL overrides it. The structs mirror splat/engine.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
from ctypes import POINTER, c_double, c_float, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path

import torch  # before any of our libraries: torch's wheel brings the OpenMP runtime that they then share

from gs_stereo.errors import ConfigError, PluginError

FOLDER = Path(__file__).parent
LEVEL_VARIABLE = "GSSTEREO_CPU_LEVEL"
# Flags as Linux names them, for each level beyond the one before it (x86-64 psABI).
X86_LEVELS: dict[str, frozenset[str]] = {
    "x86-64-v2": frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}),
    "x86-64-v3": frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"}),
    "x86-64-v4": frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
}
GENERIC_LEVEL = "generic"


class Camera(ctypes.Structure):
    """A pinhole camera with its pose."""

    _fields_ = (
        ("rotation", c_float * 9), ("translation", c_float * 3), ("centre", c_float * 3),
        ("fx", c_float), ("fy", c_float), ("cx", c_float), ("cy", c_float), ("width", c_int32), ("height", c_int32),
    )  # fmt: skip


class Cloud(ctypes.Structure):
    """Pointers to the raw parameters of the Gaussians."""

    _fields_ = (
        ("count", c_int64), ("means", c_void_p), ("quats", c_void_p), ("log_scales", c_void_p),
        ("opacity_logits", c_void_p), ("sh", c_void_p), ("sh_count", c_int32), ("sh_degree", c_int32),
    )  # fmt: skip


class Options(ctypes.Structure):
    """How to render."""

    _fields_ = (
        ("near", c_float), ("eps2d", c_float), ("background", c_float * 3), ("antialiased", c_int32),
        ("depth_moments", c_int32), ("median_depth", c_int32), ("threads", c_int32),
    )  # fmt: skip


class Images(ctypes.Structure):
    """Planar images of one camera, or the gradients by them."""

    _fields_ = tuple((name, c_void_p) for name in ("rgb", "alpha", "z_sum", "z2_sum", "median_depth"))


class Gradients(ctypes.Structure):
    """Where backward writes."""

    _fields_ = (
        ("means", c_void_p), ("quats", c_void_p), ("log_scales", c_void_p), ("opacity_logits", c_void_p),
        ("sh", c_void_p), ("screen_signed", c_void_p), ("screen_absolute", c_void_p), ("pose", POINTER(c_double)),
        ("accumulate", c_int32),
    )  # fmt: skip


class AdamTensor(ctypes.Structure):
    """One tensor of an optimizer step."""

    _fields_ = (
        ("parameter", c_void_p), ("first", c_void_p), ("second", c_void_p), ("gradient", c_void_p),
        ("rows", c_int64), ("row", c_int64), ("step_size", c_float),
    )  # fmt: skip


class AdamOptions(ctypes.Structure):
    """What the tensors of an optimizer step share."""

    _fields_ = (
        ("beta1", c_float), ("beta2", c_float), ("eps", c_float), ("root_scale", c_float), ("visible", c_void_p),
        ("threads", c_int32),
    )  # fmt: skip


@cache
def cpu_flags() -> frozenset[str]:
    """The CPU's feature flags under Linux's names; empty where they cannot be read."""
    if platform.system() == "Linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("flags"):
                return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def runnable_levels() -> list[str]:
    """The levels that this machine's CPU can run, lowest first, built or not."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return [GENERIC_LEVEL]
    levels: list[str] = []
    for level, needed in X86_LEVELS.items():
        if not needed <= cpu_flags():
            break
        levels.append(level)
    return levels or list(X86_LEVELS)[:1]


def library_path(level: str) -> Path:
    """Where the library of a level is, or would be."""
    return FOLDER / f"libgsstereo-{level}.so"


def available_levels() -> list[str]:
    """The levels that are built and that this CPU can run, lowest first."""
    return [level for level in runnable_levels() if library_path(level).exists()]


def best_level() -> str:
    """The level to use: GSSTEREO_CPU_LEVEL if set, else the highest available. PluginError if there is none."""
    available = available_levels()
    wanted = os.environ.get(LEVEL_VARIABLE)
    if wanted:
        if wanted not in available:
            raise ConfigError(
                f"{LEVEL_VARIABLE}={wanted} cannot be used here; unset it or set it to one of: {', '.join(available)}."
            )
        return wanted
    if not available:
        raise PluginError(
            f"The native CPU engine is not built in {FOLDER}; "
            "install a C++17 compiler (g++ or clang++) and run `pip install -e .` again."
        )
    return available[-1]


@cache
def load(level: str | None = None) -> ctypes.CDLL:
    """The engine's library at a level (None = the best), with its functions' types declared."""
    path = library_path(best_level() if level is None else level)
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise PluginError(
            f"The native CPU engine {path} cannot be loaded ({error}); run `pip install -e . --force-reinstall`."
        ) from error
    _declare(library)
    return library


def num_threads() -> int:
    """How many threads the engine uses: as many as torch."""
    return torch.get_num_threads()


def pointer(tensor: torch.Tensor | None) -> int | None:
    """The address of a contiguous CPU tensor's data; None for None."""
    if tensor is None:
        return None
    assert tensor.is_contiguous(), "the engine takes contiguous tensors"
    assert tensor.device.type == "cpu", "the engine takes CPU tensors"
    return tensor.data_ptr()


def _declare(library: ctypes.CDLL) -> None:
    options, images = POINTER(Options), POINTER(Images)
    signatures: dict[str, tuple[type | None, list[type]]] = {
        "gss_lanes": (c_int32, []),
        "gss_frame_new": (c_void_p, []),
        "gss_frame_free": (None, [c_void_p]),
        "gss_memory_new": (c_void_p, [c_int64]),
        "gss_memory_free": (None, [c_void_p]),
        "gss_frame_pairs": (c_int64, [c_void_p]),
        "gss_frame_evaluations": (c_int64, [c_void_p]),
        "gss_multiply_adds": (c_int64, [c_int64]),
        "gss_project": (
            c_int32,
            [POINTER(c_void_p), POINTER(Camera), c_int32, POINTER(Cloud), options, POINTER(c_void_p), c_int32],
        ),
        "gss_composite": (None, [c_void_p, options, c_void_p, images]),
        "gss_composite_features": (c_int32, [c_void_p, options, c_void_p, images, c_void_p, c_int32]),
        "gss_backward_features": (
            c_int32,
            [c_void_p, options, c_void_p, images, images, c_void_p, c_void_p, c_int32, c_int32],
        ),
        "gss_backward": (
            c_int32,
            [c_void_p, POINTER(Camera), POINTER(Cloud), options, c_void_p, images, images, POINTER(Gradients)],
        ),
        "gss_l1_dssim": (
            c_int32,
            [c_void_p, c_void_p, c_int32, c_int32, c_int32, c_float, c_void_p, POINTER(c_double), c_int32],
        ),
        "gss_adam": (None, [POINTER(AdamTensor), c_int32, POINTER(AdamOptions)]),
        "gss_read_splats": (None, [c_void_p, c_void_p]),
    }
    for name, (result, arguments) in signatures.items():
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise PluginError(
                f"The native CPU engine in {FOLDER} is older than the package; run `pip install -e .` again."
            ) from error
        function.restype, function.argtypes = result, arguments
