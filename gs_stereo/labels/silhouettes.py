"""Sharper depth edges: pixels beside an edge join the surface whose colour they have.

The edges of rendered depth waver by a pixel or two about the silhouettes that the image shows, in both directions.
Beside an edge every pixel is asked again whether it belongs to the near or to the far surface: both are known from
pixels a little farther from the edge, and the side with the more similar colours close by wins (voters are the nearest
in colour and place together, as in a joint bilateral filter: Kopf et al. 2007). The depth's own answer stays unless the
colours clearly say otherwise: where both surfaces look alike, and on structures too thin to hold a sure pixel,
nothing changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

_STEP_SHARE = 0.03
_LEAST_GAP_SHARE = 0.02
_ASKED_PX = 2.5
_SURE_PX = 1.5
_GAP_RADIUS_PX = 4
_RADIUS_PX = 5
_VOTERS = 5
_COLOUR_SCALE = 10.0
_PLACE_SCALE_PX = 4.0
_CLEAR_CONTRAST = 0.3
_LEAST_DIFFERENCE = 2.0  # about what an eye notices
_ROUNDS = 2
_REACH_PX = _RADIUS_PX + 4
"""A pixel that changes moves edges beside it, and these whom to ask and who is sure: farther away no answer changes."""

_PIXELS_AT_ONCE = 1 << 13


@dataclass(frozen=True, kw_only=True, eq=False)
class _Maps:
    """What a pixel's surroundings are read from: disparity (0 = unknown), CIELAB, and how far the next edge is.

    edge_distance_px: 0 on both pixels beside a depth edge.
    """

    disparity: Float32[np.ndarray, "h w"]
    colour: Float32[np.ndarray, "h w 3"]
    edge_distance_px: Float32[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Asked:
    """Pixels beside an edge, with the disparity around each and who votes there: sure pixels of its side or not."""

    row: Int[np.ndarray, "n"]
    column: Int[np.ndarray, "n"]
    around: Float32[np.ndarray, "n k"]
    own_side: Bool[np.ndarray, "n k"]
    other_side: Bool[np.ndarray, "n k"]


def sharpened(disparity: Float[np.ndarray, "h w"], image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """The disparity with its edges moved to those of the sRGB image, by at most a few pixels.

    Only ratios of disparities count, so inverse depth does as well, and any baseline gives the same edges. NaN stays
    NaN, and no other value becomes NaN. A pixel that changes sides takes the disparity of the closest sure pixel there.
    """
    colour = cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    result = disparity.astype(np.float64)
    doubted = np.ones(result.shape, bool)
    for _ in range(_ROUNDS):  # the second round asks pixels with a better idea of where the edge is
        maps = _maps(result, colour)
        changed = np.zeros(result.shape, np.uint8)
        for asked in _asked(maps, doubted):
            moved = _moved(maps, asked)
            result[asked.row[moved], asked.column[moved]] = _closest_on_the_other_side(asked, moved)
            changed[asked.row[moved], asked.column[moved]] = 1
        doubted = cv2.dilate(changed, np.ones((2 * _REACH_PX + 1, 2 * _REACH_PX + 1), np.uint8)) > 0
    return result


def _maps(disparity: Float[np.ndarray, "h w"], colour: Float32[np.ndarray, "h w 3"]) -> _Maps:
    values = np.where(np.isfinite(disparity) & (disparity > 0), disparity, 0.0).astype(np.float32)
    distance = cv2.distanceTransform((~_beside_edges(values)).astype(np.uint8), cv2.DIST_L2, 3)
    return _Maps(disparity=values, colour=colour, edge_distance_px=distance)


def _beside_edges(values: Float32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Both pixels of every pair of neighbours whose disparities differ by more than `_STEP_SHARE`."""
    edge = np.zeros(values.shape, bool)
    for first, second, marks in (
        (values[:, :-1], values[:, 1:], (edge[:, :-1], edge[:, 1:])),
        (values[:-1], values[1:], (edge[:-1], edge[1:])),
    ):
        step = np.abs(first - second) > _STEP_SHARE * np.maximum(first, second)
        for mark in marks:
            mark |= step
    return edge


