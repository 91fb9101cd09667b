"""A picture of one evaluated pair: left image, truth, prediction, and the error in steps that double, with a scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.datasets.layouts.pair_files import LabelledPair
from gs_stereo.imaging.images import write_png

ERROR_EDGES_PX = (0.1875, 0.375, 0.75, 1.5, 3.0, 6.0, 12.0, 24.0, 48.0)
"""Upper ends of the error classes; 3 px, KITTI's limit, lies between blue and yellow."""

# ColorBrewer's RdYlBu with ten classes (Brewer 2013), from small errors to large ones.
_ERROR_COLOURS = np.array(
    [
        (49, 54, 149), (69, 117, 180), (116, 173, 209), (171, 217, 233), (224, 243, 248),
        (254, 224, 144), (253, 174, 97), (244, 109, 67), (215, 48, 39), (165, 0, 38),
    ],
    np.uint8,
)  # fmt: skip
_UNKNOWN = np.array((30, 30, 30), np.uint8)
_MISSING = np.array((255, 0, 255), np.uint8)
_BAR_PX = 26
_INK = (20, 20, 20)


def pair_picture(pair: LabelledPair, predicted: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "hh ww 3"]:
    """Two rows: left and truth, prediction and error. Dark = nothing known; magenta = truth without prediction."""
    largest = float(np.nanmax(pair.disparity, initial=1.0))
    error = np.abs(predicted - pair.disparity)
    top = [pair.left, _titled(disparity_colours(pair.disparity, largest), f"truth, 0 to {largest:.0f} px")]
    bottom = [
        _titled(disparity_colours(predicted, largest), "prediction, same scale"),
        error_colours(error, np.isfinite(pair.disparity)),
    ]
    rows = [np.concatenate(row, axis=1) for row in (top, bottom)]
    return np.concatenate([*rows, _scale_bar(rows[0].shape[1])], axis=0)


def write_picture(path: Path, pair: LabelledPair, predicted: Float[np.ndarray, "h w"]) -> None:
    """`pair_picture` as a PNG file."""
    write_png(path, pair_picture(pair, predicted))


def disparity_colours(disparity: Float[np.ndarray, "h w"], largest_px: float) -> UInt8[np.ndarray, "h w 3"]:
    """The map in the colours of Turbo from 0 to `largest_px`; dark where it is NaN."""
    import cv2

    known = np.isfinite(disparity)
    steps = np.clip(np.where(known, disparity, 0.0) * (255.0 / max(largest_px, 1e-6)), 0, 255)
    colours = np.ascontiguousarray(cv2.applyColorMap(steps.astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1])
    colours[~known] = _UNKNOWN
    return colours


def error_colours(error_px: Float[np.ndarray, "h w"], has_truth: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Errors by class; dark without truth, magenta where there is truth and no prediction."""
    known = np.isfinite(error_px)
    classes = np.searchsorted(ERROR_EDGES_PX, np.where(known, error_px, 0.0))
    colours = _ERROR_COLOURS[classes]
    colours[~known] = np.where(has_truth[~known][:, None], _MISSING, _UNKNOWN)
    return colours


def _titled(image: np.ndarray, text: str) -> np.ndarray:
    import cv2

    cv2.putText(image, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return image


def _scale_bar(width: int) -> UInt8[np.ndarray, "b w 3"]:
    """The error classes as boxes, the upper end of each written into it."""
    import cv2

    ends = np.linspace(0, width, len(_ERROR_COLOURS) + 1).astype(int)
    bar = np.repeat(np.repeat(_ERROR_COLOURS, np.diff(ends), axis=0)[None], _BAR_PX, axis=0)
    labels = [*(f"<{edge:g}" for edge in ERROR_EDGES_PX), "larger"]
    for start, label, colour in zip(ends, labels, _ERROR_COLOURS, strict=False):
        ink = _INK if colour.sum() > 330 else (255, 255, 255)
        cv2.putText(bar, label, (int(start) + 4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.4, ink, 1, cv2.LINE_AA)
    return bar
