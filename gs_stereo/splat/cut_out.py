"""Which pixels of a virtual view show what the photos leave out (their transparent parts).

What masks hide in a photo is no such thing: the splat has learned it from the other photos.
"""

import numpy as np
from jaxtyping import Bool

from gs_stereo.geometry.pixels import pixel_index
from gs_stereo.geometry.projection import inside, project, unproject_depth_map
from gs_stereo.geometry.view_selection import nearest_photos
from gs_stereo.splat.guards import Capture
from gs_stereo.types import Camera, DepthMaps
from gs_stereo.types.photo_source import cut_out_of_photo, hidden_of

_WITNESSES = 4
_SAME_PLACE = 1e-4  # of the depth and in radians: poses are written with six digits, views move by more


def cut_out_of(camera: Camera, depth: DepthMaps, capture: Capture) -> Bool[np.ndarray, "h w"] | None:
    """Pixels whose surface at least half of the nearest photos that see it cut out; None if those cut nothing out.

    The photo that was taken at this very place decides alone. A pixel without depth is taken at the median depth.
    """
    known = np.isfinite(depth.median) & (depth.median > 0)
    if capture.photos is None or not known.any():
        return None
    typical = float(np.median(depth.median[known]))
    near = nearest_photos(camera, capture.scene.cameras, typical, _WITNESSES)
    if near and near[0].distance < _SAME_PLACE * typical and near[0].angle_rad < _SAME_PLACE:
        near = near[:1]
    witnesses = [capture.scene.cameras[each.index] for each in near]
    parts = [cut_out_of_photo(capture.photos, photo.name) for photo in witnesses]
    if all(part is None for part in parts):
        return None
    points = unproject_depth_map(camera, np.where(known, depth.median, typical))
    seen, cut_out = np.zeros(known.shape, int), np.zeros(known.shape, int)
    for photo, part in zip(witnesses, parts, strict=True):
        image_xy, z = project(photo, points)
        hit = (z > 0) & inside(photo, image_xy)
        column, row = pixel_index(np.where(hit[..., None], image_xy, 0.0)).transpose(2, 0, 1)
        hidden = hidden_of(capture.photos, photo.name)
        seen += hit if hidden is None else hit & ~hidden[row, column]
        if part is not None:
            cut_out += hit & part[row, column]
    return np.asarray((cut_out > 0) & (2 * cut_out >= seen))


def without(depth: DepthMaps, cut_out: Bool[np.ndarray, "h w"] | None) -> DepthMaps:
    """The depth with nothing where it is cut out."""
    if cut_out is None:
        return depth
    nothing = np.float32(np.nan)
    return DepthMaps(
        expected=np.where(cut_out, nothing, depth.expected),
        median=np.where(cut_out, nothing, depth.median),
        variance=np.where(cut_out, nothing, depth.variance),
        alpha=np.where(cut_out, np.float32(0), depth.alpha),
    )
