"""Second eyes by moving pixels: warp and inpaint with a given depth, and the two floors that need none.

Every pixel is splatted to its two neighbours in the row, the nearer surface wins, layers of one surface are blended by
distance, and a hole is where nothing landed (the way of ZeroStereo, Wang et al., ICCV 2025). A hole belongs to the
farther of its neighbours: it was hidden by the nearer one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, Num, UInt8

from gs_stereo import __version__
from gs_stereo.errors import InputError
from gs_stereo.synthesis.protocol import SourceView, SynthesizedView, SynthesizerSettings, Unit
from gs_stereo.types import Provenance

_SAME_SURFACE_PX = 1.0
_LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Warped:
    """A picture moved by its disparity. hole: nothing landed there, image and disparity mean nothing."""

    image: Float[np.ndarray, "h w 3"]
    disparity: Float[np.ndarray, "h w"]
    hole: Bool[np.ndarray, "h w"]


def splatted(image: Num[np.ndarray, "h w 3"], disparity: Float[np.ndarray, "h w"]) -> Warped:
    """Move every pixel from x to x - disparity along its row; the larger absolute disparity is nearer.

    disparity: signed, all of one sign, finite.
    """
    height, width = disparity.shape
    rows = np.broadcast_to(np.arange(height)[:, None], disparity.shape)
    x = np.arange(width) - disparity
    low = np.floor(x)
    landed = []
    for column, weight in ((low, low + 1 - x), (low + 1, x - low)):
        inside = (column >= 0) & (column < width) & (weight > _LEAST_WEIGHT)
        place = (rows * width + np.where(inside, column, 0).astype(np.int64))[inside]
        landed.append((place, weight[inside], disparity[inside], image[inside].astype(np.float64)))
    place, weight, moved, colour = (np.concatenate(parts) for parts in zip(*landed, strict=True))
    nearest = np.full(height * width, -1.0)
    np.maximum.at(nearest, place, np.abs(moved))
    front = np.abs(moved) >= nearest[place] - _SAME_SURFACE_PX
    place, weight, moved, colour = place[front], weight[front], moved[front], colour[front]
    total = np.bincount(place, weight, height * width)
    sums = [np.bincount(place, weight * values, height * width) for values in (*colour.T, moved)]
    *mean, mean_disparity = [values / np.where(total > 0, total, 1.0) for values in sums]
    return Warped(
        image=np.stack(mean, axis=-1).reshape(height, width, 3),
        disparity=mean_disparity.reshape(height, width),
        hole=(total == 0).reshape(height, width),
    )


def filled_from_background(warped: Warped) -> UInt8[np.ndarray, "h w 3"]:
    """Every hole takes the colour of whichever neighbour in its row is farther; a row of nothing is gray."""
    columns = _farther_neighbours(np.abs(warped.disparity), ~warped.hole)
    filled = np.take_along_axis(warped.image, np.maximum(columns, 0)[..., None], axis=1)
    return np.rint(np.where(columns[..., None] < 0, 127.5, filled)).clip(0, 255).astype(np.uint8)


def warped_by_depth(source: SourceView, depth: Float[np.ndarray, "h w"], baseline: float) -> Warped:
    """The source seen from the baseline, holes marked."""
    return splatted(source.image, float(source.intrinsics[0, 0]) * baseline * dense_nearness(depth))


def warped_condition(
    image: UInt8[np.ndarray, "h w 3"] | Float32[np.ndarray, "h w 3"],
    depth: Float[np.ndarray, "h w"],
    shift_px: Float[np.ndarray, "k"],
) -> Float32[np.ndarray, "k 4 h w"]:
    """What a model with warped conditioning is given: the picture moved by depth, and 1 where nothing landed.

    image: in [0, 255] or already in [-1, 1], as the result. shift_px: focal length x baseline of each target. Without
    any depth everything is a hole.
    """
    pixels = image.astype(np.float64) / 127.5 - 1 if image.dtype == np.uint8 else image
    if not np.isfinite(depth).any():
        return np.concatenate(
            [np.zeros((len(shift_px), 3, *depth.shape)), np.ones((len(shift_px), 1, *depth.shape))], 1
        ).astype(np.float32)
    nearness, made = dense_nearness(depth), []
    for shift in shift_px:
        warped = splatted(pixels, float(shift) * nearness)
        made.append(
            np.concatenate([np.where(warped.hole[..., None], 0.0, warped.image), warped.hole[..., None]], axis=-1)
        )
    return np.stack(made).transpose(0, 3, 1, 2).astype(np.float32)


def dense_nearness(depth: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """1 / depth everywhere.

    A pixel of unknown depth is as far as the farther of its neighbours in the row that have one, without any infinitely
    far: sparse depth of a laser is made dense, and what a scene model does not show is background.
    """
    known = np.isfinite(depth) & (depth > 0)
    nearness = np.where(known, 1 / np.where(known, depth, 1.0), 0.0)
    columns = _farther_neighbours(nearness, known)
    return np.where(columns < 0, 0.0, np.take_along_axis(nearness, np.maximum(columns, 0), axis=1))


def _farther_neighbours(nearness: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"]) -> Int64[np.ndarray, "h w"]:
    """Column of the nearest known pixel to the left or right, whichever is less near; its own if known, -1 if none."""
    height, width = known.shape
    columns, rows = np.broadcast_to(np.arange(width), known.shape), np.arange(height)[:, None]
    left = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    of_left = np.where(left >= 0, nearness[rows, left], np.inf)
    of_right = np.where(right < width, nearness[rows, np.minimum(right, width - 1)], np.inf)
    chosen = np.where(of_left <= of_right, left, right)
    return np.where((left < 0) & (right >= width), -1, chosen)


class _Classic:
    """What synthesizers without a model have in common."""

    title: str
    unit: Unit = "median_depth"
    needs_depth = False
    steps: int | None = None
    side_px: int | None = None
    rows_px: int | None = None
    multiple_px = 1

    def __init__(self, settings: SynthesizerSettings) -> None:
        pass

    @property
    def provenance(self) -> Provenance:
        settings = {"pixels": "generated, not observed"}
        return Provenance(name=self.title, version=f"gs_stereo-{__version__}", licence="Apache-2.0", settings=settings)


class CopySynthesizer(_Classic):
    """The floor: the source itself, whatever the baseline."""

    title = "copy"

    def synthesize(self, source: SourceView, baseline: float, seed: int) -> SynthesizedView:
        return SynthesizedView(
            image=source.image, filled=np.zeros(source.image.shape[:2], bool), provenance=self.provenance
        )


class ShiftSynthesizer(_Classic):
    """The source moved as a whole, as if everything were at the median depth."""

    title = "shift"

    def synthesize(self, source: SourceView, baseline: float, seed: int) -> SynthesizedView:
        warped = warped_by_depth(source, np.ones(source.image.shape[:2]), baseline)
        return SynthesizedView(image=filled_from_background(warped), filled=warped.hole, provenance=self.provenance)


class WarpSynthesizer(_Classic):
    """Warp and inpaint with the depth that comes with the source."""

    title = "warp"
    needs_depth = True

    def synthesize(self, source: SourceView, baseline: float, seed: int) -> SynthesizedView:
        warped = warped_by_depth(source, required_depth(source, self.title), baseline)
        return SynthesizedView(image=filled_from_background(warped), filled=warped.hole, provenance=self.provenance)


def required_depth(source: SourceView, title: str) -> Float[np.ndarray, "h w"]:
    """The depth of a source; InputError if it has none, or one of another size."""
    if source.depth is None or source.depth.shape != source.image.shape[:2]:
        raise InputError(f"{title} needs a depth map of the picture's size; give one with --depth, or leave it out.")
    return source.depth
