"""The disparity of the right image from a matcher that only knows the left one: mirror both images and swap them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

from gs_stereo.matching.protocol import StereoMatcher
from gs_stereo.types import DisparityPrediction


def mirrored(image: np.ndarray) -> np.ndarray:
    """The image (or map) with its columns reversed."""
    return np.ascontiguousarray(image[:, ::-1])


def predict_right(
    matcher: StereoMatcher, left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"]
) -> DisparityPrediction:
    """Disparity of the right image, >= 0: the right pixel at x matches the left pixel at x + d."""
    return _unflipped(matcher.predict(mirrored(right), mirrored(left)))


def both_directions(
    predict_left: Callable[[np.ndarray, np.ndarray], DisparityPrediction],
    left: UInt8[np.ndarray, "h w 3"],
    right: UInt8[np.ndarray, "h w 3"],
) -> tuple[DisparityPrediction, DisparityPrediction]:
    """(left, right) disparities by a function that only knows the left one; neither is checked against the other."""
    return predict_left(left, right), _unflipped(predict_left(mirrored(right), mirrored(left)))


def _unflipped(flipped: DisparityPrediction) -> DisparityPrediction:
    confidence = None if flipped.confidence is None else mirrored(flipped.confidence)
    return DisparityPrediction(disparity=mirrored(flipped.disparity), confidence=confidence)
