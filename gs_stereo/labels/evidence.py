"""The evidence for and against a disparity: a table of maps.

Each map of `DOUBTS` is larger where there is more reason for doubt; those of `CONTEXT` say how to read them. Nearly all
are in pixels of disparity, so one calibration serves all baselines and scales. NaN = nothing is known. A new piece of
evidence is one line of a table, and a function where it takes more; then the calibration program is run again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.labels import shape
from gs_stereo.labels.observations import MULTIBASELINE, PHOTOS, POINTS, SURFACES, VIEWS, Observations
from gs_stereo.labels.rendered import RenderedEvidence
from gs_stereo.labels.surroundings import median_known
from gs_stereo.labels.texture import OwnSurface, fine_texture, own_surface, texture
from gs_stereo.metrics.consistency import left_right_difference

_EDGE_WINDOW_PX = 5
_FAR = 1e6
Map = Float[np.ndarray, "h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A disparity map under judgement, with all that can be asked about it. blind: pixels the right eye cannot see."""

    disparity: Map
    observations: Observations
    rendered: RenderedEvidence
    blind: Bool[np.ndarray, "h w"]

    @cached_property
    def own_surface(self) -> OwnSurface:
        return own_surface(self.observations.pair.left)


def experts_px(case: Case) -> Map | None:
    """Median distance to the experts that know the pixel; unknown where the right eye is blind."""
    answers = [source.left.disparity for source in case.observations.matched.values()]
    if not answers:
        return None
    distances = [np.where(case.blind, np.nan, np.abs(case.disparity - answer)) for answer in answers]
    return distances[0] if len(distances) == 1 else median_known(distances)


def left_right_px(case: Case) -> Map | None:
    """How much an expert's two directions differ, median over experts; unknown where the right eye is blind."""
    found = [
        left_right_difference(source.left.disparity.astype(np.float64), source.right.disparity)
        for source in case.observations.matched.values()
        if source.right is not None
    ]
    if not found:
        return None
    seen = [np.where(case.blind, np.nan, difference) for difference in found]
    return seen[0] if len(seen) == 1 else median_known(seen)


def eyes_px(case: Case) -> Map:
    """Distance to the surface that the splat shows to the right eye at the same place."""
    difference = np.abs(case.rendered.visibility.right_difference_px + case.rendered.disparity - case.disparity)
    return np.where(case.blind, np.nan, difference)


def spread_px(case: Case) -> Map:
    """Standard deviation of depth along the ray, as disparity."""
    depth = case.observations.pair.left_depth
    relative = np.sqrt(np.maximum(depth.variance, 0)) / np.where(depth.median > 0, depth.median, np.nan)
    return np.asarray(case.rendered.disparity * relative)


def surface_spread_px(case: Case) -> Map | None:
    """Deviation of what is known of a region from its plane, as disparity."""
    disparity, spread = case.observations.view_disparity(SURFACES), _clue(case, SURFACES, "spread")
    return None if disparity is None or spread is None else np.asarray(disparity * spread)


def edge_px(case: Case) -> Map:
    """Range of the disparity within 5 x 5 pixels."""
    window = np.ones((_EDGE_WINDOW_PX, _EDGE_WINDOW_PX), np.uint8)
    known = np.isfinite(case.disparity)
    low = cv2.erode(np.where(known, case.disparity, _FAR), window)
    high = cv2.dilate(np.where(known, case.disparity, -_FAR), window)
    return np.where(known, high - low, np.nan)


DOUBTS: dict[str, Callable[[Case], Map | None]] = {
    # _px: distances to the median depth of the splat, to what the real photos say, a rendered stack of views, a surface
    # hypothesis, the depth that neighbouring virtual views show at the same place, and sparse points close by.
    # _cost: how badly photos or stack match at their own best depth, 1 - correlation.
    "splat_px": lambda case: np.abs(case.disparity - case.rendered.disparity),
    "photos_px": lambda case: _distance(case, PHOTOS),
    "photos_cost": lambda case: _clue(case, PHOTOS, "cost"),
    "photos_few": lambda case: _clue(case, PHOTOS, "few"),  # 1 / (1 + photos that agree)
    "colour_levels": lambda case: _clue(case, PHOTOS, "colour_levels"),  # the photos' colours at the splat's depth
    "multibaseline_px": lambda case: _distance(case, MULTIBASELINE),
    "multibaseline_cost": lambda case: _clue(case, MULTIBASELINE, "cost"),
    "surface_px": lambda case: _distance(case, SURFACES),
    "surface_unsupported": lambda case: _clue(case, SURFACES, "unsupported"),
    "surface_spread_px": surface_spread_px,
    "views_px": lambda case: _distance(case, VIEWS),
    "points_px": lambda case: _distance(case, POINTS),
    "experts_px": experts_px,
    "left_right_px": left_right_px,
    "eyes_px": eyes_px,
    "skew_px": lambda case: case.rendered.skew_px,  # distance of mean and median depth along the ray
    "spread_px": spread_px,
    "see_through": lambda case: 1 - case.observations.pair.left_depth.alpha,
    "edge_px": edge_px,
    "near_step": lambda case: shape.near_step(case.disparity),
    "rough_px": lambda case: shape.scatter_px(case.disparity),
    "bend_px": lambda case: shape.bend_px(case.disparity),
    "off_median_px": lambda case: shape.off_median_px(case.disparity),
}
CONTEXT: dict[str, Callable[[Case], Map | None]] = {
    "disparity_px": lambda case: case.disparity,  # an error of depth becomes one of disparity that grows with it
    "texture": lambda case: texture(case.observations.pair.left),
    "fine_texture": lambda case: fine_texture(case.observations.pair.left),
    "own_texture": lambda case: case.own_surface.texture,
    "own_share": lambda case: case.own_surface.share,
    "blank_px": lambda case: _clue(case, SURFACES, "blank_px"),
    "beside_thin": lambda case: _clue(case, SURFACES, "beside_thin"),
    "hole": lambda case: _clue(case, SURFACES, "hole"),
}
EVIDENCE = DOUBTS | CONTEXT
OF_THE_PAIR = (
    "photos_cost",
    "photos_few",
    "colour_levels",
    "multibaseline_cost",
    "surface_unsupported",
    "surface_spread_px",
    "left_right_px",
    "skew_px",
    "spread_px",
    "see_through",
    "texture",
    "fine_texture",
    "own_texture",
    "own_share",
    "blank_px",
    "beside_thin",
    "hole",
)
"""Evidence that does not depend on the disparity under judgement."""


def gather(case: Case, names: Iterable[str] = tuple(EVIDENCE)) -> dict[str, Map]:
    """The named pieces of evidence whose source was asked."""
    found = {name: EVIDENCE[name](case) for name in names}
    return {name: values for name, values in found.items() if values is not None}


def _clue(case: Case, name: str, clue: str) -> Map | None:
    source = case.observations.views.get(name)
    return None if source is None else source.clues.get(clue)


def _distance(case: Case, name: str) -> Map | None:
    disparity = case.observations.view_disparity(name)
    return None if disparity is None else np.asarray(np.abs(case.disparity - disparity))
