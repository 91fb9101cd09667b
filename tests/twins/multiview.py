"""The kernels of multi-view stereo in plain numpy, float64: slow and obvious, what native ones are compared with."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.mvs.config import SweepConfig
from gs_stereo.mvs.problem import MISSING_COST, PatchCosts, Problem, ViewMap, Window

_LEAST_DEPTH_RATIO = 1e-3


def patch_costs(problem: Problem, window: Window, pixels: np.ndarray, planes: Float[np.ndarray, "3 n"]) -> PatchCosts:
    """What `Problem.patch_costs` gives, up to rounding."""
    weight, value = _windows(problem, window, pixels)
    by_view = np.stack(
        [_view_costs(problem, view, window, (pixels, planes), (weight, value)) for view in problem.views]
    )
    return PatchCosts(cost=_best_means(by_view, window.best_views), by_view=by_view)


def plane_costs(problem: Problem, inverse_depths: np.ndarray, window_px: int) -> Float[np.ndarray, "h w d"]:
    """What `Problem.plane_costs` gives, up to rounding."""
    used = (len(problem.views) + 1) // 2
    volume = [
        np.sort([_plane_view_costs(problem, view, float(w), window_px) for view in problem.views], axis=0)[:used]
        for w in inverse_depths
    ]
    return np.stack([costs.mean(axis=0) for costs in volume], axis=-1)


def aggregate(
    costs: Float[np.ndarray, "h w d"], gray: UInt8[np.ndarray, "h w"], config: SweepConfig
) -> Float[np.ndarray, "h w d"]:
    """What `kernels.aggregate` gives, up to rounding."""
    total = np.zeros(costs.shape)
    for step_y, step_x in ((0, 1), (0, -1), (1, -1), (1, 0), (1, 1), (-1, -1), (-1, 0), (-1, 1)):
        total += _path_costs(costs.astype(np.float64), gray.astype(np.int64), config, (step_y, step_x))
    return total


def _plane_view_costs(problem: Problem, view: ViewMap, inverse_depth: float, window_px: int) -> np.ndarray:
    """1 - correlation of square windows if all lies on one plane, at most the missing cost."""
    height, width = problem.shape
    y, x = np.mgrid[:height, :width]
    at = np.stack([x, y, np.ones_like(x)], axis=-1) @ view.rotation.T + inverse_depth * view.shift
    front = at[..., 2] > _LEAST_DEPTH_RATIO
    uv = at[..., :2] / np.where(front, at[..., 2], 1.0)[..., None]
    top = np.array([view.gray.shape[1] - 1, view.gray.shape[0] - 1], np.float64)
    seen = front & ((uv >= 0) & (uv <= top)).all(axis=-1)
    left, other = (
        np.lib.stride_tricks.sliding_window_view(np.pad(image, window_px // 2, mode="edge"), (window_px, window_px))
        for image in (problem.gray.astype(np.float64), _bilinear(view.gray, np.clip(uv, 0, top)))
    )
    mean, other_mean = left.mean((2, 3), keepdims=True), other.mean((2, 3), keepdims=True)
    covariance = ((left - mean) * (other - other_mean)).mean((2, 3))
    norm = np.sqrt((left.var((2, 3)) + problem.noise_variance) * (other.var((2, 3)) + problem.noise_variance))
    return np.where(seen, np.minimum(1 - covariance / norm, MISSING_COST), MISSING_COST)


def _windows(problem: Problem, window: Window, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normalised bilateral weights and gray values of the left windows, both (n, samples)."""
    height, width = problem.shape
    y, x = np.divmod(pixels, width)
    columns, rows = x[:, None] + window.samples[:, 0], y[:, None] + window.samples[:, 1]
    inside = (columns >= 0) & (rows >= 0) & (columns < width) & (rows < height)
    columns, rows = np.where(inside, columns, 0), np.where(inside, rows, 0)
    colour = problem.rgb.astype(np.int64)
    difference = np.abs(colour[rows, columns] - colour[y, x][:, None]).max(axis=-1)
    weight = np.where(inside, window.sample_weights * window.colour_weights[difference], 0.0).astype(np.float64)
    return weight / weight.sum(axis=1, keepdims=True), problem.gray[rows, columns].astype(np.float64)


