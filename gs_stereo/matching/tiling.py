"""Large images in overlapping tiles of a net's fixed size, blended into one answer.

Left and right image are cut at the same columns, so disparities need no shift. A left pixel near the left border of
a tile has its match outside the tile; the first `margin_px` columns of every tile but the first are therefore unused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import InputError

Network = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(left, right), uint8 (h, w, 3) of one size -> float32 (k, h, w): disparity in px, then maybe a confidence."""


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
            "resize instead (when_size_differs=resize), or export the model at a larger size."
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
