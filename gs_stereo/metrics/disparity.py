"""Errors of disparity maps, over the pixels of all images and as means of images, and where they are counted.

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
    """Scores of all images that were given; NaN where there is nothing to divide by.

    `..._all_pixels` divides sums over all pixels of all images; `..._image_mean` is the mean of the images' own
    scores, every image with a counted pixel weighing the same. coverage: share of pixels with truth that have a
    prediction. epe: mean absolute error in pixels, over covered pixels always. bad: share with an error above t
    pixels. d1: share with an error above 3 px and above 5 % of the truth (KITTI 2015).
    """

    images: int
    pixels: int
    coverage: float
    epe_all_pixels: float
    bad_all_pixels: Mapping[float, float]
    d1_all_pixels: float
    epe_image_mean: float
    bad_image_mean: Mapping[float, float]
    d1_image_mean: float


class DisparityMetrics:
    """Accumulates errors image by image: `update` then `compute`."""

    def __init__(
        self, thresholds_px: Sequence[float] = DEFAULT_THRESHOLDS_PX, *, uncovered_counts_as_bad: bool = False
    ) -> None:
        self._thresholds = tuple(float(value) for value in thresholds_px)
        self._uncovered_is_bad = uncovered_counts_as_bad
        self._sums: list[list[float]] = []

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
        d1 = (error > _D1_PX) & (error > _D1_RELATIVE * np.abs(true))
        bad = [float((error > threshold).sum()) for threshold in self._thresholds]
        self._sums.append([float(len(covered)), float(len(error)), float(error.sum()), float(d1.sum()), *bad])

    def merge(self, other: DisparityMetrics) -> None:
        """Add the images that `other`, of the same thresholds, was given."""
        self._sums += other._sums

    def compute(self) -> DisparityScores:
        """The scores of everything given so far."""
        images = np.array(self._sums).reshape(len(self._sums), 4 + len(self._thresholds))
        pooled = self._shares(images.sum(axis=0, keepdims=True))[0]
        mean = _mean_of_known(self._shares(images))
        return DisparityScores(
            images=int((images[:, 0] > 0).sum()),
            pixels=int(images[:, 0].sum()),
            coverage=float(pooled[0]),
            epe_all_pixels=float(pooled[1]),
            bad_all_pixels=dict(zip(self._thresholds, pooled[3:].tolist(), strict=True)),
            d1_all_pixels=float(pooled[2]),
            epe_image_mean=float(mean[1]),
            bad_image_mean=dict(zip(self._thresholds, mean[3:].tolist(), strict=True)),
            d1_image_mean=float(mean[2]),
        )

    def _shares(self, sums: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k-1"]:
        """Rows of (pixels, covered, error sum, d1, bad ...) as rows of (coverage, epe, d1, bad ...)."""
        pixels, covered = sums[:, :1], sums[:, 1:2]
        missing, counted = (pixels - covered, pixels) if self._uncovered_is_bad else (0.0, covered)
        top = np.concatenate([covered, sums[:, 2:3], sums[:, 3:] + missing], axis=1)
        bottom = np.concatenate([pixels, covered, np.repeat(counted, top.shape[1] - 2, axis=1)], axis=1)
        return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _mean_of_known(rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "k"]:
    """Column means over the entries that are not NaN."""
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    return np.divide(np.where(known, rows, 0.0).sum(axis=0), count, out=np.full(rows.shape[1], np.nan), where=count > 0)


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

    def merge(self, other: DetectionMetrics) -> None:
        """Add the images that `other` was given."""
        self._hits += other._hits
        self._found += other._found
        self._true += other._true

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
    """Pixels within `radius_px` (rows and columns) of a depth discontinuity, see `depth_steps`."""
    import cv2

    window = np.ones((2 * radius_px + 1, 2 * radius_px + 1), np.uint8)
    return cv2.dilate(depth_steps(depth, relative_step).astype(np.uint8), window) > 0


def depth_steps(depth: Float[np.ndarray, "h w"], relative_step: float) -> Bool[np.ndarray, "h w"]:
    """Pixels on both sides of a depth discontinuity.

    Two neighbours are a discontinuity if their depths differ by more than `relative_step` of the nearer one.
    """
    edge = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        first, second = np.moveaxis(depth, axis, 0)[:-1], np.moveaxis(depth, axis, 0)[1:]
        jump = np.abs(first - second) > relative_step * np.minimum(first, second)
        along = np.moveaxis(edge, axis, 0)
        along[:-1] |= jump
        along[1:] |= jump
    return edge


def _share(part: int | float, whole: int) -> float:
    return part / whole if whole else float("nan")