def _view_costs(
    problem: Problem,
    view: ViewMap,
    window: Window,
    patches: tuple[np.ndarray, np.ndarray],
    left: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """1 - correlation; NaN where the centre falls outside the view. The homography is linearised at the centre."""
    (pixels, planes), (weight, value) = patches, left
    y, x = np.divmod(pixels, problem.shape[1])
    w, w_x, w_y = planes.astype(np.float64)
    at = np.stack([x, y, np.ones_like(x)], axis=-1) @ view.rotation.T + w[:, None] * view.shift
    along_x = view.rotation[:, 0] + w_x[:, None] * view.shift
    along_y = view.rotation[:, 1] + w_y[:, None] * view.shift
    front = at[:, 2] > _LEAST_DEPTH_RATIO
    scale = 1 / np.where(front, at[:, 2], 1.0)[:, None]
    uv = at[:, :2] * scale
    uv_x, uv_y = ((along[:, :2] - uv * along[:, 2:]) * scale for along in (along_x, along_y))
    top = np.array([view.gray.shape[1] - 1, view.gray.shape[0] - 1], np.float64)
    seen = front & ((uv >= 0) & (uv <= top)).all(axis=1)
    offset = window.samples.astype(np.float64)[None, :, :]
    places = uv[:, None] + offset[..., :1] * uv_x[:, None] + offset[..., 1:] * uv_y[:, None]
    other = _bilinear(view.gray, np.clip(places, 0, top))
    mean, other_mean = (weight * value).sum(1, keepdims=True), (weight * other).sum(1, keepdims=True)
    variance, other_variance = (weight * (value - mean) ** 2).sum(1), (weight * (other - other_mean) ** 2).sum(1)
    covariance = (weight * (value - mean) * (other - other_mean)).sum(1)
    norm = np.sqrt((variance + problem.noise_variance) * (other_variance + problem.noise_variance))
    return np.where(seen, np.maximum(0.0, 1 - covariance / norm), np.nan)


def _bilinear(gray: np.ndarray, places: np.ndarray) -> np.ndarray:
    low = np.floor(places).astype(np.int64)
    part = places - low
    padded = np.pad(gray, ((0, 1), (0, 1)), mode="edge").astype(np.float64)
    column, row = low[..., 0], low[..., 1]
    upper = padded[row, column] * (1 - part[..., 0]) + padded[row, column + 1] * part[..., 0]
    lower = padded[row + 1, column] * (1 - part[..., 0]) + padded[row + 1, column + 1] * part[..., 0]
    return np.asarray(upper * (1 - part[..., 1]) + lower * part[..., 1])


def _best_means(by_view: Float[np.ndarray, "v n"], best: int) -> np.ndarray:
    """Mean of the best half of the views that see the pixel: at least two (a missing one stands in), at most `best`."""
    seen = np.isfinite(by_view).sum(axis=0)
    used = np.minimum(best, np.maximum((seen + 1) // 2, 2))
    order = np.sort(np.where(np.isfinite(by_view), by_view, np.inf), axis=0)
    order = np.concatenate([order, np.full((2, order.shape[1]), np.inf)])
    rank = np.arange(len(order))[:, None]
    costs = np.where(rank < seen, order, MISSING_COST)
    return np.asarray(np.where(rank < used, costs, 0.0).sum(axis=0) / used)


def _path_costs(volume: np.ndarray, gray: np.ndarray, config: SweepConfig, step: tuple[int, int]) -> np.ndarray:
    """L_r of Hirschmueller (2008), equation 13, for one direction."""
    height, width, _ = volume.shape
    small, large, edge_levels = config.small_jump, config.large_jump, config.edge_levels
    answer = np.empty_like(volume)
    for y in range(height) if step[0] >= 0 else reversed(range(height)):
        for x in range(width) if step[1] >= 0 else reversed(range(width)):
            from_y, from_x = y - step[0], x - step[1]
            if not (0 <= from_y < height and 0 <= from_x < width):
                answer[y, x] = volume[y, x]
                continue
            before = answer[from_y, from_x]
            jump = small + (large - small) * np.exp(-abs(gray[y, x] - gray[from_y, from_x]) / edge_levels)
            sides = np.minimum(np.append(before[1:], np.inf), np.append(np.inf, before[:-1])) + small
            best = np.minimum(np.minimum(before, sides), before.min() + jump)
            answer[y, x] = volume[y, x] + best - before.min()
    return answer
