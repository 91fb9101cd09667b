"""The disparity of the right image from a matcher that only knows the left one: mirror both images and swap them.

`OneDirectionMatcher` makes a whole StereoMatcher of such a matcher.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from gs_stereo.matching.contracts import agreeing
from gs_stereo.matching.protocol import StereoMatcher
from gs_stereo.types import DisparityPrediction


def mirrored(image: np.ndarray) -> np.ndarray:
    """The image (or map) with its columns reversed."""
    return np.ascontiguousarray(image[:, ::-1])


def predict_both(
    matcher: StereoMatcher,
    left: UInt8[np.ndarray, "h w 3"],
    right: UInt8[np.ndarray, "h w 3"],
    max_disparity_px: float,
) -> tuple[DisparityPrediction, DisparityPrediction]:
    """Disparity of the left and of the right image; the range is a hint for matchers that take one."""
    if hasattr(matcher, "predict_both"):
        both: tuple[DisparityPrediction, DisparityPrediction] = matcher.predict_both(
            left, right, max_disparity_px=max_disparity_px
        )
        return both
    return matcher.predict(left, right), predict_right(matcher, left, right)


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


class BothSidesConfig(Protocol):
    """left_right_px: largest difference of the two directions where a pixel is kept; None: they are not compared."""

    @property
    def left_right_px(self) -> float | None: ...


class OneDirectionMatcher(ABC):
    """The predictions of a matcher that says how the left disparity is found."""

    config: BothSidesConfig

    @abstractmethod
    def one_direction(self, left: np.ndarray, right: np.ndarray, hint_px: float | None) -> DisparityPrediction:
        """Left disparity, unchecked. hint_px: the range where the settings leave it open."""

    def predict(
        self,
        left: UInt8[np.ndarray, "h w 3"],
        right: UInt8[np.ndarray, "h w 3"],
        *,
        max_disparity_px: float | None = None,
    ) -> DisparityPrediction:
        """Left disparity; NaN where there is none, or where the two directions disagree if that is checked."""
        if self.config.left_right_px is None:
            return self.one_direction(left, right, max_disparity_px)
        sides = self.predict_both(left, right, max_disparity_px=max_disparity_px)
        return agreeing(*sides, self.config.left_right_px)

    def predict_both(
        self,
        left: UInt8[np.ndarray, "h w 3"],
        right: UInt8[np.ndarray, "h w 3"],
        *,
        max_disparity_px: float | None = None,
    ) -> tuple[DisparityPrediction, DisparityPrediction]:
        """(left, right) disparities without a check; the right one by mirrored and swapped images."""
        return both_directions(partial(self.one_direction, hint_px=max_disparity_px), left, right)

    def predict_batch(self, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[DisparityPrediction]:
        """`predict` for each (left, right)."""
        return [self.predict(left, right) for left, right in pairs]
