"""What every matcher of ours does with its input and output: check, find the right disparity too, compare, announce.

A matcher only knows the left disparity; the right one is that of both images mirrored and swapped.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import InputError
from gs_stereo.log import logger
from gs_stereo.matching.protocol import StereoMatcher
from gs_stereo.metrics.consistency import left_right_difference
from gs_stereo.types import DisparityPrediction

Image = UInt8[np.ndarray, "h w 3"]
Pair = tuple[np.ndarray, np.ndarray]

_announced: set[tuple[str, str]] = set()


class BothSidesConfig(Protocol):
    """max_disparity_px: the range searched, None: the caller knows it. left_right_px: see `OneDirectionMatcher`."""

    @property
    def max_disparity_px(self) -> float | None: ...

    @property
    def left_right_px(self) -> float | None: ...


class OneDirectionMatcher(ABC):
    """A StereoMatcher of whatever finds left disparities.

    Where its config has `left_right_px`, pixels are dropped whose two directions differ by more.
    max_disparity_px: the range for this pair, where the config leaves it open; a caller that renders knows it.
    """

    config: BothSidesConfig

    @abstractmethod
    def left_disparities(self, pairs: Sequence[Pair], max_disparity_px: float | None) -> list[DisparityPrediction]:
        """Left disparity of every (left, right), all of one size, unchecked; NaN where there is none.

        max_disparity_px: the range to search, None: nobody knows it.
        """

    def predict(self, left: Image, right: Image, *, max_disparity_px: float | None = None) -> DisparityPrediction:
        """Left disparity; NaN where there is none, or where the two directions disagree if that is checked."""
        if self.config.left_right_px is None:
            return self._left([(left, right)], max_disparity_px)[0]
        both = self.predict_both(left, right, max_disparity_px=max_disparity_px)
        return agreeing(*both, self.config.left_right_px)

    def predict_both(
        self, left: Image, right: Image, *, max_disparity_px: float | None = None
    ) -> tuple[DisparityPrediction, DisparityPrediction]:
        """(left, right) disparities without a check."""
        forward, flipped = self._left([(left, right), _flipped(left, right)], max_disparity_px)
        return forward, _unflipped(flipped)

    def _left(self, pairs: Sequence[Pair], hint_px: float | None) -> list[DisparityPrediction]:
        for pair in pairs:
            check_pair(*pair)
        known = self.config.max_disparity_px
        return self.left_disparities(pairs, hint_px if known is None else known)


def predict_both(
    matcher: StereoMatcher, left: Image, right: Image, max_disparity_px: float | None
) -> tuple[DisparityPrediction, DisparityPrediction]:
    """(left, right) disparities by any matcher; the range is a hint for those that take one, None: their own."""
    if isinstance(matcher, OneDirectionMatcher):
        return matcher.predict_both(left, right, max_disparity_px=max_disparity_px)
    return matcher.predict(left, right), _unflipped(matcher.predict(*_flipped(left, right)))


def _mirrored(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[:, ::-1])


def _flipped(left: np.ndarray, right: np.ndarray) -> Pair:
    return _mirrored(right), _mirrored(left)


def _unflipped(flipped: DisparityPrediction) -> DisparityPrediction:
    confidence = None if flipped.confidence is None else _mirrored(flipped.confidence)
    return DisparityPrediction(disparity=_mirrored(flipped.disparity), confidence=confidence)


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
