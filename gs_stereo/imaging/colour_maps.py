"""Maps and pairs as pictures: values in colours, error classes, anaglyphs, two pictures side by side."""

from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

ColourMap = Literal["inferno", "turbo", "cividis"]
"""inferno: dark to bright, even to the eye. turbo: blue to red. cividis: blue to yellow, for any colour vision."""

DARK = (30, 30, 30)
"""Stands for no value beside the colours of turbo, which are never gray."""

ERROR_EDGES_PX = (0.1875, 0.375, 0.75, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0)
"""Upper ends of the error classes; 3 px, KITTI's limit, lies between blue and yellow."""

# ColorBrewer's RdYlBu with ten classes (Brewer 2013), from small errors to large ones.
ERROR_COLOURS = np.array(
    [
        (49, 54, 149), (69, 117, 180), (116, 173, 209), (171, 217, 233), (224, 243, 248),
        (254, 224, 144), (253, 174, 97), (244, 109, 67), (215, 48, 39), (165, 0, 38),
    ],
    np.uint8,
)  # fmt: skip
_MISSING = np.array((255, 0, 255), np.uint8)
_STRIPES_RGB = np.array([(122, 122, 126), (148, 148, 152)])
_STRIPE_PX = 6
_SHOWN_PERCENTILES = (1.0, 99.0)
_NARROWEST = 1e-3
_GAP_PX = 4


@cache
def colour_table(colour_map: ColourMap = "inferno") -> UInt8[np.ndarray, "256 3"]:
    """The 256 colours of a map, from low to high."""
    import cv2

    maps = {"inferno": cv2.COLORMAP_INFERNO, "turbo": cv2.COLORMAP_TURBO, "cividis": cv2.COLORMAP_CIVIDIS}
    return np.ascontiguousarray(
        cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], maps[colour_map])[:, 0, ::-1]
    )


def coloured(
    values: Float[np.ndarray, "h w"],
    low: float,
    high: float,
    colour_map: ColourMap = "inferno",
    no_value_rgb: tuple[int, int, int] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """The map from `low` to `high` in colours; where it is NaN `no_value_rgb`, or gray stripes."""
    known = np.isfinite(values)
    level = np.clip((np.where(known, values, low) - low) / ((high - low) or 1.0), 0, 1)
    rgb = colour_table(colour_map)[np.rint(255 * level).astype(np.int64)]
    rows, columns = np.indices(values.shape)
    stripes = _STRIPES_RGB[((rows + columns) // _STRIPE_PX % 2 == 0).astype(np.int64)]
    blank = stripes if no_value_rgb is None else np.array(no_value_rgb)
    return np.where(known[..., None], rgb, blank).astype(np.uint8)


def shown_range(values: Float[np.ndarray, "*n"]) -> tuple[float, float]:
    """What colours should span: the 1st to the 99th percentile of the known values; 0 to 1 where there are none."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(known, _SHOWN_PERCENTILES)
    return float(low), float(max(high, low + _NARROWEST))


def error_colours(error_px: Float[np.ndarray, "h w"], has_truth: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Errors by class; dark without truth, magenta where there is truth and no prediction."""
    known = np.isfinite(error_px)
    colours = ERROR_COLOURS[np.searchsorted(ERROR_EDGES_PX, np.where(known, error_px, 0.0))]
    colours[~known] = np.where(has_truth[~known][:, None], _MISSING, np.array(DARK, np.uint8))
    return colours


def anaglyph(
    left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"], shift_px: int
) -> UInt8[np.ndarray, "h w2 3"]:
    """For red-cyan glasses, in shades of gray. What has the disparity `shift_px` appears at the screen."""
    import cv2

    moved = np.roll(right, shift_px, axis=1)
    red, cyan = cv2.cvtColor(left, cv2.COLOR_RGB2GRAY), cv2.cvtColor(moved, cv2.COLOR_RGB2GRAY)
    return np.ascontiguousarray(np.stack([red, cyan, cyan], axis=-1)[:, max(shift_px, 0) :])


def side_by_side(first: UInt8[np.ndarray, "h w 3"], second: UInt8[np.ndarray, "h w3 3"]) -> UInt8[np.ndarray, "h w2 3"]:
    """Two pictures of one height with a white gap between them."""
    gap = np.full((first.shape[0], _GAP_PX, 3), 255, dtype=np.uint8)
    return np.concatenate([first, gap, second], axis=1)
