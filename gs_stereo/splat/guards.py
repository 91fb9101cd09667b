"""Does the capture support this view? Numbers measured on a rendered eye, and the first reason to refuse it.

A splat renders an image from anywhere, also from where no photo ever looked. Labels there would be guesses, so a view
must earn its place: opaque, close to photos that look at the same surfaces, free of floaters before the lens,
unambiguous in depth, and about as sharp as the photos.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gs_stereo.core.records import Record
from gs_stereo.geometry.pixels import pixel_centres, pixel_index
from gs_stereo.geometry.projection import inside, project, unproject
from gs_stereo.geometry.view_selection import NearestPhoto, nearest_photos
from gs_stereo.imaging.images import resize_to
from gs_stereo.imaging.masks import white_where
from gs_stereo.imaging.sharpness import fine_detail
from gs_stereo.splat.pairs_config import GuardsConfig
from gs_stereo.types import Camera, DepthMaps, SparseScene
from gs_stereo.types.photo_source import cut_out_of_photo, mask_of

if TYPE_CHECKING:
    from gs_stereo.types.photo_source import PhotoSource

REFUSAL_REASONS = (
    "no_depth",
    "low_alpha",
    "far_from_photos",
    "turned_away",
    "unseen_surface",
    "near_plane",
    "ambiguous_depth",
    "blurred",
    "baseline_too_wide",
)
"""Every name that `refusal` and the rendering of a planned pair can give. Stable: they are stored and counted."""

_SAMPLED_COLUMNS = 32
_MAX_WITNESSES = 32
"""Only this many of the nearest photos are asked whether they see a surface: more would change nothing but the time."""

_LEAST_POINTS = 20
_NEAR_PERCENTILE = 1.0
_LEAST_PHOTO_DETAIL = 1e-3
"""A photo with less detail than this (in [0, 1] brightness) is blank and says nothing about blur."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Capture:
    """What views are measured against: the sparse scene, and its photos if there are any."""

    scene: SparseScene
    photos: PhotoSource | None = None


@dataclass(frozen=True, kw_only=True)
class EyeMeasures(Record):
    """Measures of one rendered eye. Shares are in [0, 1]; NaN = could not be measured.

    covered_share: pixels whose alpha is high enough, of those that the nearest photo does not cut out.
    median_depth: of the covered pixels, in scene units.
    ambiguous_share: covered pixels whose mean and median depth disagree. near_share: covered pixels much nearer than
    the sparse points in view. seen_share: covered surfaces that a photo looked at from a similar direction and
    distance. photo_distance: distance to the nearest photo over the median depth. photo_angle_deg: angle between the
    two optical axes. sharpness: fine detail over that of the nearest photo.
    """

    covered_share: float
    median_depth: float
    ambiguous_share: float
    near_share: float
    seen_share: float
    photo_distance: float
    photo_angle_deg: float
    sharpness: float


@dataclass(frozen=True, kw_only=True)
class ViewMeasures(Record):
    """Measures of a pair. `right` is None, and the numbers of the pair are NaN, if the left eye was refused.

    baseline in scene units; median_disparity_px and high_disparity_px (95th percentile) of the left eye.
    """

    left: EyeMeasures
    right: EyeMeasures | None = None
    baseline: float = float("nan")
    median_disparity_px: float = float("nan")
    high_disparity_px: float = float("nan")


def measure_eye(
    camera: Camera, image: UInt8[np.ndarray, "h w 3"], depth: DepthMaps, capture: Capture, config: GuardsConfig
) -> EyeMeasures:
    """Measure one rendered eye. Deterministic; reads at most one photo."""
    covered = (depth.alpha >= config.covered_alpha) & np.isfinite(depth.median)
    median_depth = float(np.median(depth.median[covered])) if covered.any() else float("nan")
    nearest = next(iter(nearest_photos(camera, capture.scene.cameras, median_depth, 1)), None)
    return EyeMeasures(
        covered_share=min(1.0, float(covered.mean()) / _shown_share(capture, nearest)),
        median_depth=median_depth,
        ambiguous_share=_ambiguous_share(depth, covered, config),
        near_share=_near_share(camera, depth, covered, capture, config),
        seen_share=_seen_share(camera, depth, covered, capture, config),
        photo_distance=nearest.distance / median_depth if nearest else float("nan"),
        photo_angle_deg=float(np.degrees(nearest.angle_rad)) if nearest else float("nan"),
        sharpness=_sharpness(image, capture, nearest),
    )


def _shown_share(capture: Capture, nearest: NearestPhoto | None) -> float:
    """Share of the nearest photo that shows the scene; 1 where that is not known."""
    if nearest is None or capture.photos is None:
        return 1.0
    cut_out = cut_out_of_photo(capture.photos, capture.scene.cameras[nearest.index].name)
    return 1.0 if cut_out is None or cut_out.all() else 1 - float(cut_out.mean())


def refusal(measures: ViewMeasures, config: GuardsConfig) -> str | None:
    """The first reason to refuse a view, one of REFUSAL_REASONS; None if it is supported. NaN refuses nothing."""
    if not config.enabled:
        return None
    reason = _eye_refusal(measures.left, config, too_far="far_from_photos")
    if reason is None and measures.right is not None:
        reason = _eye_refusal(measures.right, config, too_far="baseline_too_wide")
    return reason


