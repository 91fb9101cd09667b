"""Joint depth of one view from many: coarse sweep, refinement at the coarse scale, refinement at full resolution."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.mvs.coarse import CoarseGuess, coarse_guess
from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.mvs.kernels import NativeKernel
from gs_stereo.mvs.problem import Kernel, Problem, make_problem, reference_px, scaled
from gs_stereo.mvs.refine import FAR, NEAR, Refiner, planes_of
from gs_stereo.mvs.views import (
    DepthRange,
    InverseDepthPrior,
    PosedImage,
    SweepResult,
)

_SUPPORT_COST = 0.5


def sweep(
    left: PosedImage,
    views: Sequence[PosedImage],
    depth_range: DepthRange,
    config: MultiViewConfig,
    *,
    prior: InverseDepthPrior | None = None,
    kernel: Kernel | None = None,
) -> SweepResult:
    """Inverse depth of every pixel of `left`, from `views` (photos, renders, or both) with known cameras.

    prior: a first guess, for instance a splat's depth. It is offered to every pixel, and leaving it has a small price.
    Deterministic; the number of threads does not matter. Raises InputError for sizes or cameras that do not fit.
    """
    kernel = NativeKernel() if kernel is None else kernel
    if prior is not None and prior.inverse_depth.shape != left.image.shape[:2]:
        raise InputError("The inverse-depth prior must have the size of the left image.")
    middle = 0.5 * (1 / depth_range.near + 1 / depth_range.far)
    small = make_problem(scaled(left, config.coarse_scale), [scaled(v, config.coarse_scale) for v in views], config)
    guess = coarse_guess(small, depth_range, config, kernel)
    coarse = _coarse_refined(small, guess, prior, config, kernel, reference_px(small, middle))
    problem = make_problem(left, views, config)
    refiner = Refiner(problem, kernel, config, reference_px(problem, middle))
    refiner.start(_enlarged(coarse, problem.shape), prior)
    if prior is not None:
        refiner.offer(prior.inverse_depth)
    for _ in range(config.fine_rounds):
        refiner.propagate(NEAR)
        if config.fine_slopes:
            refiner.change(0.0, 0.05)
    if config.fine_slopes:
        refiner.descend(0.5)
    sharpness = refiner.descend(0.25)
    row, column, _, _ = _nearest(problem.shape, (guess.ambiguity.shape[0], guess.ambiguity.shape[1]))
    return _result(problem, refiner, sharpness, guess.ambiguity[row[:, None], column], kernel)


def sweep_near(
    left: PosedImage,
    views: Sequence[PosedImage],
    prior: InverseDepthPrior,
    config: MultiViewConfig,
    *,
    kernel: Kernel | None = None,
) -> SweepResult:
    """Like `sweep`, but the search starts at the prior and stays near it: several times cheaper.

    Right where the prior is within a few pixels of the truth, as a splat's depth is; pixels that match badly there look
    further away (`far_px`). Raises InputError if the prior is empty or does not fit.
    """
    kernel = NativeKernel() if kernel is None else kernel
    if prior.inverse_depth.shape != left.image.shape[:2]:
        raise InputError("The inverse-depth prior must have the size of the left image.")
    known = np.isfinite(prior.inverse_depth)
    if not known.any():
        raise InputError("The inverse-depth prior of a multi-view sweep is empty; sweep the whole depth range.")
    middle = float(np.median(prior.inverse_depth[known]))
    problem = make_problem(left, views, config)
    refiner = Refiner(problem, kernel, config, reference_px(problem, middle))
    refiner.start(planes_of(np.where(known, prior.inverse_depth, np.float32(middle))), prior)
    for reach_px in config.near_px:
        refiner.descend(reach_px)
    refiner.search(config.far_px, config.far_cost)
    for _ in range(config.near_rounds):
        refiner.propagate(NEAR)
    sharpness = refiner.descend(0.25)
    return _result(problem, refiner, sharpness, np.full(problem.shape, np.nan, np.float32), kernel)


def _coarse_refined(
    problem: Problem,
    guess: CoarseGuess,
    prior: InverseDepthPrior | None,
    config: MultiViewConfig,
    kernel: Kernel,
    unit_px: float,
) -> Float[np.ndarray, "3 h w"]:
    refiner = Refiner(problem, kernel, config, unit_px)
    small_prior = None if prior is None else _shrunk(prior, problem.shape)
    refiner.start(planes_of(guess.inverse_depth), small_prior)
    if small_prior is not None:
        refiner.offer(small_prior.inverse_depth)
    for round_index in range(config.coarse_rounds):
        refiner.propagate(NEAR + FAR if round_index == 0 or config.fine_slopes else NEAR)
        refiner.change(0.5**round_index, 0.1 * 0.5**round_index)
    refiner.descend(0.25)
    return refiner.planes.reshape(3, *problem.shape)


def _shrunk(prior: InverseDepthPrior, shape: tuple[int, int]) -> InverseDepthPrior:
    """Nearest samples: a mean over an edge would be a depth that is not there."""
    size = (shape[1], shape[0])
    maps = [cv2.resize(m, size, interpolation=cv2.INTER_NEAREST_EXACT) for m in (prior.inverse_depth, prior.sigma)]
    return InverseDepthPrior(inverse_depth=maps[0], sigma=maps[1])


def _nearest(shape: tuple[int, int], small: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Row and column of the coarse pixel that holds each fine pixel's centre, and the centre's offset from its own."""
    answer = []
    for size, small_size in zip(shape, small, strict=True):
        place = (np.arange(size) + 0.5) * small_size / size - 0.5
        index = np.clip(np.rint(place), 0, small_size - 1).astype(np.int64)
        answer += [index, place - index]
    return answer[0], answer[2], answer[1], answer[3]


