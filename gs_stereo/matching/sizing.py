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
    if size == policy.fixed:
        return network(left, right)
    layout = TileLayout(size=policy.fixed, overlap_px=policy.tile_overlap_px, margin_px=math.ceil(margin_px))
    if _tiles(size, policy, layout):
        return _run_padded_tiles(network, left, right, layout, policy.pad_side)
    return _run_resized(network, left, right, policy.fixed)


def _tiles(size: tuple[int, int], policy: SizePolicy, layout: TileLayout) -> bool:
    if policy.when_differs != "auto":
        return policy.when_differs == "tile"
    scale = min(layout.size[0] / size[0], layout.size[1] / size[1])
    return scale < policy.smallest_scale and layout.fits()


def _run_padded(
    network: Network, left: np.ndarray, right: np.ndarray, target: tuple[int, int], side: PadSide
) -> np.ndarray:
    padding = padding_to((left.shape[0], left.shape[1]), target, side)
    return padding.crop(network(padding.pad(left), padding.pad(right)))


def _run_padded_tiles(
    network: Network, left: np.ndarray, right: np.ndarray, layout: TileLayout, side: PadSide
) -> np.ndarray:
    """Tiles; a side shorter than a tile is padded to it first."""
    target = max(left.shape[0], layout.size[0]), max(left.shape[1], layout.size[1])
    return _run_padded(lambda a, b: run_tiled(network, a, b, layout), left, right, target, side)


def _run_resized(network: Network, left: np.ndarray, right: np.ndarray, fixed: tuple[int, int]) -> np.ndarray:
    size = left.shape[0], left.shape[1]
    height, width = fixed
    disparity, *confidence = network(resize_to(left, width, height), resize_to(right, width, height))
    return np.stack([resize_disparity(disparity, size), *(resize_confidence(each, size) for each in confidence)])
