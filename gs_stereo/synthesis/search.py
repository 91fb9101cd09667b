"""The baseline at which a synthesizer's second eye looks most like the real one: one number a scene, coarse to fine.

A foreign pair does not say its baseline in the synthesizer's unit. It is searched so that the disparity of (left,
made right) comes closest to that of (left, real right), both by one matcher, over the pixels where both are known
(StereoSpace, arXiv 2512.10959). How many of the real map's pixels those are is reported and demanded: otherwise
pictures that cannot be matched would win.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import Field, model_validator

from gs_stereo.config import Config
from gs_stereo.errors import InputError
from gs_stereo.matching.both_sides import OneDirectionMatcher
from gs_stereo.matching.protocol import StereoMatcher

Picture = UInt8[np.ndarray, "h w 3"]
_LEAST_MATCHED = 0.02
"""Of the pixels of the real pair. Pictures that have nothing in common are matched by chance on up to 0.7 % of them."""


class SearchConfig(Config):
    """Which baselines are tried, and what counts."""

    smallest: float = Field(default=0.025, gt=0, description="Smallest baseline, in the synthesizer's unit")
    largest: float = Field(default=1.0, gt=0, description="Largest baseline")
    values: int = Field(default=8, ge=2, le=100, description="Baselines of the first round, spaced by a factor")
    refinements: int = Field(default=2, ge=0, le=10, description="Rounds between the neighbours of the best one")
    refined_values: int = Field(default=4, ge=1, le=100, description="Baselines of each of them")
    steps: int = Field(default=20, ge=1, le=1000, description="Most steps of the sampler during the search")
    least_coverage: float = Field(
        default=0.3, ge=0, le=1, description="Least share of the real disparities that the made pair must have too"
    )

    @model_validator(mode="after")
    def _ordered(self) -> SearchConfig:
        if self.smallest >= self.largest:
            raise ValueError("smallest must be below largest")
        return self


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A baseline. rmse_px: NaN if no pixel is known in both. coverage: share of the real map's pixels known in both."""

    baseline: float
    rmse_px: float
    coverage: float


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best baseline. covered: it had the coverage that is demanded; else it is that of the largest coverage."""

    best: Tried
    covered: bool
    tried: tuple[Tried, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class RealPair:
    """The real pair as the matcher sees it. range_px: the 99th percentile of its disparity and 30 % more."""

    left: Picture
    disparity: Float[np.ndarray, "h w"]
    range_px: float
    matcher: StereoMatcher

    @classmethod
    def of(cls, left: Picture, right: Picture, matcher: StereoMatcher) -> RealPair:
        """Match it twice: to know the range, and with it. InputError if no more is matched than by chance."""
        first = _disparity(matcher, left, right, None)
        known = first[np.isfinite(first)]
        if known.size < _LEAST_MATCHED * first.size:
            raise InputError("The real pair cannot be matched, so there is nothing to compare with; leave it out.")
        reach = max(1.3 * float(np.percentile(known, 99)), 1.0)
        return cls(left=left, disparity=_disparity(matcher, left, right, reach), range_px=reach, matcher=matcher)

    def compared(self, baseline: float, made: Picture) -> Tried:
        """How far a made right picture is from the real one."""
        found = _disparity(self.matcher, self.left, made, self.range_px)
        difference = found - self.disparity
        both = np.isfinite(difference)
        count = int(both.sum())
        rmse = math.sqrt(float(np.square(difference[both].astype(np.float64)).mean())) if count else math.nan
        return Tried(baseline=baseline, rmse_px=rmse, coverage=count / max(1, int(np.isfinite(self.disparity).sum())))


def search_baseline(make: Callable[[float], Picture], real: RealPair, config: SearchConfig = SearchConfig()) -> Found:
    """Try baselines, then others between the neighbours of the best. make: the right picture at a baseline.

    A made picture that was seen before is not matched again.
    """
    tried: dict[float, Tried] = {}
    seen: dict[bytes, Tried] = {}

    def attempt(baseline: float) -> None:
        made = make(baseline)
        digest = hashlib.sha256(made.tobytes()).digest()
        if digest not in seen:
            seen[digest] = real.compared(baseline, made)
        tried[baseline] = Tried(baseline=baseline, rmse_px=seen[digest].rmse_px, coverage=seen[digest].coverage)

    for baseline in np.geomspace(config.smallest, config.largest, config.values).tolist():
        attempt(baseline)
    for _ in range(config.refinements):
        places = sorted(tried)
        middle = places.index(_best(tried, config).baseline)
        low, high = places[max(0, middle - 1)], places[min(len(places) - 1, middle + 1)]
        for baseline in np.geomspace(low, high, config.refined_values + 2)[1:-1].tolist():
            if baseline not in tried:
                attempt(baseline)
    best = _best(tried, config)
    return Found(
        best=best,
        covered=best.coverage >= config.least_coverage,
        tried=tuple(tried[baseline] for baseline in sorted(tried)),
    )


def _best(tried: dict[float, Tried], config: SearchConfig) -> Tried:
    covered = [each for each in tried.values() if each.coverage >= config.least_coverage and each.coverage > 0]
    if covered:
        return min(covered, key=lambda each: (each.rmse_px, each.baseline))
    return max(tried.values(), key=lambda each: (each.coverage, -each.baseline))


def _disparity(
    matcher: StereoMatcher, left: Picture, right: Picture, range_px: float | None
) -> Float[np.ndarray, "h w"]:
    if isinstance(matcher, OneDirectionMatcher):
        return matcher.predict(left, right, max_disparity_px=range_px).disparity
    return matcher.predict(left, right).disparity
