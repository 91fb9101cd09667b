"""Pictures of samples as data URIs of bounded size: colour-coded maps, differences, anaglyphs."""

from __future__ import annotations

import base64

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import StageError
from gs_stereo.imaging.images import resize_to

_NO_VALUE_RGB = (148, 148, 152)
_STRIPE_RGB = (122, 122, 126)
_STRIPE_PX = 6
_QUALITY = 78


def data_uri(image: UInt8[np.ndarray, "h w 3"], max_edge_px: int, quality: int = _QUALITY) -> str:
    """The image, shrunk to `max_edge_px` if it is larger, as a WebP in a data URI."""
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, max_edge_px / max(height, width))
    small = resize_to(image, max(1, round(width * scale)), max(1, round(height * scale)))
    done, data = cv2.imencode(".webp", small[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise StageError(f"A picture of {width} x {height} pixels for the report cannot be encoded; check OpenCV.")
    return f"data:image/webp;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"


def shrunk_map(values: Float[np.ndarray, "h w"], max_edge_px: int) -> Float[np.ndarray, "h w"]:
    """A map reduced by taking every k-th pixel: NaN stays NaN, and no value is invented."""
    step = max(1, int(np.ceil(max(values.shape) / max_edge_px)))
    return values[step // 2 :: step, step // 2 :: step]


def coloured(values: Float[np.ndarray, "h w"], low: float, high: float) -> UInt8[np.ndarray, "h w 3"]:
    """The map in the colour map Inferno (dark = low, bright = high); gray stripes where there is no value."""
    known = np.isfinite(values)
    level = np.clip((np.where(known, values, low) - low) / ((high - low) or 1.0), 0, 1)
    rgb = colour_table()[np.rint(255 * level).astype(np.int64)]
    rows, columns = np.indices(values.shape)
    stripe = ((rows + columns) // _STRIPE_PX % 2 == 0)[..., None]
    blank = np.where(stripe, np.array(_NO_VALUE_RGB), np.array(_STRIPE_RGB))
    return np.where(known[..., None], rgb, blank).astype(np.uint8)


def colour_table() -> UInt8[np.ndarray, "256 3"]:
    """256 colours from dark to bright, even to the eye."""
    import cv2

    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return np.ascontiguousarray(cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[:, 0, ::-1])


def css_gradient() -> str:
    """The colour table as a CSS gradient from left to right."""
    stops = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colour_table()[::17]]
    return f"linear-gradient(90deg, {', '.join(stops)})"


def anaglyph(
    left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"], shift_px: int
) -> UInt8[np.ndarray, "h w 3"]:
    """For red-cyan glasses, in shades of gray. What has the disparity `shift_px` appears at the screen."""
    import cv2

    moved = np.roll(right, shift_px, axis=1)
    gray = cv2.cvtColor(left, cv2.COLOR_RGB2GRAY), cv2.cvtColor(moved, cv2.COLOR_RGB2GRAY)
    picture = np.stack([gray[0], gray[1], gray[1]], axis=-1)
    return np.ascontiguousarray(picture[:, max(shift_px, 0) :])


def difference(image: UInt8[np.ndarray, "h w 3"], reference: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Mean absolute difference over channels in colour; bright at 64 levels and more."""
    error = np.abs(image.astype(np.float64) - reference.astype(np.float64)).mean(axis=-1)
    return coloured(error, 0.0, 64.0)
