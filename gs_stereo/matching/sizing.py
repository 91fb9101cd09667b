"""How an image meets a net that accepts only some sizes: padded, resized or tiled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.imaging.images import resize_to
from gs_stereo.imaging.resampling import resize_confidence, resize_disparity
from gs_stereo.matching.tiling import Network, TileLayout, run_tiled
from gs_stereo.nets.padding import PadSide, next_multiple, padding_to

_SMALLEST_SIDE_PX = 32


def scaled_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """(height, width) at a share of the resolution; a side does not become smaller than 32 pixels."""
    height, width = (max(round(side * scale), min(side, _SMALLEST_SIDE_PX)) for side in size)
    return height, width


@dataclass(frozen=True, kw_only=True)
class SizePolicy:
    """What a net accepts and what to do with other sizes. `fixed` is (height, width), None = free in multiples."""

    fixed: tuple[int, int] | None
    multiple: int
    pad_side: PadSide
    when_differs: Literal["auto", "resize", "tile"]
    smallest_scale: float
    tile_overlap_px: int


def run_at_any_size(
    network: Network,
    left: UInt8[np.ndarray, "h w 3"],
    right: UInt8[np.ndarray, "h w 3"],
    policy: SizePolicy,
    *,
    margin_px: float,
) -> Float[np.ndarray, "k h w"]:
    """The net's maps at the size of the images. margin_px: the largest disparity, used when tiles are needed."""
    size = left.shape[0], left.shape[1]
    if policy.fixed is None:
        return _run_padded(network, left, right, next_multiple(size, policy.multiple), policy.pad_side)
    height, width = policy.fixed
    layout = TileLayout(size=policy.fixed, overlap_px=policy.tile_overlap_px, margin_px=math.ceil(margin_px))
    shrinks = min(height / size[0], width / size[1]) < policy.smallest_scale
    if size == policy.fixed:
        return network(left, right)
    if policy.when_differs == "tile" or (policy.when_differs == "auto" and shrinks and layout.fits()):
        # a side shorter than a tile is padded to it first
        target = max(size[0], height), max(size[1], width)
        return _run_padded(lambda a, b: run_tiled(network, a, b, layout), left, right, target, policy.pad_side)
    disparity, *confidence = network(resize_to(left, width, height), resize_to(right, width, height))
    return np.stack([resize_disparity(disparity, size), *(resize_confidence(each, size) for each in confidence)])


def _run_padded(
    network: Network, left: np.ndarray, right: np.ndarray, target: tuple[int, int], side: PadSide
) -> np.ndarray:
    padding = padding_to((left.shape[0], left.shape[1]), target, side)
    return padding.crop(network(padding.pad(left), padding.pad(right)))
