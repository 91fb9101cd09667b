"""Trust in a confidence: reliability and ECE (Guo et al. 2017), sparsification and AUSE (Ilg et al. 2018).

Both accumulate in constant memory, so that any number of images can be pooled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

_SMALLEST_ERROR_PX = 1e-4
_LARGEST_ERROR_PX = 1e4
_ERROR_BINS = 4096
_STEPS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Bins of equal width over [0, 1]; NaN in empty bins.

    confidence, accuracy: means within each bin. ece_all_pixels: mean |accuracy - confidence| over bins, weighted by
    their pixels.
    """

    edges: Float[np.ndarray, "edges"]
    pixels: Int64[np.ndarray, "b"]
    confidence: Float[np.ndarray, "b"]
    accuracy: Float[np.ndarray, "b"]
    ece_all_pixels: float


class ReliabilityMetrics:
    """Accumulates (confidence, was it right) pairs."""

    def __init__(self, bins: int = 15) -> None:
        self._pixels = np.zeros(bins, np.int64)
        self._confidence = np.zeros(bins)
        self._right = np.zeros(bins)

    def update(self, confidence: Float[np.ndarray, "*n"], right: Bool[np.ndarray, "*n"]) -> None:
        """Add pixels: a probability in [0, 1] and whether the event happened. NaN confidences are left out."""
        known = np.isfinite(confidence)
        values = confidence[known].astype(np.float64)
        bins = len(self._pixels)
        index = np.clip((values * bins).astype(np.int64), 0, bins - 1)
        self._pixels += np.bincount(index, minlength=bins)
        self._confidence += np.bincount(index, weights=values, minlength=bins)
        self._right += np.bincount(index, weights=right[known].astype(np.float64), minlength=bins)

    def merge(self, other: ReliabilityMetrics) -> None:
        """Add the pixels that `other`, of as many bins, was given."""
        self._pixels += other._pixels
        self._confidence += other._confidence
        self._right += other._right

    def compute(self) -> Reliability:
        """The bins of everything given so far."""
        divisor = np.where(self._pixels > 0, self._pixels, np.nan)
        confidence, accuracy = self._confidence / divisor, self._right / divisor
        total = int(self._pixels.sum())
        gap = float(np.abs(self._right - self._confidence).sum())
        return Reliability(
            edges=np.linspace(0.0, 1.0, len(self._pixels) + 1),
            pixels=self._pixels.copy(),
            confidence=confidence,
            accuracy=accuracy,
            ece_all_pixels=gap / total if total else float("nan"),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparsification:
    """Mean error of what is left after the least trusted pixels are removed.

    removed: shares of pixels removed, 0 to 0.99. error_px: by the confidence. oracle_px: by the true error.
    ause_px: mean difference of the two curves. ause_relative: the same divided by the mean error of all pixels.
    """

    removed: Float[np.ndarray, "s"]
    error_px: Float[np.ndarray, "s"]
    oracle_px: Float[np.ndarray, "s"]
    ause_px: float
    ause_relative: float


class SparsificationMetrics:
    """Accumulates (confidence, error) pairs.

    Confidences are counted in `levels` equal steps of [0, 1] (256 = the resolution of a shard); pixels of one level
    are removed in random order, that is, the curve is its expected value. The oracle sorts errors in 4096 logarithmic
    bins from 1e-4 to 1e4 px (0.45 % wide) and keeps their exact sums.
    """

    def __init__(self, levels: int = 256) -> None:
        self._by_confidence = np.zeros((2, levels))
        self._by_error = np.zeros((2, _ERROR_BINS))

    def update(self, confidence: Float[np.ndarray, "*n"], error_px: Float[np.ndarray, "*n"]) -> None:
        """Add pixels; those with a NaN in either array are left out."""
        known = np.isfinite(confidence) & np.isfinite(error_px)
        error = error_px[known].astype(np.float64)
        levels = self._by_confidence.shape[1]
        level = np.clip(np.rint(confidence[known].astype(np.float64) * (levels - 1)), 0, levels - 1).astype(np.int64)
        scale = (_ERROR_BINS - 1) / np.log(_LARGEST_ERROR_PX / _SMALLEST_ERROR_PX)
        place = np.log(np.maximum(error, _SMALLEST_ERROR_PX) / _SMALLEST_ERROR_PX) * scale
        bins = np.minimum(place, _ERROR_BINS - 1).astype(np.int64)
        for table, index in ((self._by_confidence, level), (self._by_error, bins)):
            table[0] += np.bincount(index, minlength=table.shape[1])
            table[1] += np.bincount(index, weights=error, minlength=table.shape[1])

    def merge(self, other: SparsificationMetrics) -> None:
        """Add the pixels that `other`, of as many levels, was given."""
        self._by_confidence += other._by_confidence
        self._by_error += other._by_error

    def compute(self) -> Sparsification:
        """The curves of everything given so far; NaN if nothing was."""
        removed = np.arange(_STEPS) / _STEPS
        error, oracle = _curve(self._by_confidence, removed), _curve(self._by_error[:, ::-1], removed)
        ause = float(np.mean(error - oracle))
        # A perfect prediction leaves nothing to sort, so its relative area is 0, not 0 / 0.
        relative = ause / float(error[0]) if error[0] != 0 else 0.0
        return Sparsification(removed=removed, error_px=error, oracle_px=oracle, ause_px=ause, ause_relative=relative)


def _curve(groups: Float[np.ndarray, "2 g"], removed: Float[np.ndarray, "s"]) -> Float[np.ndarray, "s"]:
    """Mean error left when groups (pixel counts, error sums) are removed from first to last."""
    pixels, errors = (np.concatenate([[0.0], np.cumsum(row)]) for row in groups)
    if pixels[-1] == 0:
        return np.full(len(removed), np.nan)
    # Levels without pixels would give the interpolation repeated abscissae.
    keep = np.concatenate([[True], np.diff(pixels) > 0])
    gone = np.interp(removed * pixels[-1], pixels[keep], errors[keep])
    return np.asarray(np.maximum(errors[-1] - gone, 0.0) / ((1 - removed) * pixels[-1]))
