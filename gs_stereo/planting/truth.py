"""What a rectified pair should say of planted objects: exact disparity, what the right eye sees, what they hide."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int16

from gs_stereo.geometry.disparity import disparity_from_depth
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.geometry.projection import depth_seen_at, unproject_depth_map
from gs_stereo.metrics.disparity import depth_steps
from gs_stereo.planting.photo import is_object
from gs_stereo.planting.plan import SeenView
from gs_stereo.splat.pairs import SplatRenderer
from gs_stereo.types import StereoRig
from gs_stereo.worlds.cameras import camera_rays
from gs_stereo.worlds.render import hidden_from
from gs_stereo.worlds.world import World

_DOUBT_SHARE = 0.03
"""Nearer to a real surface than this share of its depth, which of the two hides the other is not known."""
_EDGE_PX = 3
_BAND_PX = 5
NO_OBJECT = -1
_NEIGHBOURS = ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]))


@dataclass(frozen=True, kw_only=True, eq=False)
class PlantedTruth:
    """Of the left view. owner: number of the object that a pixel shows, NO_OBJECT elsewhere and where in doubt.

    disparity: px, NaN where no object is. doubtful: pixels where object and scene are too near each other to say which
    is seen. seen_by_both: of object pixels. outside: those beyond the right image. edge: within 3 px of an object's
    outline.
    real_edge_share: of the pixels of real surfaces, those within 3 px of a step in depth.
    hidden: pixels of the real scene that an object hides from the right eye. around: where `hidden` was decided.
    """

    owner: Int16[np.ndarray, "h w"]
    disparity: Float[np.ndarray, "h w"]
    doubtful: Bool[np.ndarray, "h w"]
    seen_by_both: Bool[np.ndarray, "h w"]
    outside: Bool[np.ndarray, "h w"]
    edge: Bool[np.ndarray, "h w"]
    hidden: Bool[np.ndarray, "h w"]
    around: Bool[np.ndarray, "h w"]
    real_edge_share: float


def planted_truth(world: World, rig: StereoRig, renderer: SplatRenderer) -> PlantedTruth:
    """Of a pair, where the splat of the real scene says what stands before objects and behind them."""
    eyes = zip((rig.left, rig.right), renderer.render_stereo(rig), strict=True)
    return truth_before(world, rig, *(SeenView.of(camera, view.depth) for camera, view in eyes))


def truth_before(world: World, rig: StereoRig, real_left: SeenView, real_right: SeenView) -> PlantedTruth:
    """Cast rays of both eyes. real_left, real_right: what they see of the real surfaces."""
    left, left_depth, shape = rig.left, real_left.depth, real_left.depth.shape
    rays = camera_rays(left, pixel_centres(left.width, left.height).reshape(-1, 2))
    hits = world.caster.cast(rays.rows)
    depth = hits.t.reshape(shape).astype(np.float64)
    on_object = is_object(world, hits).reshape(shape)
    nothing = np.isnan(left_depth)
    shown = on_object & (nothing | (depth < (1 - _DOUBT_SHARE) * real_left.near))
    doubtful = on_object & ~shown & (~real_left.sure | (depth < (1 + _DOUBT_SHARE) * left_depth))
    owner = np.where(shown, world.mesh.piece[hits.triangle].reshape(shape), NO_OBJECT).astype(np.int16)
    disparity = np.where(shown, disparity_from_depth(depth, rig.focal_times_baseline), np.nan)
    hidden_objects = _hidden_by_objects(world, rig, depth)
    # A real surface may stand between an object and the right eye, too.
    seen = depth_seen_at(rig.right, real_right.near, unproject_depth_map(left, depth))
    walled = seen.there < (1 - _DOUBT_SHARE) * seen.own
    inside = np.isfinite(seen.own)
    real = real_left.sure & ~on_object
    hidden = real & _hidden_by_objects(world, rig, np.where(real, left_depth, 1.0))
    hidden &= _in_frame(rig, left_depth)
    near = _dilated(hidden | shown, _BAND_PX)
    return PlantedTruth(
        owner=owner,
        disparity=disparity,
        doubtful=doubtful,
        seen_by_both=shown & inside & ~hidden_objects & ~walled,
        outside=shown & ~inside,
        edge=shown & _dilated(_outline(owner, depth), _EDGE_PX),
        hidden=hidden,
        around=near & real & ~_dilated(doubtful, _EDGE_PX),
        real_edge_share=float(_dilated(depth_steps(left_depth, _DOUBT_SHARE), _EDGE_PX).mean()),
    )


def _hidden_by_objects(world: World, rig: StereoRig, depth: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Whether an object lies between the right eye and the points at this depth of the left one."""
    eye = rig.right.centre_in_world
    way = unproject_depth_map(rig.left, depth).reshape(-1, 3) - eye
    return hidden_from(world, eye, way).reshape(depth.shape)


def _in_frame(rig: StereoRig, depth: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    columns = np.arange(rig.left.width) + 0.5
    with np.errstate(invalid="ignore"):
        return np.asarray(columns - disparity_from_depth(depth, rig.focal_times_baseline) >= 0)


def _outline(owner: Int16[np.ndarray, "h w"], depth: Float[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels beside another object, or the scene."""
    border = depth_steps(depth, _DOUBT_SHARE) & (owner != NO_OBJECT)
    for first, second in _NEIGHBOURS:
        differs = owner[first] != owner[second]
        border[first] |= differs
        border[second] |= differs
    return border


def _dilated(mask: Bool[np.ndarray, "h w"], radius_px: int) -> Bool[np.ndarray, "h w"]:
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1,) * 2)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
