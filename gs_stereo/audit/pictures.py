"""Pictures of an audit: the planted view, its label, and the label's error on the objects, side by side."""

from pathlib import Path

import numpy as np

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.imaging.colour_maps import coloured, error_colours, shown_range, side_by_side
from gs_stereo.imaging.images import write_png
from gs_stereo.planting.truth import NO_OBJECT, PlantedTruth

_DIMMED = 0.35


def write_pictures(folder: Path, sample: ShardSample, truth: PlantedTruth) -> Path:
    """Write `<sample>.png` and return it. In the third panel the rest of the view is dimmed."""
    known = sample.disparity[np.isfinite(sample.disparity)]
    label = coloured(sample.disparity, *shown_range(known))
    on_object = truth.seen_by_both & (truth.owner != NO_OBJECT)
    error = error_colours(np.abs(sample.disparity - truth.disparity), on_object)
    dimmed = np.rint(_DIMMED * sample.left).astype(np.uint8)
    third = np.where(on_object[..., None], error, dimmed)
    path = folder / f"{sample.sample_id}.png"
    write_png(path, side_by_side(side_by_side(sample.left, label), third))
    return path
