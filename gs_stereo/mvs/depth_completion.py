"""A depth for every pixel of a photo from the few that are sure.

First what other photos are sure of is carried over; then depth spreads from all sure pixels to the rest with
`semi_global`: it stays constant where the photo is smooth and may change at the photo's edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from gs_stereo.geometry.pixels import pixel_index
from gs_stereo.geometry.projection import inside, project, unproject_depth_map
from gs_stereo.mvs.semi_global import aggregate, cheapest
from gs_stereo.mvs.swept_view import SweptView

_SURE_COST = 2.0
_SPREADS = 2


def completed(view: SweptView, others: Sequence[SweptView]) -> SweptView:
    """The view with a guess where its depth is unknown.

    What other views are sure of is carried over (the nearest surface at a pixel hides those behind); from there and
    from its own sure pixels depth spreads, and stops at edges of the photo.
    """
    depth = np.where(np.isfinite(view.depth), view.depth, _carried_over(view, others))
    known = np.isfinite(depth)
    plane = np.rint((1 / np.where(known, depth, 1.0) - view.inverse_depths[0]) / view.step)
    distance = np.abs(np.arange(len(view.inverse_depths))[:, None, None] - plane)
    pinned = np.where(known, np.minimum(distance, _SURE_COST), 0.0).astype(np.float32)
    cost = pinned
    for _ in range(_SPREADS):
        total = aggregate(cost, view.gray)
        cost = np.where(known, pinned, np.minimum(total - total.min(axis=0), _SURE_COST))
    return replace(view, guess=np.where(known, depth, 1 / view.inverse_depths[cheapest(total)]))


def _carried_over(view: SweptView, others: Sequence[SweptView]) -> Float[np.ndarray, "h w"]:
    """The nearest depth that falls on each pixel from the sure pixels of other views; NaN where none does."""
    nearest = np.full(view.depth.shape, np.inf)
    for other in others:
        xyz = unproject_depth_map(other.camera, other.depth)[np.isfinite(other.depth)]
        image_xy, depth = project(view.camera, xyz)
        hit = (depth > 0) & inside(view.camera, image_xy)
        column, row = pixel_index(image_xy[hit]).T
        np.minimum.at(nearest, (row, column), depth[hit])
    return np.where(np.isfinite(nearest), nearest, np.nan)
