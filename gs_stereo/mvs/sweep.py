"""Depth of one view from many with known cameras: over all depths, or near what is known already.

`sweep` is the plane sweep of Collins (1996): a depth for each pixel out of evenly spaced planes, smooth by semi-global
matching (Hirschmueller 2008, PAMI 30) up to the photo's edges. It needs no guess and is right to a fraction of a plane.
`sweep_near` starts at a prior, as the depth of a fitted splat is, and refines a slanted plane at every pixel.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.mvs.config import MultiViewConfig, SweepConfig
from gs_stereo.mvs.kernels import aggregate
from gs_stereo.mvs.problem import MISSING_COST, make_problem, reference_px
from gs_stereo.mvs.refine import Refiner, planes_of
from gs_stereo.mvs.views import InverseDepthPrior, PosedImage, SweepResult

_SUPPORT_COST = 0.5


def sweep(
    left: PosedImage,
    views: Sequence[PosedImage],
    inverse_depths: Float[np.ndarray, "d"],
    config: SweepConfig,
    threads: int = 1,
) -> Float[np.ndarray, "h w"]:
    """Inverse depth of every pixel of `left`, from `views` (photos, renders, or both).

    inverse_depths: of the planes, three or more, evenly spaced. NaN where no plane matches, or the first or last one
    does best. Deterministic; the number of threads does not matter. InputError for planes or cameras that do not fit.
    """
    steps = np.diff(inverse_depths)
    if len(steps) < 2 or not inverse_depths[0] > 0 or not (steps > 0).all():
        raise InputError("A sweep needs at least three planes, of increasing and positive inverse depths.")
    problem = make_problem(left, views, config.noise_levels, threads)
    costs = problem.plane_costs(inverse_depths, config.window_px)
    total = aggregate(costs, problem.gray, config, threads)
    best = total.argmin(axis=2)
    middle = np.clip(best, 1, len(inverse_depths) - 2)
    before, here, after = (np.take_along_axis(total, (middle + k)[..., None], 2)[..., 0] for k in (-1, 0, 1))
    bend = before - 2 * here + after
    offset = np.where(bend > 0, 0.5 * (before - after) / np.where(bend > 0, bend, 1.0), 0.0)
    found = inverse_depths[middle] + np.clip(offset, -0.5, 0.5) * steps[0]
    matched = np.take_along_axis(costs, middle[..., None], 2)[..., 0] < MISSING_COST
    return np.where(matched & (best == middle), found, np.nan)


def sweep_near(
    left: PosedImage, views: Sequence[PosedImage], prior: InverseDepthPrior, config: MultiViewConfig
) -> SweepResult:
    """Inverse depth of every pixel of `left`, from `views` (photos, renders, or both), near a prior.

    Right where the prior is within a few pixels of the truth, as a splat's depth is; pixels that match badly there look
    further away (`far_px`). Deterministic; the number of threads does not matter. Raises InputError if the prior is
    empty or does not fit, and for sizes or cameras that do not.
    """
    if prior.inverse_depth.shape != left.image.shape[:2]:
        raise InputError("The inverse-depth prior must have the size of the left image.")
    known = np.isfinite(prior.inverse_depth)
    if not known.any():
        raise InputError("The inverse-depth prior of a multi-view sweep is empty; sweep the whole depth range.")
    middle = float(np.median(prior.inverse_depth[known]))
    problem = make_problem(left, views, config.noise_levels, config.threads)
    start = planes_of(np.where(known, prior.inverse_depth, np.float32(middle)))
    refiner = Refiner(problem, start, prior, config, reference_px(problem, middle))
    for reach_px in config.near_px:
        refiner.descend(reach_px)
    refiner.search(config.far_px, config.far_cost)
    for _ in range(config.near_rounds):
        refiner.propagate()
    refiner.descend(0.25)

    by_view = refiner.costs.by_view
    seen = np.isfinite(by_view).sum(axis=0) >= min(2, len(views))
    return SweepResult(
        inverse_depth=np.where(seen, refiner.planes[0], np.float32(np.nan)).reshape(problem.shape),
        cost=refiner.costs.cost.reshape(problem.shape),
        supporting_views=(by_view < _SUPPORT_COST).sum(axis=0).astype(np.uint8).reshape(problem.shape),
    )
