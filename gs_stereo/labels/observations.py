"""What was observed about one pair, in one form: maps on the left pixels, NaN where nothing is known.

Sources that belong to the left view (photos, a rendered stack, neighbouring views, sparse points) are inverse depths,
so that one map serves all baselines: disparity = f b w. Matchers see one pair and answer in disparity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from gs_stereo.types import DisparityPrediction, StereoPair

SPLAT, PHOTOS, MULTIBASELINE, VIEWS, POINTS = "splat", "photos", "multibaseline", "views", "points"
SURFACES = "surfaces"  # planes for regions without texture
SILHOUETTES = "silhouettes"  # the splat's depth with its edges at those of the photo: it decides what is hidden
MATCHED = "matched"
"""What the trust model calls a disparity of any matcher."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewDepth:
    """One source's depth of a left view. inverse_depth: 1 / scene units. clues: what else it says, a map a name.

    The clue `cost` speaks of matched images: 0 = they look the same at this depth, 1 = they have nothing in common.
    """

    inverse_depth: Float[np.ndarray, "h w"]
    clues: Mapping[str, Float[np.ndarray, "h w"]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatchedPair:
    """A matcher's disparity of the left image, and of the right image where it was asked."""

    left: DisparityPrediction
    right: DisparityPrediction | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Observations:
    """A rendered pair and everything else that is known about it. views: by source name; matched: by expert name."""

    pair: StereoPair
    views: Mapping[str, ViewDepth] = field(default_factory=dict)
    matched: Mapping[str, MatchedPair] = field(default_factory=dict)

    def view_disparity(self, name: str) -> Float[np.ndarray, "h w"] | None:
        """Disparity by a source of the view; None if that source was not asked."""
        source = self.views.get(name)
        return None if source is None else source.inverse_depth.astype(np.float64) * self.pair.rig.focal_times_baseline
