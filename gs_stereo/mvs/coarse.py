"""The first guess: planes of constant depth, normalised correlation, semi-global aggregation, at a reduced scale.

Plane sweep of Collins (1996); each plane warps a view by one homography. Out of the views' costs the best half is
averaged, so that a point hidden on one side is judged by the other (Kang, Szeliski & Chai 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.mvs.problem import MISSING_COST, Kernel, Problem, ViewMap
from gs_stereo.mvs.views import DepthRange

_OUTSIDE = -1000.0
_PEAK_HALF_WIDTH = 3
_PATHS = 8
_LEAST_COST = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class CoarseGuess:
    """inverse_depth: the best plane, refined between planes. ambiguity: see SweepResult. step: between planes."""

    inverse_depth: Float[np.ndarray, "h w"]
    ambiguity: Float[np.ndarray, "h w"]
    step: float


def coarse_guess(problem: Problem, depth_range: DepthRange, config: MultiViewConfig, kernel: Kernel) -> CoarseGuess:
    """The plane of every pixel of a problem at the coarse scale."""
    planes = np.linspace(1 / depth_range.far, 1 / depth_range.near, config.planes)
    volume = _volume(problem, planes, config)
    penalties = (config.small_jump, config.large_jump, config.edge_levels)
    total = kernel.aggregate(volume, problem.gray, penalties, config.threads)
    best = total.argmin(axis=2)
    middle = np.clip(best, 1, len(planes) - 2)
    before, here, after = (np.take_along_axis(total, (middle + k)[..., None], 2)[..., 0] for k in (-1, 0, 1))
    bend = before - 2 * here + after
    offset = np.where(bend > 0, 0.5 * (before - after) / np.where(bend > 0, bend, 1.0), 0.0)
    step = float(planes[1] - planes[0])
    inverse_depth = planes[middle] + np.clip(offset, -0.5, 0.5) * step
    return CoarseGuess(
        inverse_depth=inverse_depth.astype(np.float32), ambiguity=_ambiguity(total / _PATHS, best), step=step
    )


def _volume(problem: Problem, planes: Float[np.ndarray, "d"], config: MultiViewConfig) -> Float[np.ndarray, "h w d"]:
    height, width = problem.shape
    window = (config.coarse_window_px, config.coarse_window_px)
    left = _Moments.of(problem.gray.astype(np.float32), window)
    views = [(view, view.gray.astype(np.float32)) for view in problem.views]
    used = max(1, min((len(views) + 1) // 2, 2 * problem.best_views))
    volume = np.empty((height, width, len(planes)), np.float32)
    for index, inverse_depth in enumerate(planes):
        costs = np.stack([_plane_cost(problem, left, view, gray, inverse_depth) for view, gray in views])
        volume[:, :, index] = np.partition(costs, used - 1, axis=0)[:used].mean(axis=0)
    return volume


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moments:
    image: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    window: tuple[int, int]

    @staticmethod
    def of(image: np.ndarray, window: tuple[int, int]) -> _Moments:
        mean = cv2.boxFilter(image, cv2.CV_32F, window)
        variance = np.maximum(cv2.boxFilter(image * image, cv2.CV_32F, window) - mean * mean, 0)
        return _Moments(image=image, mean=mean, variance=variance, window=window)


def _plane_cost(
    problem: Problem, left: _Moments, view: ViewMap, gray: np.ndarray, inverse_depth: float
) -> Float[np.ndarray, "h w"]:
    """1 - correlation in [0, 1], and the missing cost outside the view."""
    height, width = problem.shape
    homography = view.rotation + inverse_depth * np.outer(view.shift, [0.0, 0.0, 1.0])
    warped = cv2.warpPerspective(
        gray, homography, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=_OUTSIDE
    )
    other = _Moments.of(warped, left.window)
    covariance = cv2.boxFilter(left.image * warped, cv2.CV_32F, left.window) - left.mean * other.mean
    norm = np.sqrt((left.variance + problem.noise_variance) * (other.variance + problem.noise_variance))
    cost = np.minimum(1 - covariance / norm, MISSING_COST)
    return np.asarray(np.where(warped < 0, MISSING_COST, cost))


def _ambiguity(cost: Float[np.ndarray, "h w d"], best: np.ndarray) -> Float[np.ndarray, "h w"]:
    """Lowest cost by the lowest cost further than a few planes away."""
    lowest = np.take_along_axis(cost, best[..., None], 2)[..., 0]
    away = np.abs(np.arange(cost.shape[2]) - best[..., None]) > _PEAK_HALF_WIDTH
    second = np.where(away, cost, np.inf).min(axis=2)
    return np.asarray((lowest + _LEAST_COST) / (second + _LEAST_COST), dtype=np.float32)