def _eye_refusal(eye: EyeMeasures, config: GuardsConfig, too_far: str) -> str | None:
    checks = {
        "low_alpha": eye.covered_share < config.min_covered_share,
        too_far: eye.photo_distance > config.max_photo_distance,
        "turned_away": eye.photo_angle_deg > config.max_photo_angle_deg,
        "unseen_surface": eye.seen_share < config.min_seen_share,
        "near_plane": eye.near_share > config.max_near_share,
        "ambiguous_depth": eye.ambiguous_share > config.max_ambiguous_share,
        "blurred": eye.sharpness < config.min_sharpness,
    }
    return next((reason for reason, refused in checks.items() if refused), None)


def _ambiguous_share(depth: DepthMaps, covered: Bool[np.ndarray, "h w"], config: GuardsConfig) -> float:
    if not covered.any():
        return float("nan")
    median = depth.median[covered]
    return float((np.abs(depth.expected[covered] - median) > config.ambiguous_shift * median).mean())


def _near_share(
    camera: Camera, depth: DepthMaps, covered: Bool[np.ndarray, "h w"], capture: Capture, config: GuardsConfig
) -> float:
    image_xy, point_depth = project(camera, capture.scene.points.witnesses.xyz_in_world)
    in_view = point_depth[inside(camera, image_xy)]
    if len(in_view) < _LEAST_POINTS or not covered.any():
        return float("nan")
    limit = config.near_depth * np.percentile(in_view, _NEAR_PERCENTILE)
    return float((depth.median[covered] < limit).mean())


def _seen_share(
    camera: Camera, depth: DepthMaps, covered: Bool[np.ndarray, "h w"], capture: Capture, config: GuardsConfig
) -> float:
    """Share of a grid of rendered surface points that some photo saw.

    A photo saw a point if the point lies in its image where no mask covers it, the two rays to it differ by a small
    angle only, and the view shows it not much larger than the photo did (pixels per scene unit are f / z). Occlusion is
    not tested: a photo beside the view hardly ever has something in between that the view has not.
    """
    points, point_depth = _surface_grid(camera, depth, covered)
    if len(points) == 0 or not capture.scene.cameras:
        return float("nan")
    rays = _unit(points - camera.centre_in_world)
    seen = np.zeros(len(points), dtype=bool)
    witnesses = nearest_photos(camera, capture.scene.cameras, float(np.median(point_depth)), _MAX_WITNESSES)
    for photo in (capture.scene.cameras[witness.index] for witness in witnesses):
        image_xy, photo_depth = project(photo, points)
        cosine = (_unit(points - photo.centre_in_world) * rays).sum(axis=1)
        larger = (camera.focal_px * photo_depth) / (photo.focal_px * point_depth)
        similar = (cosine >= np.cos(np.radians(config.max_ray_angle_deg))) & (larger <= config.max_magnification)
        saw = inside(photo, image_xy) & similar
        if capture.photos is not None and (mask := mask_of(capture.photos, photo.name)) is not None:
            column, row = pixel_index(np.where(saw[:, None], image_xy, 0.0)).T
            saw &= mask[row, column]
        seen |= saw
    return float(seen.mean())


def _surface_grid(
    camera: Camera, depth: DepthMaps, covered: Bool[np.ndarray, "h w"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]]:
    """World points and depths of the covered pixels of a regular grid."""
    stride = max(1, camera.width // _SAMPLED_COLUMNS)
    cells = (slice(stride // 2, None, stride), slice(stride // 2, None, stride))
    chosen = covered[cells]
    values = depth.median[cells][chosen].astype(np.float64)
    return unproject(camera, pixel_centres(camera.width, camera.height)[cells][chosen], values), values


def _unit(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def _sharpness(image: UInt8[np.ndarray, "h w 3"], capture: Capture, nearest: NearestPhoto | None) -> float:
    if nearest is None or capture.photos is None:
        return float("nan")
    name, (height, width) = capture.scene.cameras[nearest.index].name, image.shape[:2]
    photo = _at_size(capture.photos(name), width, height)
    if (mask := mask_of(capture.photos, name)) is not None:  # what the photo does not show must not count
        shown = _at_size(np.repeat(white_where(mask)[..., None], 3, axis=2), width, height) > 0
        photo = np.where(shown, photo, image)
    photo_detail = fine_detail(photo)
    return fine_detail(image) / photo_detail if photo_detail > _LEAST_PHOTO_DETAIL else float("nan")


def _at_size(photo: UInt8[np.ndarray, "h w 3"], width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """The photo cropped about its centre to the aspect of width x height and resized, to whole pixels."""
    scale = max(width / photo.shape[1], height / photo.shape[0])
    crop_width, crop_height = min(round(width / scale), photo.shape[1]), min(round(height / scale), photo.shape[0])
    x, y = (photo.shape[1] - crop_width) // 2, (photo.shape[0] - crop_height) // 2
    return resize_to(photo[y : y + crop_height, x : x + crop_width], width, height)
