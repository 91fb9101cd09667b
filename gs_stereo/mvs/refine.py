"""Refinement of a slanted plane at every pixel: propagation, small changes, and a parabola through the cost.

PatchMatch stereo (Bleyer et al. 2011) with red-black order (Galliani et al. 2015) and no random numbers. A plane is
(w, w by x, w by y): linear in the image. A pixel's energy is photometric cost, disagreement with its four neighbours
where the image has no texture, and the price of leaving the prior. A new plane is taken only if the energy falls.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int

from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.mvs.problem import PatchCosts, Problem, Window
from gs_stereo.mvs.views import InverseDepthPrior

_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))
_SAME_PX = 0.1
_LEAST_GAIN = 1e-5
_PRIOR_SIGMAS = 2.0
_LEAST_SIGMA_PX = 0.5
_STEP_TRUNCATION_PX = 1.0
_FLAT_VARIANCE = 0.5
_FLAT_PRIOR = 30.0
Offer = tuple[Float[np.ndarray, "3 n"], Float[np.ndarray, "n"]]
"""Planes of some pixels, and their photometric costs."""


def planes_of(inverse_depth: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "3 h w"]:
    """Planes tangent to a map of inverse depth; slopes are medians, so that they do not reach across edges."""
    smooth = inverse_depth.astype(np.float32)
    slopes = [
        cv2.medianBlur(np.nan_to_num(cv2.Sobel(smooth, cv2.CV_32F, *axis, scale=1 / 8)), 5) for axis in ((1, 0), (0, 1))
    ]
    return np.stack([smooth, *slopes])


class Refiner:
    """Planes of all pixels, flat: planes (3, n), and their costs. `reference_px` turns inverse depth into pixels.

    start: planes of all pixels to begin with.
    """

    def __init__(
        self,
        problem: Problem,
        start: Float[np.ndarray, "3 h w"],
        prior: InverseDepthPrior,
        config: MultiViewConfig,
        reference_px: float,
    ) -> None:
        self.problem, self.config, self.reference_px = problem, config, reference_px
        self._window = Window.of(config)
        height, width = problem.shape
        self._all = np.arange(height * width, dtype=np.int32)
        y, x = np.divmod(self._all, width)
        self._beside = [_beside(self._all.reshape(height, width), dy, dx).ravel() for dy, dx in _NEIGHBOURS]
        self._colour = (self._all[(x + y) % 2 == 0], self._all[(x + y) % 2 == 1])
        self._flatness = _flatness(problem)
        self._links = _links(problem, self._flatness)
        sigma_px = np.maximum(prior.sigma.ravel() * reference_px, _LEAST_SIGMA_PX)
        self._prior = (prior.inverse_depth.ravel(), _PRIOR_SIGMAS * sigma_px / reference_px)
        self.planes = start.reshape(3, -1).astype(np.float32)
        self.costs: PatchCosts = problem.patch_costs(self._window, self._all, self.planes)

    def propagate(self) -> None:
        """Offer every pixel the planes of its four neighbours."""
        for pixels in self._colour:
            for (dy, dx), beside in zip(_NEIGHBOURS, self._beside, strict=True):
                planes = self.planes[:, beside[pixels]]
                planes[0] -= dx * planes[1] + dy * planes[2]
                self._try(pixels, planes)

    def search(self, shifts_px: Sequence[float], above_cost: float) -> None:
        """Offer the badly matching pixels their plane moved by each of `shifts_px` reference pixels, either way."""
        bad = self._all[self.costs.cost > above_cost]
        start = self.planes[:, bad].copy()
        for shift in shifts_px:
            for sign in (1, -1):
                planes = start.copy()
                planes[0] += np.float32(sign * shift / self.reference_px)
                self._try(bad, planes)

    def descend(self, reach_px: float) -> None:
        """Offer the vertex of a parabola through three depths."""
        step = reach_px / self.reference_px
        moved = [self._moved(sign * step) for sign in (1, -1)]
        ahead, behind, here = self._energies(self._all, [*moved, (self.planes, self.costs.cost)])
        bend = ahead - 2 * here + behind
        convex = bend > _LEAST_GAIN
        vertex = np.where(convex, 0.5 * (behind - ahead) / np.where(convex, bend, 1.0), np.sign(behind - ahead))
        planes = self.planes.copy()
        planes[0] += np.clip(vertex, -1, 1).astype(np.float32) * step
        self._try(self._all, planes)

    def _moved(self, shift: float) -> Offer:
        planes = self.planes.copy()
        planes[0] += shift
        return planes, self.problem.patch_costs(self._window, self._all, planes).cost

    def _try(self, pixels: Int[np.ndarray, "n"], planes: Float[np.ndarray, "3 n"]) -> None:
        change = np.abs(planes - self.planes.take(pixels, axis=1))
        reach = change[0] + self.config.window_radius_px * (change[1] + change[2])
        worth = np.flatnonzero((planes[0] > 0) & (reach * self.reference_px > _SAME_PX))
        pixels, planes = pixels[worth], planes.take(worth, axis=1)
        if len(pixels) == 0:
            return
        found = self.problem.patch_costs(self._window, pixels, planes)
        known = self.planes.take(pixels, axis=1), self.costs.cost[pixels]
        new, old = self._energies(pixels, [(planes, found.cost), known])
        better = np.flatnonzero(new < old - _LEAST_GAIN)
        taken = pixels[better]
        self.planes[:, taken] = planes.take(better, axis=1)
        self.costs.cost[taken] = found.cost[better]
        self.costs.by_view[:, taken] = found.by_view.take(better, axis=1)

    def _energies(self, pixels: Int[np.ndarray, "n"], offers: Sequence[Offer]) -> list[Float[np.ndarray, "n"]]:
        """The energy of each offer of planes at the same pixels."""
        energies = [cost.astype(np.float32, copy=True) for _, cost in offers]
        for (dy, dx), beside, link in zip(_NEIGHBOURS, self._beside, self._links, strict=True):
            slope, half = (1, 0.5 * dx) if dx else (2, 0.5 * dy)
            other_half_way = (self.planes[0] - half * self.planes[slope]).take(beside.take(pixels))
            tie = self.config.smoothness * link.take(pixels)
            for energy, (planes, _) in zip(energies, offers, strict=True):
                gap_px = np.abs(planes[0] + half * planes[slope] - other_half_way) * self.reference_px
                energy += tie * np.minimum(gap_px, _STEP_TRUNCATION_PX)
        guess, width = (values.take(pixels) for values in self._prior)
        trust = self.config.prior_weight * (1 + _FLAT_PRIOR * self._flatness.take(pixels))
        for energy, (planes, _) in zip(energies, offers, strict=True):
            energy += trust * np.nan_to_num(np.minimum(np.abs(planes[0] - guess) / width, 1.0))
        return energies


def _beside(pixels: Int[np.ndarray, "h w"], dy: int, dx: int) -> Int[np.ndarray, "h w"]:
    """The pixel one step away of each, or the pixel itself where that leaves the image."""
    height, width = pixels.shape
    rows, columns = np.arange(height) + dy, np.arange(width) + dx
    return pixels[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))]


def _flatness(problem: Problem) -> Float[np.ndarray, "n"]:
    """1 where a small window of the left image has no texture, near 0 where its 8-bit levels vary by some."""
    gray = problem.gray.astype(np.float32)
    mean = cv2.boxFilter(gray, cv2.CV_32F, (5, 5))
    texture = np.sqrt(np.maximum(cv2.boxFilter(gray * gray, cv2.CV_32F, (5, 5)) - mean * mean, 0)).ravel()
    return np.asarray(_FLAT_VARIANCE / (_FLAT_VARIANCE + texture**2), np.float32)


def _links(problem: Problem, flatness: Float[np.ndarray, "n"]) -> list[Float[np.ndarray, "n"]]:
    """Strength of the tie to each of the four neighbours: strong where neither texture nor an edge speaks."""
    colour = problem.rgb.astype(np.int16)
    links = []
    for dy, dx in _NEIGHBOURS:
        other = np.roll(colour, (-dy, -dx), axis=(0, 1))
        similar = np.exp(-np.abs(colour - other).max(axis=2).astype(np.float32).ravel() / 10.0)
        links.append((flatness * similar).astype(np.float32))
    return links
