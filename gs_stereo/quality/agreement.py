"""Does the label's disparity agree with the disparity of feature matches? By what factor or shift is it off?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.datasets.schema import ShardSample
from gs_stereo.quality.features import PairMatches

_OFF_ROW_PX = 1.5
_SMOOTH_PX = 1.0
_SMOOTH_SHARE = 0.05
_LEAST_DISPARITY_PX = 0.5


@dataclass(frozen=True, kw_only=True)
class MatchAgreement:
    """A label against the matches of its pair.

    count: matches on smooth, confident, visible label pixels. factor: label disparity over matched disparity.
    shift_px: label disparity minus matched disparity. The residuals are median distances in pixels that remain after
    the factor or the shift is taken away: the smaller one tells what is wrong. NaN without enough matches.
    """

    count: int
    factor: float = float("nan")
    shift_px: float = float("nan")
    residual_after_factor_px: float = float("nan")
    residual_after_shift_px: float = float("nan")


def trusted(sample: ShardSample, min_confidence: float) -> Bool[np.ndarray, "h w"]:
    """Label pixels that can be compared with the images: confident, and seen by both eyes.

    Where less than a tenth of the labels are that confident, the more confident half is taken instead: a low
    confidence must not hide a wrong label.
    """
    labelled = np.isfinite(sample.disparity) & sample.non_occluded
    confident = labelled & (sample.confidence >= 255 * min_confidence)
    if labelled.any() and confident.sum() < 0.1 * labelled.sum():
        confident = labelled & (sample.confidence >= np.median(sample.confidence[labelled]))
    return confident


def compare_with_matches(
    sample: ShardSample, matches: PairMatches, comparable: Bool[np.ndarray, "h w"], min_matches: int
) -> MatchAgreement:
    """Compare the label with the matches, at matches near the common row offset.

    The factor is the weighted median of the ratios, weighted by the disparity: the least-absolute-deviation line
    through the origin. So a few wrong matches and far points do not matter.
    """
    good = np.abs(matches.row_offset_px - np.median(matches.row_offset_px)) < _OFF_ROW_PX if len(matches) else []
    seen = matches.disparity_px[good]
    label = _label_at(sample.disparity, comparable, matches.left_xy[good])
    usable = np.isfinite(label) & (label > _LEAST_DISPARITY_PX) & (seen > _LEAST_DISPARITY_PX)
    label, seen = label[usable], seen[usable]
    if len(label) < min_matches:
        return MatchAgreement(count=len(label))
    seen_over_label = _weighted_median(seen / label, label)
    shift = float(np.median(label - seen))
    return MatchAgreement(
        count=len(label),
        factor=1 / seen_over_label,
        shift_px=shift,
        residual_after_factor_px=_median_size(label * seen_over_label - seen),
        residual_after_shift_px=_median_size(label - shift - seen),
    )


def _label_at(
    disparity: Float[np.ndarray, "h w"], comparable: Bool[np.ndarray, "h w"], image_xy: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n"]:
    """The label at image points, bilinear over 2 x 2 pixels; NaN near depth edges, where a point belongs to neither."""
    height, width = disparity.shape
    values = np.where(comparable, disparity, np.nan).astype(np.float64)
    if min(height, width) < 2:
        return np.full(len(image_xy), np.nan)
    x = np.clip(image_xy[:, 0] - 0.5, 0, width - 1)
    y = np.clip(image_xy[:, 1] - 0.5, 0, height - 1)
    column = np.minimum(x.astype(np.int64), width - 2)
    row = np.minimum(y.astype(np.int64), height - 2)
    corners = np.stack([values[row + i, column + j] for i in (0, 1) for j in (0, 1)])
    u, v = x - column, y - row
    mean = np.sum(corners * np.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v]), axis=0)
    smooth = np.ptp(corners, axis=0) <= np.maximum(_SMOOTH_PX, _SMOOTH_SHARE * mean)
    return np.where(smooth, mean, np.nan)


def _weighted_median(values: Float[np.ndarray, "n"], weights: Float[np.ndarray, "n"]) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _median_size(values: Float[np.ndarray, "n"]) -> float:
    return float(np.median(np.abs(values)))
