"""The checks of a dataset that look at the images and at what is there: rows, eyes, sharpness, coverage, range."""

import numpy as np

from gs_stereo.imaging.sharpness import extra_blur_px
from gs_stereo.quality.check import Check, Grade, Wording, graded, judged, median_of, percent, worse
from gs_stereo.quality.config import QualityConfig
from gs_stereo.quality.dataset import DatasetMeasures

_PEERS_RANGE = "5 to 15 % of the width is usual"


def check_eyes(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Left and right swapped: matches lie further right in the right image."""
    measured = [np.isfinite(sample.to_the_right) or sample.warp is not None for sample in data.samples]
    share = float(data.swapped[measured].mean()) if any(measured) else float("nan")
    wording = Wording(
        good="Left and right are in their places: points move to the left from the left to the right image.",
        bad=f"In {percent(share)} of the samples the left and right images look swapped (points lie further right in "
        "the right image, so that negative disparities match; at most "
        f"{percent(config.swapped_samples[1])} is tolerable); exchange the two images or render the pairs again.",
        unmeasured="Whether left and right are swapped could not be measured: too few feature matches.",
    )
    subject = ("swapped_eyes", "Left and right", "share of samples")
    return judged(subject, share, config.swapped_samples, wording, data.ids(data.swapped))


def check_rows(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Row alignment of feature matches."""
    offsets = np.array([sample.row_offset_px for sample in data.samples])
    # Blur makes single matches inexact; their median stays good.
    distances = np.where(data.blurred, np.abs(offsets), [sample.row_distance_px for sample in data.samples])
    by_pixels = np.array([np.isnan(sample.to_the_right) for sample in data.samples])
    distances[by_pixels & data.swapped] = np.nan  # at the wrong disparity the pixels say nothing about rows
    typical, off = median_of(distances), distances > config.row_offset_px[0]
    share = float(off[np.isfinite(distances)].mean()) if np.isfinite(distances).any() else float("nan")
    high = median_of(np.array([sample.row_distance_p90_px for sample in data.samples]))
    shift = median_of(offsets[off]) if off.any() else 0.0
    measured = (
        f"matching points lie {typical:.2f} px apart vertically (median; 90th percentile {high:.2f} px), "
        f"and {percent(share)} of the samples are off by more than {config.row_offset_px[0]:g} px"
    )
    wording = Wording(
        good=f"The rows of left and right are aligned: {measured}.",
        bad=f"The rows of left and right are not aligned: {measured} (fail above {config.row_offset_px[1]:g} px); the "
        f"right images of those samples lie {abs(shift):.1f} px too {'low' if shift > 0 else 'high'}: rectify or "
        "render again.",
        unmeasured="Row alignment could not be measured: too few feature matches between left and right.",
    )
    grade = worse(graded(typical, config.row_offset_px), graded(share, config.row_offset_samples))
    subject = ("row_alignment", "Row alignment", "px")
    return judged(subject, typical, config.row_offset_px, wording, data.ids(off), grade)


def check_blur(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Share of blurred views; and whether all of them are, which needs no reference."""
    widths = np.array([np.fmax(sample.left.edge_width_px2, sample.right.edge_width_px2) for sample in data.samples])
    measured = np.isfinite(widths)
    share = float(data.blurred[measured].mean()) if measured.any() else float("nan")
    by_share = graded(share, config.blurred_samples)
    has_photos = bool(np.isfinite(data.softer_px2).any())
    throughout = config.softer_than_photos_px if has_photos else config.edge_width_px
    typical = extra_blur_px(median_of(data.softer_px2 if has_photos else widths), 0.0)
    extra = extra_blur_px(median_of(widths[data.blurred]), data.reference_edge_px2)
    some = (
        f"{percent(share)} of the samples are blurred, as if by a Gaussian of {extra:.1f} px (sigma) beside the "
        f"sharpest quarter of the images (fail above {percent(config.blurred_samples[1])}); {data.longer}leave those "
        "views out."
    )
    all_of_them = (
        f"The images are blurred throughout, as if by a Gaussian of {typical:.1f} px (sigma) beside "
        f"{'their photos' if has_photos else 'a sharp image'} (fail above {throughout[1]:g} px); {data.longer}use "
        "sharper photos, or render smaller images."
    )
    wording = Wording(
        good=f"The views are sharp; {percent(share)} of the samples look blurred beside the others or their photos.",
        bad=some if by_share in ("look closer", "fail") else all_of_them,
        unmeasured="Sharpness could not be measured: the images have hardly any edges.",
    )
    subject = ("blurred_views", "Sharpness", "share of samples")
    grade = worse(by_share, graded(typical, throughout))
    return judged(subject, share, config.blurred_samples, wording, data.ids(data.blurred), grade)


def check_blank(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Share of views without content."""
    share, limits = float(data.blank.mean()), config.blank_samples
    contrast = f"brightness varies by less than {config.blank_contrast:g} of 255 levels"
    what = f"{percent(share)} of the samples have a blank image ({contrast})"
    wording = Wording(good=f"{what}.", bad=f"{what}; fail above {percent(limits[1])}; leave those views out.")
    return judged(("blank_views", "Blank views", "share of samples"), share, limits, wording, data.ids(data.blank))


def check_duplicates(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Share of samples that repeat an earlier one."""
    share, limits = float(data.repeated.mean()), config.duplicate_samples
    what = f"{percent(share)} of the samples repeat an earlier one (same pose and baseline, or the same picture)"
    fix = f"{what}; fail above {percent(limits[1])}; they add nothing: leave them out."
    subject = ("duplicate_views", "Duplicates", "share of samples")
    return judged(subject, share, limits, Wording(good=f"{what}.", bad=fix), data.ids(data.repeated))


def check_coverage(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Share of pixels with a label."""
    coverage, limits = np.array([sample.coverage for sample in data.samples]), config.unlabelled
    unlabelled = float(1 - coverage.mean())
    what = f"{percent(1 - unlabelled)} of the pixels have a label"
    fix = (
        f"Only {what} (fail below {percent(1 - limits[1])}); look at the flags for the cause, "
        f"then {data.longer}choose a smaller baseline or another label source."
    )
    subject = ("coverage", "Coverage", "share of pixels without a label")
    return judged(subject, unlabelled, limits, Wording(good=f"{what}.", bad=fix), data.ids(1 - coverage > limits[1]))


def check_confidence(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Share of labels that are hardly trusted."""
    doubtful, limits = np.array([sample.doubtful for sample in data.samples]), config.doubtful
    share = float(np.nanmean(doubtful)) if np.isfinite(doubtful).any() else float("nan")
    what = f"{percent(share)} of the labels have a confidence under {config.min_confidence:g}"
    fix = (
        f"{what} (fail above {percent(limits[1])}): nothing bears them out; {data.longer}take more photos of the blank "
        "or hidden parts, or use the label source fused, which leaves such pixels out."
    )
    subject = ("confidence", "Confidence", "share of labels")
    wording = Wording(good=f"{what}.", bad=fix, unmeasured="There is no label to take the confidence of.")
    return judged(subject, share, limits, wording, data.ids(doubtful > limits[1]))


def check_range(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Median disparity against the width. Never a failure: it may be meant."""
    typical = median_of(np.array([sample.disparity_px for sample in data.samples]))
    share, (least, most) = typical / data.width, config.disparity_share
    what = f"The median disparity is {typical:.1f} px, {percent(share)} of the width ({_PEERS_RANGE})"
    wording = Wording(
        good=f"{what}.",
        bad=f"{what}; choose another baseline or --target-disparity, unless this is what you want.",
        unmeasured="There is no label to take the disparity range from.",
    )
    grade: Grade = "not measured" if np.isnan(share) else "pass" if least <= share <= most else "look closer"
    return judged(("disparity_range", "Disparity range", "share of the width"), share, None, wording, grade=grade)


def check_files(data: DatasetMeasures, config: QualityConfig) -> Check:
    """Shards that are not those of the index."""
    count = len(data.damaged_shards)
    names = ", ".join(data.damaged_shards[:3])
    wording = Wording(
        good="Every shard is the file that dataset.json describes.",
        bad=f"Not every shard is the file that dataset.json describes: {count} have another sha256 ({names}), so "
        "they were changed or damaged after they were written; label again.",
    )
    return judged(
        ("shard_files", "Files", "shards"), float(count), None, wording, grade="look closer" if count else "pass"
    )
