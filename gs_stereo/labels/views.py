"""What is known about the depth of a left view besides its own rendered depth, once for all its baselines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import ConfigError
from gs_stereo.geometry.view_selection import views_with_parallax
from gs_stereo.labels.colours import colour_difference
from gs_stereo.labels.observations import MULTIBASELINE, PHOTOS, POINTS, SILHOUETTES, SURFACES, VIEWS, ViewDepth
from gs_stereo.labels.protocol import ViewNeeds
from gs_stereo.labels.silhouettes import sharpened
from gs_stereo.labels.surfaces import surface_hypotheses
from gs_stereo.labels.surroundings import DepthView, inverse_depth_from_neighbours, inverse_depth_from_points
from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.mvs.sweep import sweep_near
from gs_stereo.mvs.views import InverseDepthPrior, PosedImage, SweepResult, shown_view
from gs_stereo.types import Camera, LabelFlag, SparseScene, StereoImages, StereoLabel, StereoPair
from gs_stereo.types.photo_source import PhotoSource, hidden_of, mask_of

_LEAST_SUPPORT = 2
_LEAST_REJECTED_COST = 1.0
_SAME_POSE = 1e-9
_SURE_COST, _SURE_SHARE = 0.3, 0.05  # of photos that confirm the splat's depth
Image = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """The capture around a left view.

    scene: the photos' cameras and the sparse points. photo: the photo of a camera by its name; None where photos may
    not be matched, because their poses are poor. neighbours: the depth of other virtual views. render: what the splat
    shows to cameras; it is asked for a stack. stack_offsets: where a stack looks from, scene units along x.
    """

    scene: SparseScene
    photo: PhotoSource | None = None
    neighbours: Sequence[DepthView] = ()
    render: Callable[[Sequence[Camera]], Sequence[Image]] | None = None
    stack_offsets: tuple[float, ...] = ()


def view_depths(
    pair: StereoImages, around: Surroundings, needs: ViewNeeds, multiview: MultiViewConfig
) -> dict[str, ViewDepth]:
    """What a label source `needs` to know about a pair's left view, as far as it is known; nothing without depth."""
    found: dict[str, ViewDepth] = {}
    if needs == ViewNeeds() or not isinstance(pair, StereoPair):
        return found
    left, depth = pair.rig.left, pair.left_depth.median
    if needs.surroundings:
        view = DepthView(camera=left, depth=depth)
        found[VIEWS] = ViewDepth(inverse_depth=inverse_depth_from_neighbours(view, around.neighbours))
        found[POINTS] = ViewDepth(inverse_depth=inverse_depth_from_points(view, around.scene.points.witnesses))
    if not np.isfinite(depth).any():
        return found
    photo = around.photo if needs.photos else None
    image = pair.left if photo is None else _own_image(pair, around.scene, photo)
    inverse_depth = 1 / np.where(depth > 0, depth.astype(np.float64), np.nan)
    if needs.silhouettes or needs.surfaces:
        inverse_depth = sharpened(inverse_depth, image)
        found[SILHOUETTES] = ViewDepth(inverse_depth=inverse_depth.astype(np.float32))
    if photo is not None:
        cameras = around.scene.cameras
        near = views_with_parallax(left, cameras, float(np.nanmedian(depth)), needs.photos)
        if len(near) >= _LEAST_SUPPORT:
            others = [shown_view(cameras[k], photo) for k in near]
            own = PosedImage(camera=left, image=image)
            swept = sweep_near(own, others, _prior(pair), multiview)
            found[PHOTOS] = _view_depth(
                swept,
                few=1 / (1 + swept.supporting_views.astype(np.float32)),
                colour_levels=colour_difference(own, others, inverse_depth).astype(np.float32),
            )
    if needs.surfaces:
        found[SURFACES] = _surfaces(image, inverse_depth, found.get(PHOTOS))
    if needs.stack:
        stack = _stack(pair, around)
        swept = sweep_near(PosedImage(camera=left, image=pair.left), stack, _prior(pair), multiview)
        found[MULTIBASELINE] = _view_depth(swept)
    return found


