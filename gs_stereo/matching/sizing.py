"""How an image meets a net that accepts only some sizes: padded, resized or tiled.

Tiles overlap and are blended. Left and right image are cut at the same columns, so disparities need no shift. A left
pixel near the left border of a tile has its match outside the tile; the first `margin_px` columns of every tile but the
first are therefore unused.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import resize_to
from gs_stereo.imaging.resampling import resize_confidence, resize_disparity
from gs_stereo.nets.padding import PadSide, next_multiple, padding_to

Network = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(left, right), uint8 (h, w, 3) of one size -> float32 (k, h, w): disparity in px, then maybe a confidence."""

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


@dataclass(frozen=True, kw_only=True)
class TileLayout:
    """Size of a tile (height, width), blended overlap, and unused columns at a tile's left, all in pixels."""

    size: tuple[int, int]
    overlap_px: int
    margin_px: int

    def fits(self) -> bool:
        """Whether every tile leaves something after its margin and overlaps are taken off."""
        return self.size[0] > 2 * self.overlap_px and self.size[1] > self.margin_px + 2 * self.overlap_px


def run_tiled(
    network: Network, left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"], layout: TileLayout
) -> Float[np.ndarray, "k h w"]:
    """Answer for an image at least as large as a tile; NaN where no tile has one. InputError for too small tiles."""
    if not layout.fits():
        raise InputError(
            f"Tiles of {layout.size[1]}x{layout.size[0]} px are too small for disparities up to {layout.margin_px} px; "
            "resize instead (experts.onnx.when_size_differs=resize), or export the model at a larger size."
        )
    height, width = left.shape[:2]
    rows = _axis_tiles(height, layout.size[0], layout.overlap_px, 0)
    columns = _axis_tiles(width, layout.size[1], layout.overlap_px, layout.margin_px)
    total = weights = None
    for top, row_weight in rows:
        for start, column_weight in columns:
            window = (slice(top, top + layout.size[0]), slice(start, start + layout.size[1]))
            answer = network(left[window], right[window]).astype(np.float64)
            if total is None or weights is None:
                total = np.zeros((len(answer), height, width))
                weights = np.zeros_like(total)
            known = np.isfinite(answer)
            weight = np.where(known, row_weight[:, None] * column_weight, 0.0)
            total[(slice(None), *window)] += weight * np.where(known, answer, 0.0)
            weights[(slice(None), *window)] += weight
    assert total is not None
    assert weights is not None
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, which is what no answer means
        return (total / weights).astype(np.float32)


def _axis_tiles(length: int, tile: int, overlap: int, margin: int) -> list[tuple[int, np.ndarray]]:
    """(start, weight of each pixel) of the tiles along one axis. The last one ends at the end of the image."""
    starts = [0]
    while starts[-1] + tile < length:
        starts.append(min(starts[-1] + tile - overlap - margin, length - tile))
    return [(start, _weights(start, length, tile, overlap, margin)) for start in starts]


def _weights(start: int, length: int, tile: int, overlap: int, margin: int) -> np.ndarray:
    """Ramps of `overlap` pixels at the ends that face other tiles, zeros in the margin, else 1."""
    position = np.arange(tile)
    weight = np.ones(tile)
    ramp = float(overlap + 1)
    if start > 0:
        weight = np.minimum(weight, np.clip((position - margin + 1) / ramp, 0, 1))
    if start + tile < length:
        weight = np.minimum(weight, np.clip((tile - position) / ramp, 0, 1))
    return weight
