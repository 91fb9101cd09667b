"""The evidence for and against a disparity: a table of maps.

Each map of `DOUBTS` is larger where there is more reason for doubt; those of `CONTEXT` say how to read them. Nearly all
are in pixels of disparity, so one calibration serves all baselines and scales. NaN = nothing is known. A new piece of
evidence is one function and one line of a table; then the calibration program is run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.labels import shape
from gs_stereo.labels import texture as image_texture
from gs_stereo.labels.observations import MULTIBASELINE, PHOTOS, POINTS, VIEWS, Observations
from gs_stereo.labels.rendered import RenderedEvidence
from gs_stereo.labels.surroundings import median_known
from gs_stereo.labels.texture import OwnSurface
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
        return image_texture.own_surface(self.observations.pair.left)


def splat_px(case: Case) -> Map:
    """Distance to the median depth of the splat."""
    return np.asarray(np.abs(case.disparity - case.rendered.disparity))


def photos_px(case: Case) -> Map | None:
    """Distance to what the real photos say."""
    return _distance(case, PHOTOS)


def photos_cost(case: Case) -> Map | None:
    """How badly the photos match at their own best depth: 1 - correlation."""
    return _cost(case, PHOTOS)


def multibaseline_px(case: Case) -> Map | None:
    """Distance to what a rendered stack of views says."""
    return _distance(case, MULTIBASELINE)


def multibaseline_cost(case: Case) -> Map | None:
    """How badly the views of a rendered stack match at their own best depth: 1 - correlation."""
    return _cost(case, MULTIBASELINE)


def views_px(case: Case) -> Map | None:
    """Distance to the depth that neighbouring virtual views show at the same place."""
    return _distance(case, VIEWS)


def points_px(case: Case) -> Map | None:
    """Distance to a sparse point of structure from motion close by."""
    return _distance(case, POINTS)


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


def skew_px(case: Case) -> Map:
    """Distance of mean and median depth along the ray."""
    return case.rendered.skew_px


def spread_px(case: Case) -> Map:
    """Standard deviation of depth along the ray, as disparity."""
    depth = case.observations.pair.left_depth
    relative = np.sqrt(np.maximum(depth.variance, 0)) / np.where(depth.median > 0, depth.median, np.nan)
    return np.asarray(case.rendered.disparity * relative)


def see_through(case: Case) -> Map:
    """1 - opacity."""
    return np.asarray(1 - case.observations.pair.left_depth.alpha)


def edge_px(case: Case) -> Map:
    """Range of the disparity within 5 x 5 pixels."""
    window = np.ones((_EDGE_WINDOW_PX, _EDGE_WINDOW_PX), np.uint8)
    known = np.isfinite(case.disparity)
    low = cv2.erode(np.where(known, case.disparity, _FAR), window)
    high = cv2.dilate(np.where(known, case.disparity, -_FAR), window)
    return np.where(known, high - low, np.nan)


def near_step(case: Case) -> Map:
    """1 next to a step of the disparity of more than 1 px, falling with the distance to it."""
    return shape.near_step(case.disparity)


def rough_px(case: Case) -> Map:
    """How much the disparity scatters about a plane within 7 x 7 pixels."""
    return shape.scatter_px(case.disparity)


def bend_px(case: Case) -> Map:
    """Eight times the distance of a pixel to the mean of its four diagonal neighbours."""
    return shape.bend_px(case.disparity)


def off_median_px(case: Case) -> Map:
    """Distance to the median of 5 x 5 pixels."""
    return shape.off_median_px(case.disparity)


def disparity_px(case: Case) -> Map:
    """The disparity itself: an error of depth becomes one of disparity that grows with it."""
    return case.disparity


def texture(case: Case) -> Map:
    """Standard deviation of the left image within 7 x 7 pixels, in 8-bit levels."""
    return image_texture.texture(case.observations.pair.left)


def fine_texture(case: Case) -> Map:
    """The same within 3 x 3 pixels."""
    return image_texture.fine_texture(case.observations.pair.left)


def own_texture(case: Case) -> Map:
    """The same among the pixels nearby that look alike."""
    return case.own_surface.texture


def own_share(case: Case) -> Map:
    """How many of the pixels nearby look alike."""
    return case.own_surface.share


DOUBTS: dict[str, Callable[[Case], Map | None]] = {
    "splat_px": splat_px,
    "photos_px": photos_px,
    "photos_cost": photos_cost,
    "multibaseline_px": multibaseline_px,
    "multibaseline_cost": multibaseline_cost,
    "views_px": views_px,
    "points_px": points_px,
    "experts_px": experts_px,
    "left_right_px": left_right_px,
    "eyes_px": eyes_px,
    "skew_px": skew_px,
    "spread_px": spread_px,
    "see_through": see_through,
    "edge_px": edge_px,
    "near_step": near_step,
    "rough_px": rough_px,
    "bend_px": bend_px,
    "off_median_px": off_median_px,
}
CONTEXT: dict[str, Callable[[Case], Map | None]] = {
    "disparity_px": disparity_px,
    "texture": texture,
    "fine_texture": fine_texture,
    "own_texture": own_texture,
    "own_share": own_share,
}
EVIDENCE = DOUBTS | CONTEXT
OF_THE_PAIR = (
    "photos_cost",
    "multibaseline_cost",
    "left_right_px",
    "skew_px",
    "spread_px",
    "see_through",
    "texture",
    "fine_texture",
    "own_texture",
    "own_share",
)
"""Evidence that does not depend on the disparity under judgement."""


def gather(case: Case, names: Iterable[str] = tuple(EVIDENCE)) -> dict[str, Map]:
    """The named pieces of evidence whose source was asked."""
    found = {name: EVIDENCE[name](case) for name in names}
    return {name: values for name, values in found.items() if values is not None}


def _cost(case: Case, name: str) -> Map | None:
    source = case.observations.views.get(name)
    return None if source is None else source.cost


def _distance(case: Case, name: str) -> Map | None:
    disparity = case.observations.view_disparity(name)
    return None if disparity is None else np.asarray(np.abs(case.disparity - disparity))
