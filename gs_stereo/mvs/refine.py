"""Refinement of a slanted plane at every pixel: propagation, small changes, and a parabola through the cost.

PatchMatch stereo (Bleyer et al. 2011) with red-black order (Galliani et al. 2015) and no random numbers. A plane is
(w, w by x, w by y): linear in the image. A pixel's energy is photometric cost, disagreement with its four neighbours
where the image has no texture, and the price of leaving the prior. A new plane is taken only if the energy falls.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int

from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.mvs.problem import Kernel, Problem
from gs_stereo.mvs.views import InverseDepthPrior

NEAR = ((0, 1), (0, -1), (1, 0), (-1, 0))
FAR = ((0, 5), (0, -5), (5, 0), (-5, 0))
_SAME_PX = 0.1
_LEAST_GAIN = 1e-5
_PRIOR_SIGMAS = 2.0
_LEAST_SIGMA_PX = 0.5
_STEP_TRUNCATION_PX = 1.0
_FLAT_VARIANCE = 0.5
_FLAT_PRIOR = 30.0


def planes_of(inverse_depth: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "3 h w"]:
    """Planes tangent to a map of inverse depth; slopes are medians, so that they do not reach across edges."""
    smooth = inverse_depth.astype(np.float32)
    slopes = [
        cv2.medianBlur(np.nan_to_num(cv2.Sobel(smooth, cv2.CV_32F, *axis, scale=1 / 8)), 5) for axis in ((1, 0), (0, 1))
    ]
    return np.stack([smooth, *slopes])


class Refiner:
    """Planes of all pixels, flat: planes (3, n), cost (n). `reference_px` turns inverse depth into pixels."""

    def __init__(self, problem: Problem, kernel: Kernel, config: MultiViewConfig, reference_px: float) -> None:
        self.problem, self.kernel, self.config, self.reference_px = problem, kernel, config, reference_px
        height, width = problem.shape
        self._all = np.arange(height * width, dtype=np.int32)
        y, x = np.divmod(self._all, width)
        self._colour = (self._all[(x + y) % 2 == 0], self._all[(x + y) % 2 == 1])
        self.texture = _texture(problem)
        self._flatness = (_FLAT_VARIANCE / (_FLAT_VARIANCE + self.texture**2)).astype(np.float32)
        self._links = _links(problem, self._flatness) if config.smoothness > 0 else None
        self._prior: tuple[np.ndarray, np.ndarray] | None = None
        self.planes = np.zeros((3, height * width), np.float32)
        self.cost = np.zeros(height * width, np.float32)

    def start(self, planes: Float[np.ndarray, "3 h w"], prior: InverseDepthPrior | None) -> None:
        """Begin with these planes; every pixel must have one."""
        if prior is not None:
            sigma_px = np.maximum(prior.sigma.ravel() * self.reference_px, _LEAST_SIGMA_PX)
            self._prior = (prior.inverse_depth.ravel(), _PRIOR_SIGMAS * sigma_px / self.reference_px)
        self.planes = planes.reshape(3, -1).astype(np.float32)
        self.cost = self.kernel.patch_costs(self.problem, self._all, self.planes).cost.astype(np.float32)

    def offer(self, inverse_depth: Float[np.ndarray, "h w"]) -> None:
        """Try a map of inverse depth (NaN = nothing to offer) at all pixels.

        The tie to neighbours is left out: a whole map is offered, one pixel of it alone would always look out of place.
        """
        planes = planes_of(inverse_depth).reshape(3, -1)
        known = np.flatnonzero(np.isfinite(planes[0])).astype(np.int32)
        self._try(known, planes[:, known], tied=False)

    def propagate(self, steps: Sequence[tuple[int, int]]) -> None:
        """Offer every pixel the planes of the pixels at these (row, column) steps."""
        for pixels in self._colour:
            for dy, dx in steps:
                source = self._neighbours(pixels, dy, dx)
                planes = self.planes[:, source]
                planes[0] -= dx * planes[1] + dy * planes[2]
                self._try(pixels, planes)

    def change(self, shift_px: float, slope_px: float) -> None:
        """Offer every pixel its plane moved and tilted by so many reference pixels (per pixel)."""
        for row, size in ((0, shift_px), (1, slope_px), (2, slope_px)):
            for sign in (1, -1) if size > 0 else ():
                for pixels in self._colour:
                    planes = self.planes[:, pixels]
                    planes[row] += sign * size / self.reference_px
                    self._try(pixels, planes)

    def search(self, shifts_px: Sequence[float], above_cost: float) -> None:
        """Offer the badly matching pixels their plane moved by each of `shifts_px` reference pixels, either way."""
        bad = self._all[self.cost > above_cost]
        start = self.planes[:, bad].copy()
        for shift in shifts_px:
            for sign in (1, -1):
                planes = start.copy()
                planes[0] += np.float32(sign * shift / self.reference_px)
                self._try(bad, planes)

    def descend(self, reach_px: float) -> Float[np.ndarray, "n"]:
        """Offer the vertex of a parabola through three depths; returns the cost's second derivative by pixels."""
        step = reach_px / self.reference_px
        ahead, behind = (self._moved_energy(sign * step) for sign in (1, -1))
        here = self._energy(self._all, self.planes, self.cost)
        bend = ahead - 2 * here + behind
        convex = bend > _LEAST_GAIN
        vertex = np.where(convex, 0.5 * (behind - ahead) / np.where(convex, bend, 1.0), np.sign(behind - ahead))
        planes = self.planes.copy()
        planes[0] += np.clip(vertex, -1, 1).astype(np.float32) * step
        self._try(self._all, planes)
        return np.asarray(np.maximum(bend, 0) / reach_px**2, np.float32)

    def _moved_energy(self, shift: float) -> Float[np.ndarray, "n"]:
        planes = self.planes.copy()
        planes[0] += shift
        cost = self.kernel.patch_costs(self.problem, self._all, planes).cost
        return self._energy(self._all, planes, cost)

    def _try(self, pixels: Int[np.ndarray, "n"], planes: Float[np.ndarray, "3 n"], tied: bool = True) -> None:
        change = np.abs(planes - self.planes[:, pixels])
        reach = change[0] + self.config.window_radius_px * (change[1] + change[2])
        worth = (planes[0] > 0) & (reach * self.reference_px > _SAME_PX)
        pixels, planes = pixels[worth], planes[:, worth]
        if len(pixels) == 0:
            return
        cost = self.kernel.patch_costs(self.problem, pixels, planes).cost
        old = self._energy(pixels, self.planes[:, pixels], self.cost[pixels], tied)
        better = self._energy(pixels, planes, cost, tied) < old - _LEAST_GAIN
        self.planes[:, pixels[better]] = planes[:, better]
        self.cost[pixels[better]] = cost[better]

    def _energy(
        self, pixels: np.ndarray, planes: np.ndarray, cost: np.ndarray, tied: bool = True
    ) -> Float[np.ndarray, "n"]:
        energy = cost.astype(np.float32, copy=True)
        if tied and self._links is not None:
            for (dy, dx), link in zip(NEAR, self._links, strict=True):
                other = self.planes[:, self._neighbours(pixels, dy, dx)]
                half_way = planes[0] + 0.5 * (dx * planes[1] + dy * planes[2])
                other_half_way = other[0] - 0.5 * (dx * other[1] + dy * other[2])
                gap_px = np.abs(half_way - other_half_way) * self.reference_px
                energy += self.config.smoothness * link[pixels] * np.minimum(gap_px, _STEP_TRUNCATION_PX)
        if self._prior is not None:
            guess, width = (values[pixels] for values in self._prior)
            away = np.minimum(np.abs(planes[0] - guess) / width, 1.0)
            trust = 1 + _FLAT_PRIOR * self._flatness[pixels]
            energy += self.config.prior_weight * trust * np.nan_to_num(away)
        return energy

    def _neighbours(self, pixels: np.ndarray, dy: int, dx: int) -> Int[np.ndarray, "n"]:
        """The pixel one step away, or the pixel itself where that leaves the image."""
        height, width = self.problem.shape
        y, x = np.divmod(pixels, width)
        inside = (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
        return np.where(inside, pixels + dy * width + dx, pixels)


def _texture(problem: Problem) -> Float[np.ndarray, "n"]:
    """Standard deviation of a small window of the left image, in 8-bit levels."""
    gray = problem.gray.astype(np.float32)
    mean = cv2.boxFilter(gray, cv2.CV_32F, (5, 5))
    return np.asarray(np.sqrt(np.maximum(cv2.boxFilter(gray * gray, cv2.CV_32F, (5, 5)) - mean * mean, 0))).ravel()


def _links(problem: Problem, flatness: Float[np.ndarray, "n"]) -> list[Float[np.ndarray, "n"]]:
    """Strength of the tie to each of the four neighbours: strong where neither texture nor an edge speaks."""
    colour = problem.rgb.astype(np.int16)
    links = []
    for dy, dx in NEAR:
        other = np.roll(colour, (-dy, -dx), axis=(0, 1))
        similar = np.exp(-np.abs(colour - other).max(axis=2).astype(np.float32).ravel() / 10.0)
        links.append((flatness * similar).astype(np.float32))
    return links
