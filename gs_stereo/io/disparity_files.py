"""Disparity maps as files: PFM (Middlebury, SceneFlow, ETH3D) and KITTI's 16-bit PNG.

Both have a magic value for "unknown" (infinity, 0). It becomes NaN when a file is read and comes back when one is
written, here and nowhere else.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gs_stereo.core.atomic import write_bytes
from gs_stereo.errors import InputError
from gs_stereo.imaging.png import check_size, read_file, read_gray_png, write_gray_png

_KITTI_SCALE = 256.0
_KITTI_MAX = (1 << 16) - 1
# Three fields, each ended by one white space; the last by exactly one, as raw data follows.
_PFM_HEADER = re.compile(rb"(P[Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+0-9.eE]{1,32})\r?[ \t\n]")


def read_pfm(path: Path, *, zero_is_unknown: bool = False) -> Float[np.ndarray, "h w"] | Float[np.ndarray, "h w 3"]:
    """Read a PFM file as float32, top row first: (H, W) for `Pf`, (H, W, 3) for `PF`.

    Infinite values become NaN; zeros too with `zero_is_unknown`, for sets that mark holes with 0. The scale's size
    is ignored as everybody does; its sign is the byte order. InputError if the file is malformed.
    """
    data = read_file(path)
    header = _PFM_HEADER.match(data)
    if header is None:
        raise InputError(f"{path} is no PFM file (its header is malformed); check the file.")
    width, height, channels = int(header[2]), int(header[3]), 3 if header[1] == b"PF" else 1
    try:
        scale = float(header[4])
    except ValueError:
        scale = 0.0
    if scale == 0 or not np.isfinite(scale):
        raise InputError(f"{path} has a PFM header without a byte order (scale {header[4]!r}); check the file.")
    check_size(path, width, height)
    count = width * height * channels
    if len(data) - header.end() != 4 * count:
        raise InputError(f"{path} is truncated or too long for {width}x{height} PFM values; copy it again.")
    values = np.frombuffer(data, "<f4" if scale < 0 else ">f4", count, header.end())
    image = values.reshape(height, width, channels)[::-1].astype(np.float32)
    unknown = ~np.isfinite(image) | (zero_is_unknown & (image == 0))
    image[unknown] = np.nan
    return image[..., 0] if channels == 1 else image


def write_pfm(path: Path, disparity: Float[np.ndarray, "h w"]) -> None:
    """Write a disparity (or depth) map as little-endian PFM; NaN becomes +infinity as in Middlebury."""
    if disparity.ndim != 2:
        raise InputError(f"{path} cannot hold an array of shape {disparity.shape}; give a (H, W) map.")
    height, width = disparity.shape
    values = np.where(np.isnan(disparity), np.inf, disparity)[::-1].astype("<f4")
    write_bytes(path, f"Pf\n{width} {height}\n-1.0\n".encode() + values.tobytes())


def read_kitti_png(path: Path) -> Float[np.ndarray, "h w"]:
    """Read KITTI's disparity PNG: uint16 / 256 pixels, 0 = unknown becomes NaN. InputError if it is malformed."""
    values = read_gray_png(path, bits=16)
    return np.where(values == 0, np.nan, values / _KITTI_SCALE).astype(np.float32)


def write_kitti_png(path: Path, disparity: Float[np.ndarray, "h w"]) -> None:
    """Write KITTI's disparity PNG; NaN becomes 0. Steps are 1/256 px, a known disparity is stored as at least one step.

    InputError if a disparity is negative, infinite or 256 px and more, which the format cannot hold.
    """
    known = ~np.isnan(disparity)
    steps = np.rint(np.where(known, disparity, 0.0) * _KITTI_SCALE)
    if disparity.ndim != 2 or disparity.size == 0 or not ((steps >= 0) & (steps <= _KITTI_MAX)).all():
        raise InputError(f"{path} cannot be written: KITTI PNGs hold (H, W) maps of 0 to 255.99 px; write PFM instead.")
    write_gray_png(path, np.where(known, np.maximum(steps, 1), 0).astype(np.uint16))