def stack_offsets(baselines: Sequence[float]) -> tuple[float, ...]:
    """Where a stack looks from: half and the whole of the widest baseline, on both sides."""
    widest = max(baselines)
    return (-widest, -0.5 * widest, 0.5 * widest, widest)


def _own_image(pair: StereoPair, scene: SparseScene, photo: PhotoSource) -> Image:
    """What the left view shows: the photo taken there, or else, and where that is masked, the rendered image."""
    own = _own_camera(pair.rig.left, scene)
    if own is None:
        return pair.left
    mask = mask_of(photo, own.name)
    return photo(own.name) if mask is None else np.where(mask[..., None], photo(own.name), pair.left)


def with_transient(label: StereoLabel, left: Camera, around: Surroundings) -> StereoLabel:
    """The label with a flag where it is missing and something stood before the scene in the photo taken there."""
    own = _own_camera(left, around.scene)
    hidden = None if own is None or around.photo is None else hidden_of(around.photo, own.name)
    if hidden is None:
        return label
    flag = np.where(hidden & np.isnan(label.disparity), np.uint16(LabelFlag.TRANSIENT), np.uint16(0))
    return replace(label, flags=label.flags | flag)


def _own_camera(left: Camera, scene: SparseScene) -> Camera | None:
    return next((camera for camera in scene.cameras if _same_view(camera, left)), None)


def _same_view(photo: Camera, left: Camera) -> bool:
    """True if the left view re-renders this photo: the same pose, lens and size."""
    same_pose = np.allclose(photo.cam_from_world, left.cam_from_world, rtol=0, atol=_SAME_POSE)
    same_size = (photo.width, photo.height) == (left.width, left.height)
    return bool(same_pose and same_size and np.allclose(photo.intrinsics, left.intrinsics, atol=_SAME_POSE))


def _stack(pair: StereoPair, around: Surroundings) -> list[PosedImage]:
    """Views on both sides of the left one: those stored with the pair, or rendered now."""
    stored = {pair.rig.baseline: pair.right, **dict(zip(pair.extra_offsets, pair.extra_views, strict=True))}
    stored.pop(0.0, None)  # a whole stack holds the left view too
    offsets = tuple(stored) if pair.extra_views else around.stack_offsets
    cameras = [pair.rig.left.shifted(offset) for offset in offsets]
    if pair.extra_views:
        images: Sequence[Image] = list(stored.values())
    elif around.render is None:
        raise ConfigError("A stack of views needs the splat; give `render`, or pairs with extra views.")
    else:
        images = around.render(cameras)
    return [PosedImage(camera=camera, image=image) for camera, image in zip(cameras, images, strict=True)]


def _surfaces(image: Image, inverse_depth: Float[np.ndarray, "h w"], photos: ViewDepth | None) -> ViewDepth:
    """Surface hypotheses as a source; they rest on the splat, and on the photos where these confirm it."""
    sure = np.zeros(inverse_depth.shape, bool)
    if photos is not None:
        sure = (photos.clues["cost"] < _SURE_COST) & (np.abs(photos.inverse_depth / inverse_depth - 1) < _SURE_SHARE)
        inverse_depth = np.where(sure, photos.inverse_depth, inverse_depth)
    maps = {
        name: values.astype(np.float32) for name, values in vars(surface_hypotheses(image, inverse_depth, sure)).items()
    }
    return ViewDepth(inverse_depth=maps.pop("inverse_depth"), clues=maps)


def _view_depth(result: SweepResult, **clues: Float[np.ndarray, "h w"]) -> ViewDepth:
    """A sweep as a source: no depth where fewer than two views agree with it."""
    agreed = result.supporting_views >= _LEAST_SUPPORT
    cost = np.where(np.isfinite(result.inverse_depth), result.cost, np.float32(_LEAST_REJECTED_COST))
    return ViewDepth(
        inverse_depth=np.where(agreed, result.inverse_depth, np.float32(np.nan)), clues={"cost": cost, **clues}
    )


def _prior(pair: StereoPair) -> InverseDepthPrior:
    depth = pair.left_depth
    return InverseDepthPrior.from_depth(depth.median, np.sqrt(np.maximum(depth.variance, 1e-12)))
