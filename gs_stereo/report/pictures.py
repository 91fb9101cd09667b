"""Pictures for the page: data URIs of bounded size, differences, the colour bar."""

import base64

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import StageError
from gs_stereo.imaging.colour_maps import colour_table, coloured, shown_range
from gs_stereo.imaging.images import nearest_size, resize_to

_QUALITY = 78
SHOWN_EDGE_PX = 720
"""Longest side of a picture that is shown in full."""


def data_uri(image: UInt8[np.ndarray, "h w 3"], max_edge_px: int, quality: int = _QUALITY) -> str:
    """The image, shrunk to `max_edge_px` if it is larger, as a WebP in a data URI."""
    import cv2

    height, width = image.shape[:2]
    small = resize_to(image, *nearest_size(width, height, max_edge_px))
    done, data = cv2.imencode(".webp", small[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise StageError(f"A picture of {width} x {height} pixels for the report cannot be encoded; check OpenCV.")
    return f"data:image/webp;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"


def shrunk_map(values: Float[np.ndarray, "h w"], max_edge_px: int) -> Float[np.ndarray, "h w"]:
    """A map reduced by taking every k-th pixel: NaN stays NaN, and no value is invented."""
    step = max(1, int(np.ceil(max(values.shape) / max_edge_px)))
    return values[step // 2 :: step, step // 2 :: step]


def stack_sheet(views: UInt8[np.ndarray, "v h w 3"], depth: Float[np.ndarray, "v h w"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """All views in one row, their nearness in the same colours below."""
    nearness = 1.0 / depth.astype(np.float64)
    limits = shown_range(nearness[np.isfinite(nearness)])
    rows = [np.concatenate(list(views), axis=1), np.concatenate([coloured(each, *limits) for each in nearness], axis=1)]
    return np.concatenate(rows, axis=0)


def css_gradient() -> str:
    """The colour table as a CSS gradient from left to right."""
    stops = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colour_table()[::17]]
    return f"linear-gradient(90deg, {', '.join(stops)})"


def difference(image: UInt8[np.ndarray, "h w 3"], reference: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Mean absolute difference over channels in colour; bright at 64 levels and more."""
    error = np.abs(image.astype(np.float64) - reference.astype(np.float64)).mean(axis=-1)
    return coloured(error, 0.0, 64.0)
