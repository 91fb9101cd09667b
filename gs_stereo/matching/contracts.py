"""What every neural expert does with its input and output: check, clean, compare both directions, announce."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.log import logger
from gs_stereo.metrics.consistency import left_right_difference
from gs_stereo.types import DisparityPrediction

_announced: set[tuple[str, str]] = set()


def check_pair(left: np.ndarray, right: np.ndarray) -> None:
    """InputError unless both are uint8 (H, W, 3) of one size."""
    if left.shape != right.shape or left.ndim != 3 or left.shape[2] != 3 or left.size == 0:
        raise InputError(f"A stereo pair must be two (H, W, 3) images of one size, not {left.shape} and {right.shape}.")
    if left.dtype != np.uint8 or right.dtype != np.uint8:
        raise InputError(f"A stereo pair must be uint8, not {left.dtype} and {right.dtype}; convert the images.")


def positive_or_nan(disparity: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """A float32 copy with NaN where a net answered with infinity or with a point behind infinity."""
    usable = np.isfinite(disparity) & (disparity >= 0)
    return np.where(usable, disparity, np.nan).astype(np.float32)


def agreeing(left: DisparityPrediction, right: DisparityPrediction, threshold_px: float) -> DisparityPrediction:
    """The left prediction with NaN where the right one contradicts it or cannot confirm it."""
    difference = left_right_difference(left.disparity, right.disparity)
    kept = np.where(difference <= threshold_px, left.disparity, np.float32(np.nan))
    return DisparityPrediction(disparity=kept, confidence=left.confidence)


def announce_licence(name: str, licence: str) -> None:
    """Say once a process under which licence an expert stands."""
    if (name, licence) not in _announced:
        _announced.add((name, licence))
        logger.warning("%s is used under its licence: %s. Its labels carry this notice.", name, licence)
