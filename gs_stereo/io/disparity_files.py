"""Disparity maps as files: PFM (Middlebury, SceneFlow, ETH3D) and PNGs of whole steps (KITTI, NeRF-Supervised stereo).

Both have a magic value for "unknown" (infinity, 0). It becomes NaN when a file is read and comes back when one is
written, here and nowhere else.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64

from gs_stereo.core.atomic import write_bytes
from gs_stereo.errors import InputError
from gs_stereo.imaging.png import check_size, read_file, read_gray16_png, write_gray_png

MAX_STEPS = (1 << 16) - 1
"""The largest disparity of a PNG of steps, in steps."""

# Three fields, each ended by one white space; the last by exactly one, as raw data follows.
_PFM_HEADER = re.compile(rb"Pf\s+(\d{1,9})\s+(\d{1,9})\s+([-+0-9.eE]{1,32})\r?[ \t\n]")


def read_pfm(path: Path, *, positive_only: bool = False) -> Float[np.ndarray, "h w"]:
    """Read a PFM file of one channel as float32, top row first.

    Infinite values become NaN; zero and negative ones too with `positive_only`, for sets that mark holes so. The
    scale's size is ignored as everybody does; its sign is the byte order. InputError if the file is malformed.
    """
    data = read_file(path)
    header = _PFM_HEADER.match(data)
    if header is None:
        raise InputError(f"{path} is no PFM file of one channel (its header is malformed); check the file.")
    width, height = int(header[1]), int(header[2])
    try:
        scale = float(header[3])
    except ValueError:
        scale = 0.0
    if scale == 0 or not np.isfinite(scale):
        raise InputError(f"{path} has a PFM header without a byte order (scale {header[3]!r}); check the file.")
    check_size(path, width, height)
    if len(data) - header.end() != 4 * width * height:
        raise InputError(f"{path} is truncated or too long for {width}x{height} PFM values; copy it again.")
    values = np.frombuffer(data, "<f4" if scale < 0 else ">f4", width * height, header.end())
    disparity = values.reshape(height, width)[::-1].astype(np.float32)
    disparity[~np.isfinite(disparity)] = np.nan
    if positive_only:
        disparity[np.nan_to_num(disparity) <= 0] = np.nan
    return disparity


def write_pfm(path: Path, disparity: Float[np.ndarray, "h w"]) -> None:
    """Write a disparity (or depth) map as little-endian PFM; NaN becomes +infinity as in Middlebury."""
    if disparity.ndim != 2:
        raise InputError(f"{path} cannot hold an array of shape {disparity.shape}; give a (H, W) map.")
    height, width = disparity.shape
    values = np.where(np.isnan(disparity), np.inf, disparity)[::-1].astype("<f4")
    write_bytes(path, f"Pf\n{width} {height}\n-1.0\n".encode() + values.tobytes())


def to_steps(disparity: Float[np.ndarray, "h w"], steps_per_px: float) -> Int64[np.ndarray, "h w"]:
    """Disparity in whole steps, 0 = no label. A known disparity is at least one step, as 0 means none."""
    known = np.isfinite(disparity)
    steps = np.rint(np.where(known, disparity, 0).astype(np.float64) * steps_per_px)
    return np.where(known, np.maximum(steps, 1), 0).astype(np.int64)


def from_steps(steps: np.ndarray, steps_per_px: float) -> Float[np.ndarray, "h w"]:
    """The inverse of `to_steps`, to half a step."""
    return np.where(steps == 0, np.nan, steps / steps_per_px).astype(np.float32)


def read_steps_png(path: Path, steps_per_px: float) -> Float[np.ndarray, "h w"]:
    """Read a 16-bit PNG of steps of 1 / `steps_per_px` pixels; 0 becomes NaN. InputError if it is malformed."""
    return from_steps(read_gray16_png(path), steps_per_px)


def write_steps_png(path: Path, disparity: Float[np.ndarray, "h w"], steps_per_px: float) -> None:
    """Write what `read_steps_png` reads. InputError if a disparity is negative or has more than `MAX_STEPS` steps."""
    known = disparity[~np.isnan(disparity)]
    outside = known.size and (known.min() < 0 or np.rint(known.max() * steps_per_px) > MAX_STEPS)
    if disparity.ndim != 2 or disparity.size == 0 or outside:
        limit = f"0 to {MAX_STEPS / steps_per_px:.6g} px"
        raise InputError(f"{path} cannot be written: its PNGs hold (H, W) maps of {limit}; write PFM instead.")
    write_gray_png(path, to_steps(disparity, steps_per_px).astype(np.uint16))
