"""A picture of one evaluated pair: left image, truth, prediction, and the error in steps that double, with a scale."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.datasets.layouts.pair_files import LabelledPair
from gs_stereo.imaging.colour_maps import DARK, ERROR_COLOURS, ERROR_EDGES_PX, coloured, error_colours
from gs_stereo.imaging.images import write_png

_BAR_PX = 26
_INK = (20, 20, 20)


def pair_picture(pair: LabelledPair, predicted: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "hh ww 3"]:
    """Two rows: left and truth, prediction and error. Dark = nothing known; magenta = truth without prediction."""
    largest = float(np.nanmax(pair.disparity, initial=1.0))
    error = np.abs(predicted - pair.disparity)
    top = [pair.left, _titled(coloured(pair.disparity, 0.0, largest, "turbo", DARK), f"truth, 0 to {largest:.0f} px")]
    bottom = [
        _titled(coloured(predicted, 0.0, largest, "turbo", DARK), "prediction, same scale"),
        error_colours(error, np.isfinite(pair.disparity)),
    ]
    rows = [np.concatenate(row, axis=1) for row in (top, bottom)]
    return np.concatenate([*rows, _scale_bar(rows[0].shape[1])], axis=0)


def write_picture(path: Path, pair: LabelledPair, predicted: Float[np.ndarray, "h w"]) -> None:
    """`pair_picture` as a PNG file."""
    write_png(path, pair_picture(pair, predicted))


def _titled(image: np.ndarray, text: str) -> np.ndarray:
    import cv2

    cv2.putText(image, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return image


def _scale_bar(width: int) -> UInt8[np.ndarray, "b w 3"]:
    """The error classes as boxes, the upper end of each written into it."""
    import cv2

    ends = np.linspace(0, width, len(ERROR_COLOURS) + 1).astype(int)
    bar = np.repeat(np.repeat(ERROR_COLOURS, np.diff(ends), axis=0)[None], _BAR_PX, axis=0)
    labels = [*(f"<{edge:g}" for edge in ERROR_EDGES_PX), "larger"]
    for start, label, colour in zip(ends, labels, ERROR_COLOURS, strict=False):
        ink = _INK if colour.sum() > 330 else (255, 255, 255)
        cv2.putText(bar, label, (int(start) + 4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.4, ink, 1, cv2.LINE_AA)
    return bar
