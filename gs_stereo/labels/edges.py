"""Sharp depth edges: pixels beside a jump go to the near or to the far side by their colour.

A rendered depth edge is a pixel or two off and has values in between. Around it, near and far side are known; a pixel
joins the side whose colours (weighted by distance) are likelier to be its own, as in joint bilateral upsampling
(Kopf et al. 2007), but takes a depth that exists instead of a mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from gs_stereo.labels.fusion_config import EdgeConfig

_BETWEEN = 0.25
_NEAREST_PX = 1.0
_TINY = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sides:
    """Of each edge pixel: likelihood of its colour on either side, and the value nearest to it on either side."""

    likelihood: Float[np.ndarray, "2 n"]
    value: Float[np.ndarray, "2 n"]


def sharpened(
    inverse_depth: Float[np.ndarray, "h w"], image: UInt8[np.ndarray, "h w 3"], config: EdgeConfig
) -> Float[np.ndarray, "h w"]:
    """The map with its edge pixels given to the side whose colour they have; all else, and NaN, as it was."""
    if config.rounds == 0:
        return inverse_depth
    answer = inverse_depth.astype(np.float32)
    for _ in range(config.rounds):
        low, high = _extremes(answer, config.band_px)
        edge = np.isfinite(answer) & (high - low > config.relative_step * low) & (low > 0)
        pixels = np.flatnonzero(edge)
        if len(pixels) == 0:
            break
        sides = _sides(answer, image, pixels, np.stack([low.ravel()[pixels], high.ravel()[pixels]]), config)
        _assign(answer, pixels, sides, config)
    return answer.astype(inverse_depth.dtype)


def _extremes(values: Float[np.ndarray, "h w"], radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest known value within `radius` pixels."""
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    known = np.isfinite(values)
    low = cv2.erode(np.where(known, values, np.float32(np.inf)), kernel)
    high = cv2.dilate(np.where(known, values, np.float32(-np.inf)), kernel)
    return np.asarray(low), np.asarray(high)


def _sides(
    values: Float[np.ndarray, "h w"],
    image: UInt8[np.ndarray, "h w 3"],
    pixels: Int[np.ndarray, "n"],
    low_high: Float[np.ndarray, "2 n"],
    config: EdgeConfig,
) -> _Sides:
    """Two kernel density estimates from the window around each edge pixel. Values in between belong to no side."""
    height, width = values.shape
    row, column = np.divmod(pixels, width)
    colour = image.reshape(-1, 3).astype(np.float32)
    own, (low, high) = colour[pixels], low_high
    weight_sum, density, value_sum, value_weight = (np.zeros((2, len(pixels)), np.float32) for _ in range(4))
    for dy, dx, weight, near_weight in _window(config):
        i, j = row + dy, column + dx
        there = (i >= 0) & (i < height) & (j >= 0) & (j < width)
        index = np.where(there, i * width + j, pixels)
        value = values.ravel()[index]
        place = (value - low) / np.maximum(high - low, _TINY * high)
        similar = np.exp(-np.square(colour[index] - own).sum(axis=1) / (2 * config.colour_levels**2))
        for side, inside in enumerate((place < _BETWEEN, place > 1 - _BETWEEN)):
            member = inside & there
            weight_sum[side] += weight * member
            density[side] += weight * member * similar
            value_weight[side] += near_weight * member
            value_sum[side] += np.where(member, near_weight * value, 0)
    return _Sides(likelihood=density / np.maximum(weight_sum, _TINY), value=value_sum / np.maximum(value_weight, 1e-30))


def _window(config: EdgeConfig) -> list[tuple[int, int, float, float]]:
    """Steps of the window with a wide weight for colours and a narrow one for values; the middle is left out."""
    radius = config.window_px
    steps = [(dy, dx) for dy in range(-radius, radius + 1) for dx in range(-radius, radius + 1) if (dy, dx) != (0, 0)]
    return [
        (dy, dx, float(np.exp(-square / radius**2)), float(np.exp(-square / (2 * _NEAREST_PX**2))))
        for dy, dx in steps
        for square in (dy * dy + dx * dx,)
    ]


def _assign(answer: np.ndarray, pixels: Int[np.ndarray, "n"], sides: _Sides, config: EdgeConfig) -> None:
    """Move pixels whose colour speaks clearly for the side that they are not on."""
    value = answer.ravel()[pixels]
    both: Bool[np.ndarray, "n"] = (sides.value > 0).all(axis=0)
    is_near = np.abs(value - sides.value[1]) < np.abs(value - sides.value[0])
    chosen = np.where(is_near, sides.likelihood[1], sides.likelihood[0])
    other = np.where(is_near, sides.likelihood[0], sides.likelihood[1])
    moved = both & (other > config.likelihood_ratio * chosen + _TINY)
    answer.ravel()[pixels[moved]] = np.where(is_near, sides.value[0], sides.value[1])[moved]
