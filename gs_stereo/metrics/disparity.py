"""Errors of disparity maps, pooled over the pixels of all images, and the pixels where they are counted.

A prediction of NaN is uncovered: error metrics then speak of covered pixels only and stand beside the coverage,
unless uncovered pixels count as bad.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

DEFAULT_THRESHOLDS_PX = (0.5, 1.0, 2.0, 3.0)
_D1_PX = 3.0
_D1_RELATIVE = 0.05


@dataclass(frozen=True, kw_only=True)
class DisparityScores:
    """Pooled over all pixels of all images that were given; NaN where there is nothing to divide by.

    coverage: share of pixels with truth that have a prediction. epe_all_pixels: mean absolute error in pixels, over
    covered pixels always. bad_all_pixels: share with an error above t pixels. d1_all_pixels: share with an error
    above 3 px and above 5 % of the truth (KITTI 2015).
    """

    pixels: int
    coverage: float
    epe_all_pixels: float
    bad_all_pixels: Mapping[float, float]
    d1_all_pixels: float


class DisparityMetrics:
    """Accumulates errors image by image: `update` then `compute`."""

    def __init__(
        self, thresholds_px: Sequence[float] = DEFAULT_THRESHOLDS_PX, *, uncovered_counts_as_bad: bool = False
    ) -> None:
        self._thresholds = tuple(float(value) for value in thresholds_px)
        self._uncovered_is_bad = uncovered_counts_as_bad
        self._pixels = self._covered = self._d1 = 0
        self._error_sum = 0.0
        self._bad = np.zeros(len(self._thresholds), np.int64)

    def update(
        self,
        predicted: Float[np.ndarray, "h w"],
        truth: Float[np.ndarray, "h w"],
        mask: Bool[np.ndarray, "h w"] | None = None,
    ) -> None:
        """Add the pixels of one image that have truth and lie in `mask` (None = everywhere)."""
        chosen = np.isfinite(truth) if mask is None else np.isfinite(truth) & mask
        true = truth[chosen].astype(np.float64)
        error = np.abs(predicted[chosen].astype(np.float64) - true)
        covered = np.isfinite(error)
        error, true = error[covered], true[covered]
        self._pixels += len(covered)
        self._covered += len(error)
        self._error_sum += float(error.sum())
        self._bad += [int((error > threshold).sum()) for threshold in self._thresholds]
        self._d1 += int(((error > _D1_PX) & (error > _D1_RELATIVE * np.abs(true))).sum())

    def compute(self) -> DisparityScores:
        """The scores of everything given so far."""
        missing = self._pixels - self._covered if self._uncovered_is_bad else 0
        counted = self._pixels if self._uncovered_is_bad else self._covered
        bad = (_share(int(count) + missing, counted) for count in self._bad)
        return DisparityScores(
            pixels=self._pixels,
            coverage=_share(self._covered, self._pixels),
            epe_all_pixels=_share(self._error_sum, self._covered),
            bad_all_pixels=dict(zip(self._thresholds, bad, strict=True)),
            d1_all_pixels=_share(self._d1 + missing, counted),
        )


@dataclass(frozen=True, kw_only=True)
class DetectionScores:
    """Precision, recall and F1 of a binary mask, pooled over all pixels; NaN where there is nothing to divide by."""

    true_pixels: int
    found_pixels: int
    precision_all_pixels: float
    recall_all_pixels: float
    f1_all_pixels: float


class DetectionMetrics:
    """Accumulates how well a mask (for example of occlusion) finds the true one."""

    def __init__(self) -> None:
        self._hits = self._found = self._true = 0

    def update(
        self,
        predicted: Bool[np.ndarray, "h w"],
        truth: Bool[np.ndarray, "h w"],
        mask: Bool[np.ndarray, "h w"] | None = None,
    ) -> None:
        """Add the pixels of one image that lie in `mask` (None = everywhere)."""
        inside = np.ones(truth.shape, bool) if mask is None else mask
        self._hits += int((predicted & truth & inside).sum())
        self._found += int((predicted & inside).sum())
        self._true += int((truth & inside).sum())

    def compute(self) -> DetectionScores:
        """The scores of everything given so far."""
        return DetectionScores(
            true_pixels=self._true,
            found_pixels=self._found,
            precision_all_pixels=_share(self._hits, self._found),
            recall_all_pixels=_share(self._hits, self._true),
            f1_all_pixels=_share(2 * self._hits, self._found + self._true),
        )


def edge_mask(
    depth: Float[np.ndarray, "h w"], radius_px: int = 3, relative_step: float = 0.04
) -> Bool[np.ndarray, "h w"]:
    """Pixels within `radius_px` (rows and columns) of a depth discontinuity.

    Two neighbours are a discontinuity if their depths differ by more than `relative_step` of the nearer one.
    """
    edge = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        first, second = np.moveaxis(depth, axis, 0)[:-1], np.moveaxis(depth, axis, 0)[1:]
        jump = np.abs(first - second) > relative_step * np.minimum(first, second)
        along = np.moveaxis(edge, axis, 0)
        along[:-1] |= jump
        along[1:] |= jump
    return _dilated(edge, radius_px)


def _dilated(mask: np.ndarray, radius: int) -> Bool[np.ndarray, "h w"]:
    """True within a square of `radius` pixels about a true pixel."""
    for axis in (0, 1):
        grown = mask.copy()
        for step in range(1, min(radius, mask.shape[axis] - 1) + 1):
            source, target = np.moveaxis(mask, axis, 0), np.moveaxis(grown, axis, 0)
            target[step:] |= source[:-step]
            target[:-step] |= source[step:]
        mask = grown
    return mask


def _share(part: int | float, whole: int) -> float:
    return part / whole if whole else float("nan")