def _asked(maps: _Maps, doubted: Bool[np.ndarray, "h w"]) -> Iterator[_Asked]:
    """Known, doubted pixels close to an edge with enough voters on both sides, some thousands at a time."""
    rows, columns = np.nonzero((maps.edge_distance_px < _ASKED_PX) & (maps.disparity > 0) & doubted)
    for start in range(0, len(rows), _PIXELS_AT_ONCE):
        row, column = rows[start : start + _PIXELS_AT_ONCE], columns[start : start + _PIXELS_AT_ONCE]
        clear, middle = _gap(maps, row, column)
        row, column, middle = row[clear], column[clear], middle[clear, None]
        around = _windows(maps.disparity, row, column, _RADIUS_PX)
        sure = (_windows(maps.edge_distance_px, row, column, _RADIUS_PX) >= _SURE_PX) & (around > 0)
        same = (around > middle) == (maps.disparity[row, column, None] > middle)
        own, other = sure & same, sure & ~same
        voted = np.minimum(own.sum(axis=1), other.sum(axis=1)) >= _VOTERS
        yield _Asked(
            row=row[voted],
            column=column[voted],
            around=around[voted],
            own_side=own[voted],
            other_side=other[voted],
        )


def _gap(
    maps: _Maps, row: Int[np.ndarray, "n"], column: Int[np.ndarray, "n"]
) -> tuple[Bool[np.ndarray, "n"], Float32[np.ndarray, "n"]]:
    """Whether two surfaces are clearly apart around a pixel, and the disparity in the middle of the widest gap."""
    around = _windows(maps.disparity, row, column, _GAP_RADIUS_PX)
    around = np.sort(np.where(around > 0, around, maps.disparity[row, column, None]), axis=1)
    widest, pixel = np.argmax(np.diff(around, axis=1), axis=1), np.arange(len(row))
    far, near = around[pixel, widest], around[pixel, widest + 1]
    return near - far > _LEAST_GAP_SHARE * near, 0.5 * (near + far)


def _moved(maps: _Maps, asked: _Asked) -> Bool[np.ndarray, "n"]:
    """Pixels whose colour is clearly more like the other side's."""
    unlike = _square_colour_differences(maps, asked)
    own, other = _voted(unlike, asked.own_side), _voted(unlike, asked.other_side)
    return np.asarray(own - other > _CLEAR_CONTRAST * (own + other) + _LEAST_DIFFERENCE)


def _closest_on_the_other_side(asked: _Asked, moved: Bool[np.ndarray, "n"]) -> Float32[np.ndarray, "m"]:
    place = np.where(asked.other_side[moved], _square_distances(_RADIUS_PX), np.float32(np.inf))
    return np.take_along_axis(asked.around[moved], np.argmin(place, axis=1)[:, None], axis=1)[:, 0]


def _square_colour_differences(maps: _Maps, asked: _Asked) -> Float32[np.ndarray, "n k"]:
    """Squared CIELAB distance (1976) of every pixel of the windows to the asked pixel."""
    total = np.zeros((len(asked.row), (2 * _RADIUS_PX + 1) ** 2), np.float32)
    for channel in np.moveaxis(maps.colour, -1, 0):
        own = channel[asked.row, asked.column, None]
        total += np.square(_windows(channel, asked.row, asked.column, _RADIUS_PX) - own)
    return total


def _voted(unlike: Float32[np.ndarray, "n k"], voters: Bool[np.ndarray, "n k"]) -> Float32[np.ndarray, "n"]:
    """Mean colour difference of the `_VOTERS` voters that are nearest in colour and place."""
    nearness = unlike / np.float32(_COLOUR_SCALE**2) + _square_distances(_RADIUS_PX) / np.float32(_PLACE_SCALE_PX**2)
    nearness = np.where(voters, nearness, np.float32(np.inf))
    chosen = nearness <= np.partition(nearness, _VOTERS - 1, axis=1)[:, _VOTERS - 1, None]
    return np.mean(np.sqrt(unlike), axis=1, where=chosen)


def _windows(
    values: Float32[np.ndarray, "h w"], row: Int[np.ndarray, "n"], column: Int[np.ndarray, "n"], radius: int
) -> Float32[np.ndarray, "n k"]:
    """The square around each pixel, row by row; the image's border is repeated outside."""
    padded = np.pad(values, radius, mode="edge")
    side = 2 * radius + 1
    views = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    return views[row, column].reshape(len(row), side * side)


def _square_distances(radius: int) -> Float32[np.ndarray, "k"]:
    offset = np.square(np.arange(-radius, radius + 1, dtype=np.float32))
    return (offset[:, None] + offset).ravel()
