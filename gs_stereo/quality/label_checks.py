"""The checks that ask whether the labels are right: against matches, pixels, triangulated points and other views."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.quality.check import Check, Grade, first, graded, median_of, percent, worded, worse
from gs_stereo.quality.config import QualityConfig
from gs_stereo.quality.dataset import DatasetMeasures

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
    ids = first(sample.sample_id for sample, bad in zip(data.samples, wrong, strict=True) if bad)
    return _disparity_check(data, config, (grade, is_factor, share), found, ids)


def _grade(factor: float, shift_px: float, config: QualityConfig) -> Grade:
    by_factor = graded(abs(factor - 1) if abs(shift_px) > _VISIBLE_PX else 0.0, config.disparity_factor)
    return worse(by_factor, graded(abs(shift_px), config.disparity_shift_px))


def _disparity_check(
    data: DatasetMeasures,
    config: QualityConfig,
    judged: tuple[Grade, bool, float],
    found: tuple[float, float],
    ids: tuple[str, ...],
) -> Check:
    """judged: grade, whether a factor explains it, share of wrong samples. found: factor and shift."""
    (grade, is_factor, share), (factor, shift) = judged, found
    where = "" if share in (0.0, 1.0) else f" in {percent(share)} of the samples"
    limits = config.disparity_factor if is_factor else config.disparity_shift_px
    pixels = _pixels_say(data, is_factor)
    if grade == "pass":
        sentence = f"Label disparity agrees with feature matches: factor {factor:.3f}, shift {shift:+.2f} px{pixels}."
    elif is_factor:
        sentence = (
            f"The disparity scale of the labels is wrong{where}: they are {factor:.3f} times the disparity of feature "
            f"matches between left and right{pixels} (fail beyond 1 +- {limits[1]:g}); look for a resize, focal length "
            "or baseline that was not applied to the disparity, and label again."
        )
    else:
        sentence = (
            f"The labels are shifted{where}: their disparity differs by {shift:+.2f} px from that of feature matches "
            f"between left and right{pixels} (fail beyond +-{limits[1]:g} px); look for an offset of the principal "
            "points (doffs) or of pixel centres, and label again."
        )
    return Check(
        name="disparity_scale" if is_factor or grade == "pass" else "disparity_shift",
        title="Label disparity",
        grade=grade,
        value=factor - 1 if is_factor or grade == "pass" else shift,
        unit="factor - 1" if is_factor or grade == "pass" else "px",
        limits=config.disparity_factor if grade == "pass" else limits,
        sentence=sentence,
        samples=ids,
    )


def _pixels_say(data: DatasetMeasures, is_factor: bool) -> str:
    value = data.warp_factor if is_factor else data.warp_shift_px
    if not np.isfinite(value):
        return ""
    return f" (pixel by pixel: {value:.3f})" if is_factor else f" (pixel by pixel: {value:+.2f} px)"


def _by_pixels(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Only the warped images can tell."""
    factor, shift = data.warp_factor, data.warp_shift_px
    if not np.isfinite(factor) or not np.isfinite(shift) or (data.swapped.mean() > 0.5):
        why = "left and right are swapped" if data.swapped.mean() > 0.5 else "too few feature matches and texture"
        return Check(
            name="disparity_scale",
            title="Label disparity",
            grade="not measured",
            value=float("nan"),
            unit="factor - 1",
            limits=config.disparity_factor,
            sentence=f"Label disparity could not be compared with the images: {why}.",
        )
    is_factor = bool(np.nanmin(data.factor_curve) <= np.nanmin(data.shift_curve))
    grade = _grade(factor, shift, config)
    return _disparity_check(data, config, (grade, is_factor, 1.0), (factor, shift), ())


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
            "fit longer, or use another label source."
        )
    unmeasured = "The label scale could not be compared with triangulated points: there are none in view."
    beyond = [
        sample.sample_id
        for sample in data.samples
        if sample.points and abs(sample.points.factor - 1) > config.points_factor[1]
    ]
    return Check(
        name="label_scale",
        title="Scale against points",
        grade=grade,
        value=factor - 1,
        unit="factor - 1",
        limits=config.points_factor,
        sentence=worded(grade, good=f"The label scale is right: {what}.", bad=fix, unmeasured=unmeasured),
        samples=first(beyond),
    )


def check_warp(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Do the labels explain the right image?"""
    shares = np.array([sample.different_share for sample in data.samples])
    typical = median_of(shares)
    grade = graded(typical, config.warp_error)
    what = f"{percent(typical)} of the confident, visible pixels look different in the warped right image"
    fix = (
        f"{what} (fail above {percent(config.warp_error[1])}); the labels do not explain the images: look at the worst "
        "samples, then fit longer or use another label source."
    )
    return Check(
        name="warp_error",
        title="Warp error",
        grade=grade,
        value=typical,
        unit="share of pixels",
        limits=config.warp_error,
        sentence=worded(
            grade, good=f"{what}.", bad=fix, unmeasured="The warp error could not be measured: no label is confident."
        ),
        samples=_above(data, shares, config.warp_error[1]),
    )


def check_views(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Do labels of neighbouring views agree?"""
    typical = median_of(data.conflict)
    grade = graded(typical, config.multi_view_conflict)
    what = f"{percent(typical)} of the label points float before what a neighbouring view's label shows"
    fix = (
        f"{what} (fail above {percent(config.multi_view_conflict[1])}); the geometry is not consistent: look at the "
        "worst samples, then fit longer or add photos."
    )
    return Check(
        name="multi_view",
        title="Agreement of views",
        grade=grade,
        value=typical,
        unit="share of points",
        limits=config.multi_view_conflict,
        sentence=worded(
            grade,
            good=f"{what}.",
            bad=fix,
            unmeasured="No two views look at the same surfaces, so they could not be compared.",
        ),
        samples=_above(data, data.conflict, config.multi_view_conflict[1]),
    )


def _above(data: DatasetMeasures, values: Float[np.ndarray, "n"], limit: float) -> tuple[str, ...]:
    chosen: Bool[np.ndarray, "n"] = values > limit
    return first(sample.sample_id for sample, wanted in zip(data.samples, chosen, strict=True) if wanted)
