"""Everything that is measured on one sample."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.imaging.images import resize_to
from gs_stereo.imaging.sharpness import contrast, edge_width_px2
from gs_stereo.metrics.warp import (
    ComparedPair,
    WarpCurves,
    best_row_offset_px,
    different_share,
    moved_rows,
    warp_curves,
)
from gs_stereo.quality.agreement import MatchAgreement, compare_with_matches, trusted
from gs_stereo.quality.check import median_of
from gs_stereo.quality.config import QualityConfig
from gs_stereo.quality.features import PairMatches, match_features
from gs_stereo.quality.neighbours import MAP_EDGE_PX, THUMBNAIL, SmallView
from gs_stereo.quality.points import PointAgreement, compare_with_points
from gs_stereo.types import LabelFlag, SparseScene

_NAN = float("nan")
_CLEARLY_MOVED_PX = 0.5
_LARGEST_PHOTO_SCALE = 1.05


@dataclass(frozen=True, kw_only=True)
class EyeLook:
    """Squared width of the sharpest edges (px^2, see `sharpness`) and contrast (8-bit levels) of one image."""

    edge_width_px2: float
    contrast: float


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleMeasures:
    """Measures of one sample; NaN or None = could not be measured.

    matches: feature matches between the eyes. row_offset_px: median signed row offset; row_distance_px and
    row_distance_p90_px: median and 90th percentile of its size (with too few matches, all
    three by the pixels, at the labelled disparity). to_the_right: share of matches that lie further right
    in the right image, which only happens when the eyes are swapped. labels: against the matches. warp: against the
    pixels, after the row offset was taken away. different_share: visible confident pixels that look different.
    photo_edge_width_px2: of the photo of the same view. coverage: labels among the pixels that no photo cuts out.
    doubtful: labels with less than `min_confidence`. disparity_px: median label.
    """

    sample_id: str
    view_id: str
    matches: int
    row_offset_px: float
    row_distance_px: float
    row_distance_p90_px: float
    to_the_right: float
    labels: MatchAgreement
    warp: WarpCurves | None
    different_share: float
    points: PointAgreement | None
    left: EyeLook
    right: EyeLook
    photo_edge_width_px2: float
    coverage: float
    doubtful: float
    disparity_px: float
    small: SmallView


def measure_sample(
    sample: ShardSample, config: QualityConfig, scene: SparseScene | None, photo: UInt8[np.ndarray, "_ _ 3"] | None
) -> SampleMeasures:
    """Measure one sample. scene: what structure from motion knows, or None. photo: of the same view, or None."""
    labelled = np.isfinite(sample.disparity)
    shown = labelled | ((sample.flags & np.uint16(LabelFlag.CUT_OUT | LabelFlag.SKY)) == 0)
    matches = match_features(sample.left, sample.right)
    enough = len(matches) >= config.min_matches
    comparable = trusted(sample, config.min_confidence)
    pair = ComparedPair(left=sample.left, right=sample.right, disparity=sample.disparity, comparable=comparable)
    rows = matches.row_offset_px if enough else np.full(1, best_row_offset_px(pair))
    offset = float(np.median(rows))
    # A wrong row must not look like a wrong disparity.
    if abs(offset) > _CLEARLY_MOVED_PX:
        pair = replace(pair, right=moved_rows(sample.right, -offset))
    return SampleMeasures(
        sample_id=sample.sample_id,
        view_id=sample.view_id,
        matches=len(matches),
        row_offset_px=offset,
        row_distance_px=float(np.median(np.abs(rows))),
        row_distance_p90_px=float(np.percentile(np.abs(rows), 90)),
        to_the_right=_share_to_the_right(matches) if enough else _NAN,
        labels=compare_with_matches(sample, matches, comparable, config.min_matches),
        warp=warp_curves(pair),
        different_share=different_share(pair),
        points=compare_with_points(sample, scene, config.min_matches) if scene else None,
        left=_look(sample.left),
        right=_look(sample.right),
        photo_edge_width_px2=_NAN if photo is None else _photo_edge_width(photo, sample),
        coverage=float(labelled.sum() / max(1, shown.sum())),
        doubtful=float((sample.confidence[labelled] < 255 * config.min_confidence).mean()) if labelled.any() else _NAN,
        disparity_px=median_of(sample.disparity),
        small=_small_view(sample),
    )


def _share_to_the_right(matches: PairMatches) -> float:
    """Among matches that moved by more than half a pixel; 0 if none did."""
    moved = matches.disparity_px[np.abs(matches.disparity_px) > _CLEARLY_MOVED_PX]
    return float((moved < 0).mean()) if len(moved) else 0.0


def _look(image: UInt8[np.ndarray, "h w 3"]) -> EyeLook:
    return EyeLook(edge_width_px2=edge_width_px2(image), contrast=contrast(image))


def _photo_edge_width(photo: UInt8[np.ndarray, "_ _ 3"], sample: ShardSample) -> float:
    """At the scale of the sample. A photo that would have to be enlarged says nothing about fine edges."""
    height, width = sample.left.shape[:2]
    scale = max(width / photo.shape[1], height / photo.shape[0])
    if scale > _LARGEST_PHOTO_SCALE:
        return _NAN
    return edge_width_px2(resize_to(photo, round(photo.shape[1] * scale), round(photo.shape[0] * scale)))


def _small_view(sample: ShardSample) -> SmallView:
    import cv2

    height, width = sample.left.shape[:2]
    stride = max(1, round(max(width, height) / MAP_EDGE_PX))
    part = (slice(stride // 2, None, stride), slice(stride // 2, None, stride))
    gray = cv2.cvtColor(sample.left, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return SmallView(
        view_id=sample.view_id,
        camera=sample.rig.left,
        baseline=sample.baseline,
        depth=sample.scene_depth[part].astype(np.float32),
        stride=stride,
        thumbnail=np.asarray(cv2.resize(gray, THUMBNAIL, interpolation=cv2.INTER_AREA)),
    )
