"""Is a generated view where its camera says? Parallax by matching against the truth, rows, PSNR and SSIM.

The source is matched with the generated view and with the true one, by the same block matching. Only pixels count whose
match in the true view is within 1 px of the true disparity, so that the matcher's own failures are nobody's fault.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from gs_stereo.metrics.image import psnr, ssim
from gs_stereo.metrics.warp import ComparedPair, best_row_offset_px

Picture = UInt8[np.ndarray, "h w 3"]
_BLOCK_PX = 9
_RIGHT_PX = 1.0
_LEAST_PARALLAX_PX = 1.0
_MOVED_PX = 0.5
"""Half a pixel in the right direction is a right sign: a matcher of whole pixels would not have said 0."""
_LEAST_JUDGED = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class TrueView:
    """What a view should be. disparity: of the source, signed (x_source - x_target), px, NaN = unknown.

    judged: pixels that count, as above. reach_px: how far is searched, to both sides.
    """

    source: Picture
    target: Picture
    disparity: Float[np.ndarray, "h w"]
    judged: Bool[np.ndarray, "h w"]
    reach_px: int

    @classmethod
    def of(cls, source: Picture, target: Picture, disparity: Float[np.ndarray, "h w"]) -> TrueView:
        """Find out which pixels count. The search goes half again as far as the truth, and at least 4 px beyond it."""
        largest = float(np.abs(disparity[np.isfinite(disparity)]).max(initial=0.0))
        reach = math.ceil(max(1.5 * largest, largest + 4))
        judged = np.abs(matched_parallax(source, target, reach) - disparity) <= _RIGHT_PX
        return cls(source=source, target=target, disparity=disparity, judged=judged, reach_px=reach)


@dataclass(frozen=True, kw_only=True)
class GeometryScores:
    """One generated view. NaN where nothing can be said, shares between 0 and 1.

    judged: share of pixels with truth that count. Medians are over them. sign_right: of those that should move by at
    least 1 px, the share that moves by half a pixel or more in the right direction. relief: slope of made against true
    disparity within the view, both less their median: 1 = near and far are told apart as they should be, 0 = everything
    moves alike. rows_px: how much lower the generated view lies.
    """

    judged: float
    true_median_px: float
    made_median_px: float
    sign_right: float
    within_1px: float
    relief: float
    rows_px: float
    psnr: float
    ssim: float


def judge(truth: TrueView, generated: Picture) -> GeometryScores:
    """Compare a generated view with the truth."""
    quality = psnr(_unit(generated), _unit(truth.target)), ssim(_unit(generated), _unit(truth.target))
    count = int(truth.judged.sum())
    share = count / max(1, int(np.isfinite(truth.disparity).sum()))
    if count < _LEAST_JUDGED:
        unknown = dict.fromkeys(GeometryScores.__dataclass_fields__, math.nan)
        return GeometryScores(**{**unknown, "judged": share, "psnr": quality[0], "ssim": quality[1]})
    made = matched_parallax(truth.source, generated, truth.reach_px)
    wanted, found = truth.disparity[truth.judged], made[truth.judged]
    moves = np.abs(wanted) >= _LEAST_PARALLAX_PX
    right = (found * np.sign(wanted) >= _MOVED_PX)[moves]
    compared = ComparedPair(left=truth.source, right=generated, disparity=made, comparable=truth.judged)
    return GeometryScores(
        judged=share,
        true_median_px=float(np.median(wanted)),
        made_median_px=float(np.median(found)),
        sign_right=float(right.mean()) if right.size else math.nan,
        within_1px=float((np.abs(found - wanted) <= _RIGHT_PX).mean()),
        relief=slope(wanted - np.median(wanted), found - np.median(found)),
        rows_px=best_row_offset_px(compared),
        psnr=quality[0],
        ssim=quality[1],
    )


def matched_parallax(source: Picture, other: Picture, reach_px: int) -> Float[np.ndarray, "h w"]:
    """x_source - x_other by the smallest sum of absolute differences in blocks, within +-reach_px, to a fraction.

    Every pixel gets an answer, in px; what lies outside the other picture is no candidate.
    """
    height, width = source.shape[:2]
    best = np.full((height, width), np.inf, np.float32)
    before, after, last = best.copy(), best.copy(), best.copy()
    chosen = np.zeros((height, width), np.int64)
    won = np.zeros((height, width), bool)
    for candidate in range(-reach_px, reach_px + 1):
        first, end = max(0, candidate), min(width, width + candidate)
        cost = np.full((height, width), np.inf, np.float32)
        if first < end:
            difference = cv2.absdiff(source[:, first:end], other[:, first - candidate : end - candidate])
            blocks = cv2.boxFilter(difference, cv2.CV_32F, (_BLOCK_PX, _BLOCK_PX))
            cost[:, first:end] = blocks[..., 0] + blocks[..., 1] + blocks[..., 2]
        after = np.where(won, cost, after)
        won = cost < best
        before, best, chosen = np.where(won, last, before), np.where(won, cost, best), np.where(won, candidate, chosen)
        after = np.where(won, np.inf, after)
        last = cost
    known = np.isfinite(before) & np.isfinite(after)
    low, high = np.where(known, before, 1.0), np.where(known, after, 1.0)
    bend = low + high - 2 * np.where(known, best, 0.0)
    part = np.where(known & (bend > 0), 0.5 * (low - high) / np.where(bend > 0, bend, 1.0), 0.0)
    return np.asarray(chosen + part, np.float64)


def slope(true_px: Float[np.ndarray, "n"], made_px: Float[np.ndarray, "n"]) -> float:
    """Of made against true disparity, a line through the origin by least squares; NaN without parallax."""
    known = np.isfinite(true_px) & np.isfinite(made_px)
    power = float(np.square(true_px[known]).sum())
    return float((true_px[known] * made_px[known]).sum()) / power if power > 0 else math.nan


def _unit(picture: Picture) -> Float[np.ndarray, "h w 3"]:
    return picture.astype(np.float64) / 255
