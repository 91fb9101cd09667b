"""The checks that ask whether the labels are right: against matches, pixels, triangulated points and other views."""

from dataclasses import dataclass

import numpy as np

from gs_stereo.quality.check import Check, Grade, Wording, graded, judged, median_of, percent, worse
from gs_stereo.quality.config import QualityConfig
from gs_stereo.quality.dataset import DatasetMeasures

_SCALE = ("disparity_scale", "Label disparity", "factor - 1")
_VISIBLE_PX = 0.15
"""A wrong factor that moves the median label by less than this is lost in the noise of the matches."""


def check_disparity(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Label disparity against feature matches (or, without enough of them, against the warped images).

    One check with two names: whether a factor or a shift describes the difference decides which.
    """
    labels = [sample.labels for sample in data.samples]
    factor = np.array([item.factor for item in labels])
    shift = np.array([item.shift_px for item in labels])
    usable = np.isfinite(factor) & ~data.swapped
    if usable.sum() < max(1, len(labels) // 4):
        return _by_pixels(data, config)
    visible = np.abs(shift) > _VISIBLE_PX
    wrong_factor = visible & (np.abs(factor - 1) > config.disparity_factor[1])
    wrong = usable & (wrong_factor | (np.abs(shift) > config.disparity_shift_px[1]))
    share = float(wrong[usable].mean())
    group = wrong if 0 < share < 0.5 else usable
    is_factor = median_of(np.array([item.residual_after_factor_px for item in labels])[group]) <= median_of(
        np.array([item.residual_after_shift_px for item in labels])[group]
    )
    found = median_of(factor[group]), median_of(shift[group])
    typical = median_of(factor[usable]), median_of(shift[usable])
    grade = worse(_grade(*typical, config), graded(share, config.wrong_disparity_samples))
    judgement = _Judgement(grade=grade, is_factor=is_factor, share=share, factor=found[0], shift_px=found[1])
    return _disparity_check(data, config, judgement, data.ids(wrong))


def _grade(factor: float, shift_px: float, config: QualityConfig) -> Grade:
    by_factor = graded(abs(factor - 1) if abs(shift_px) > _VISIBLE_PX else 0.0, config.disparity_factor)
    return worse(by_factor, graded(abs(shift_px), config.disparity_shift_px))


@dataclass(frozen=True, kw_only=True)
class _Judgement:
    """share: of the samples that are wrong, whose disparity differs by a factor or else by a shift."""

    grade: Grade
    is_factor: bool
    share: float
    factor: float
    shift_px: float


def _disparity_check(data: DatasetMeasures, config: QualityConfig, found: _Judgement, ids: tuple[str, ...]) -> Check:
    grade, factor, shift, is_factor = found.grade, found.factor, found.shift_px, found.is_factor
    where = "" if found.share in (0.0, 1.0) else f" in {percent(found.share)} of the samples"
    limits = config.disparity_factor if is_factor else config.disparity_shift_px
    value = data.warp_factor if is_factor else data.warp_shift_px
    number = f"{value:.3f}" if is_factor else f"{value:+.2f} px"
    pixels = f" (pixel by pixel: {number})" if np.isfinite(value) else ""
    good = f"Label disparity agrees with feature matches: factor {factor:.3f}, shift {shift:+.2f} px{pixels}."
    wrong_factor = (
        f"The disparity scale of the labels is wrong{where}: they are {factor:.3f} times the disparity of feature "
        f"matches between left and right{pixels} (fail beyond 1 +- {limits[1]:g}); look for a resize, focal length "
        "or baseline that was not applied to the disparity, and label again."
    )
    shifted = (
        f"The labels are shifted{where}: their disparity differs by {shift:+.2f} px from that of feature matches "
        f"between left and right{pixels} (fail beyond +-{limits[1]:g} px); look for an offset of the principal "
        "points (doffs) or of pixel centres, and label again."
    )
    if is_factor or grade == "pass":
        wording = Wording(good=good, bad=wrong_factor)
        return judged(_SCALE, factor - 1, config.disparity_factor, wording, ids, grade)
    return judged(
        ("disparity_shift", "Label disparity", "px"), shift, limits, Wording(good=good, bad=shifted), ids, grade
    )


def _by_pixels(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Only the warped images can tell."""
    factor, shift = data.warp_factor, data.warp_shift_px
    if not np.isfinite(factor) or not np.isfinite(shift) or (data.swapped.mean() > 0.5):
        why = "left and right are swapped" if data.swapped.mean() > 0.5 else "too few feature matches and texture"
        wording = Wording(good="", bad="", unmeasured=f"Label disparity could not be compared with the images: {why}.")
        return judged(_SCALE, float("nan"), config.disparity_factor, wording)
    is_factor = bool(np.nanmin(data.factor_curve) <= np.nanmin(data.shift_curve))
    grade = _grade(factor, shift, config)
    judgement = _Judgement(grade=grade, is_factor=is_factor, share=1.0, factor=factor, shift_px=shift)
    return _disparity_check(data, config, judgement, ())


def check_points(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Label depth against triangulated points."""
    found = [sample.points for sample in data.samples if sample.points is not None]
    factor = median_of(np.array([item.factor for item in found]))
    spread = median_of(np.array([item.spread for item in found]))
    grade = worse(graded(abs(factor - 1), config.points_factor), graded(spread, config.points_spread))
    what = f"label depth is {factor:.3f} times that of the triangulated points (spread {percent(spread)})"
    if graded(abs(factor - 1), config.points_factor) != "pass":
        fix = (
            f"The label scale is wrong: {what}, fail beyond 1 +- {config.points_factor[1]:g}; "
            "look for a wrong disparity, baseline, focal length or pose, and label again."
        )
    else:
        fix = (
            f"The label depth is noisy: {what}, fail above a spread of {percent(config.points_spread[1])}; "
            f"{data.longer}use another label source."
        )
    wording = Wording(
        good=f"The label scale is right: {what}.",
        bad=fix,
        unmeasured="The label scale could not be compared with triangulated points: there are none in view.",
    )
    factors = np.array([sample.points.factor if sample.points else np.nan for sample in data.samples])
    beyond = data.ids(np.abs(factors - 1) > config.points_factor[1])
    subject = ("label_scale", "Scale against points", "factor - 1")
    return judged(subject, factor - 1, config.points_factor, wording, beyond, grade)


def check_warp(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Do the labels explain the right image?"""
    shares, limits = np.array([sample.different_share for sample in data.samples]), config.warp_error
    typical = median_of(shares)
    what = f"{percent(typical)} of the confident, visible pixels look different in the warped right image"
    wording = Wording(
        good=f"{what}.",
        bad=f"{what} (fail above {percent(limits[1])}); the labels do not explain the images: look at the worst "
        f"samples, then {data.longer}use another label source.",
        unmeasured="The warp error could not be measured: no label is confident.",
    )
    subject = ("warp_error", "Warp error", "share of pixels")
    return judged(subject, typical, limits, wording, data.ids(shares > limits[1]))


def check_views(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Do labels of neighbouring views agree?"""
    typical, limits = median_of(data.conflict), config.multi_view_conflict
    what = f"{percent(typical)} of the label points float before what a neighbouring view's label shows"
    wording = Wording(
        good=f"{what}.",
        bad=f"{what} (fail above {percent(limits[1])}); the geometry is not consistent: look at the "
        f"worst samples, then {data.longer}add photos.",
        unmeasured="No two views look at the same surfaces, so they could not be compared.",
    )
    subject = ("multi_view", "Agreement of views", "share of points")
    return judged(subject, typical, limits, wording, data.ids(data.conflict > limits[1]))
