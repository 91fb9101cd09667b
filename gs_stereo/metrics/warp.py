"""What the pixels say about a label: which factor, shift and row offset make the warped right image look most alike.

The error of a candidate is the mean absolute difference of brightness, both images freed of their slow changes, over
the same pixels for all candidates of a curve. A wrong disparity moves the minimum, whatever the contrast.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gs_stereo.geometry.disparity import warp_right_to_left
from gs_stereo.metrics.consistency import warp_residual

FACTORS = np.round(np.arange(0.85, 1.1501, 0.01), 3)
SHIFTS_PX = np.arange(-4.0, 4.01, 0.25)
ROW_OFFSETS_PX = np.arange(-4.0, 4.01, 0.5)
_SLOW_SIGMA_PX = 8.0
_MAX_PIXELS = 20000
_LEAST_PIXELS = 300
_TEXTURED_PERCENTILE = 50.0
_DIFFERENT_LEVELS = 16.0
_LEAST_RELIEF = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class WarpCurves:
    """Warp errors in 8-bit levels of one pair.

    by_factor: with the disparity times FACTORS. by_shift: plus SHIFTS_PX. negative: with the sign changed, over the
    pixels for which that stays in the image; positive: with the right sign over the same pixels.
    """

    by_factor: Float[np.ndarray, "f"]
    by_shift: Float[np.ndarray, "s"]
    positive: float
    negative: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedPair:
    """Both images, the left label, and the pixels whose label is to be compared with the images."""

    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    disparity: Float[np.ndarray, "h w"]
    comparable: Bool[np.ndarray, "h w"]


def warp_curves(pair: ComparedPair) -> WarpCurves | None:
    """Evaluate the candidates on the textured comparable pixels; None if there are too few."""
    rows, columns = _textured_pixels(pair, axis=1)
    if len(rows) < _LEAST_PIXELS:
        return None
    here, there = _detail(pair.left), _detail(pair.right)
    values = pair.disparity[rows, columns].astype(np.float64)

    def errors(candidates: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k"]:
        x = columns - candidates
        inside = ((x >= 0) & (x <= there.shape[1] - 1)).all(axis=0)
        if inside.sum() < _LEAST_PIXELS:
            return np.full(len(candidates), np.nan)
        seen = _at(there, rows[inside], x[:, inside])
        return np.asarray(np.abs(seen - here[rows, columns][inside]).mean(axis=1))

    positive, negative = errors(np.stack([values, -values]))
    return WarpCurves(
        by_factor=errors(FACTORS[:, None] * values),
        by_shift=errors(SHIFTS_PX[:, None] + values),
        positive=float(positive),
        negative=float(negative),
    )


def best_row_offset_px(pair: ComparedPair) -> float:
    """How much lower the right image lies, judged by the pixels; NaN if too few are comparable."""
    rows, columns = _textured_pixels(pair, axis=0)
    x = columns - pair.disparity[rows, columns].astype(np.float64)
    inside = (x >= 0) & (x <= pair.left.shape[1] - 1)
    rows, columns, x = rows[inside], columns[inside], x[inside]
    if len(rows) < _LEAST_PIXELS:
        return float("nan")
    here = _detail(pair.left)[rows, columns]
    errors = [
        float(np.abs(_at(_detail(moved_rows(pair.right, -offset)), rows, x[None])[0] - here).mean())
        for offset in ROW_OFFSETS_PX
    ]
    return minimum_of(ROW_OFFSETS_PX, np.array(errors))


def different_share(pair: ComparedPair) -> float:
    """Share of comparable pixels in frame whose warped right pixel differs by more than 16 levels; NaN without any."""
    disparity = np.where(pair.comparable, pair.disparity.astype(np.float64), np.nan)
    residual = warp_residual(pair.left, pair.right, disparity)
    known = np.isfinite(residual)
    return float((residual[known] > _DIFFERENT_LEVELS).mean()) if known.any() else float("nan")


def detail_residual(
    left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"], disparity: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """|left - warped right| of the brightness without its slow changes, 8-bit levels; NaN without a match in frame."""
    warped = warp_right_to_left(_detail(right)[..., None], disparity)[..., 0]
    return np.asarray(np.abs(_detail(left) - warped))


def moved_rows(image: UInt8[np.ndarray, "h w 3"], down_px: float) -> UInt8[np.ndarray, "h w 3"]:
    """The image moved down by `down_px` (linear between rows, border repeated)."""
    import cv2

    matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, down_px]])
    size = image.shape[1], image.shape[0]
    moved: UInt8[np.ndarray, "h w 3"] = cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return moved


def minimum_of(candidates: Float[np.ndarray, "k"], errors: Float[np.ndarray, "k"]) -> float:
    """Where the curve is lowest, to a fraction of its step (parabola through three points).

    NaN if the curve is unknown, or so flat that its lowest point means nothing (blank images).
    """
    if not np.isfinite(errors).all() or np.ptp(errors) <= _LEAST_RELIEF * errors.max():
        return float("nan")
    best = int(np.argmin(errors))
    if best in (0, len(errors) - 1):
        return float(candidates[best])
    low, middle, high = errors[best - 1 : best + 2]
    bend = low - 2 * middle + high
    offset = 0.5 * (low - high) / bend if bend > 0 else 0.0
    return float(candidates[best] + offset * (candidates[1] - candidates[0]))


def _textured_pixels(pair: ComparedPair, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the comparable pixels with the steeper half of the gradients along an axis, thinned out."""
    slope = np.abs(np.gradient(_detail(pair.left), axis=axis))
    chosen = pair.comparable & np.isfinite(pair.disparity)
    if not chosen.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows, columns = np.nonzero(chosen & (slope >= np.percentile(slope[chosen], _TEXTURED_PERCENTILE)))
    step = max(1, len(rows) // _MAX_PIXELS)
    return rows[::step], columns[::step]


def _detail(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """Brightness without its slow changes, so that another exposure of the other eye does not matter."""
    import cv2

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(gray - cv2.GaussianBlur(gray, (0, 0), _SLOW_SIGMA_PX))


def _at(image: Float[np.ndarray, "h w"], rows: np.ndarray, x: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "k n"]:
    """Linear interpolation along rows at array columns inside the image."""
    low = np.minimum(x.astype(np.int64), image.shape[1] - 2)
    weight = x - low
    return image[rows, low] * (1 - weight) + image[rows, low + 1] * weight