def _enlarged(planes: Float[np.ndarray, "3 a b"], shape: tuple[int, int]) -> Float[np.ndarray, "3 h w"]:
    """Planes at a finer scale: each fine pixel lies on the plane of the coarse pixel it falls into."""
    small = planes.shape[1:]
    row, column, dy, dx = _nearest(shape, (small[0], small[1]))
    w, w_x, w_y = planes[:, row[:, None], column]
    return np.stack([w + w_x * dx + w_y * dy[:, None], w_x * small[1] / shape[1], w_y * small[0] / shape[0]])


def _result(
    problem: Problem, refiner: Refiner, sharpness: np.ndarray, ambiguity: Float[np.ndarray, "h w"], kernel: Kernel
) -> SweepResult:
    shape = problem.shape
    pixels = np.arange(shape[0] * shape[1], dtype=np.int32)
    by_view = kernel.patch_costs(problem, pixels, refiner.planes).by_view
    seen = np.isfinite(by_view).sum(axis=0) >= min(2, len(problem.views))
    inverse_depth = np.where(seen, refiner.planes[0], np.float32(np.nan)).reshape(shape)
    median = cv2.medianBlur(refiner.planes[0].reshape(shape), 5)
    return SweepResult(
        inverse_depth=inverse_depth,
        cost=refiner.cost.reshape(shape),
        supporting_views=(by_view < _SUPPORT_COST).sum(axis=0).astype(np.uint8).reshape(shape),
        sharpness=sharpness.reshape(shape),
        texture=refiner.texture.reshape(shape),
        ambiguity=ambiguity,
        spread_px=np.abs(refiner.planes[0].reshape(shape) - median) * refiner.reference_px,
        side_gap=_side_gap(problem, by_view).reshape(shape),
        reference_px=refiner.reference_px,
    )


def _side_gap(problem: Problem, by_view: Float[np.ndarray, "v n"]) -> Float[np.ndarray, "n"]:
    """Best cost on one side against the best on the other; NaN where a side does not see the pixel."""
    on_left = np.array([view.shift[0] > 0 for view in problem.views])
    best = [
        np.where(np.isfinite(side), side, np.inf).min(axis=0, initial=np.inf)
        for side in (by_view[on_left], by_view[~on_left])
    ]
    both = np.isfinite(best[0]) & np.isfinite(best[1])
    return np.where(both, np.abs(np.where(both, best[0], 0) - np.where(both, best[1], 0)), np.nan).astype(np.float32)
