"""The labels in numbers: disparity, flags, coverage, confidence, and how well they explain the images."""

import math

import numpy as np

from gs_stereo.benchmarks.label_report import Evaluation
from gs_stereo.core.markup import Markup, el
from gs_stereo.imaging.charts import Axes, Band, Series, bar_chart, line_chart
from gs_stereo.metrics.warp import FACTORS, SHIFTS_PX
from gs_stereo.report.facts import ReportFacts
from gs_stereo.report.gather import CONFIDENCE_BINS
from gs_stereo.report.markup import figure, section, share_bars, table

_PEERS_SHARE = (0.05, 0.15)
_HISTOGRAM_BARS = 40


def labels_section(facts: ReportFacts) -> Markup:
    """Charts of the whole dataset."""
    charts = [
        _disparity(facts),
        _flags(facts),
        _confidence(facts),
        *_calibration(facts),
        *_warp(facts),
        *_coverage(facts),
    ]
    return section("Labels", "labels", el("div", charts, class_="grid"), _evaluation(facts.evaluation))


def _chart(title: str, chart: Markup, caption: str) -> Markup:
    return figure([el("h3", title), chart], caption)


def _disparity(facts: ReportFacts) -> Markup:
    counts = np.array(facts.card.histogram, dtype=np.float64)
    total = counts.sum()
    step = max(1, int(np.ceil(len(counts) / _HISTOGRAM_BARS)))
    padded = np.pad(counts, (0, -len(counts) % step)).reshape(-1, step).sum(axis=1)
    edges = np.arange(len(padded) + 1, dtype=np.float64) * step
    low, high = (share * facts.index.width for share in _PEERS_SHARE)
    chart = bar_chart(
        edges,
        100 * padded / max(total, 1),
        Axes(x_label="disparity, px", y_label="% of labelled pixels"),
        title="Histogram of the disparity",
        band=Band(low=low, high=high, label="usual"),
    )
    inside = counts[(np.arange(len(counts)) >= low) & (np.arange(len(counts)) < high)].sum() / max(total, 1)
    caption = (
        f"{100 * inside:.0f} % of the labels lie in the range that is usual, 5 to 15 % of the width "
        f"({low:.0f} to {high:.0f} px)."
    )
    return _chart("Disparity", chart, caption)


def _flags(facts: ReportFacts) -> Markup:
    entries = [("labelled", facts.card.coverage)]
    entries += [(flag.words, share) for flag, share in facts.card.flag_shares]
    return _chart(
        "Coverage and flags",
        share_bars(entries, title="Shares of pixels"),
        "Shares of all pixels; a pixel can carry several flags.",
    )


def _confidence(facts: ReportFacts) -> Markup:
    counts = facts.pictures.confidence_counts.astype(np.float64)
    chart = bar_chart(
        np.linspace(0, 1, CONFIDENCE_BINS + 1),
        100 * counts / max(counts.sum(), 1),
        Axes(x_label="confidence", y_label="% of labelled pixels"),
        title="Histogram of the confidence",
    )
    return _chart("Confidence", chart, "Stated probability that the label is off by less than 1 px.")


def _calibration(facts: ReportFacts) -> list[Markup]:
    """Reliability against exact truth, where an evaluation has been made."""
    baselines = facts.evaluation.baselines if facts.evaluation else ()
    regions = [region for each in baselines for region in each.regions if region.region == "non_occluded"]
    if not regions:
        return []
    confidence, accuracy = np.array(regions[0].reliability.confidence), np.array(regions[0].reliability.accuracy)
    if confidence.shape != accuracy.shape or not (known := np.isfinite(confidence) & np.isfinite(accuracy)).any():
        return []
    ends = np.array([0.0, 1.0])
    chart = line_chart(
        [
            Series(name="ideal", x=ends, y=ends, style="guide"),
            Series(name="measured", x=confidence[known], y=accuracy[known], dots=True),
        ],
        Axes(x_label="stated confidence", y_label="share within 1 px of the truth", y_range=(0.0, 1.0)),
        title="Calibration of the confidence",
    )
    error = regions[0].ece_all_pixels
    mean = f" Expected calibration error {error:.3f}." if np.isfinite(error) else ""
    return [_chart("Calibration", chart, f"Against the exact truth, pixels that both eyes see.{mean}")]


def _warp(facts: ReportFacts) -> list[Markup]:
    curves = (
        (FACTORS, facts.measures.factor_curve, "disparity times", 1.0, "Is the scale right?"),
        (SHIFTS_PX, facts.measures.shift_curve, "disparity plus, px", 0.0, "Is there a shift?"),
    )
    charts = []
    for x, y, label, right, title in curves:
        if not np.isfinite(y).all():
            continue
        chart = line_chart(
            [Series(name="", x=x, y=y)],
            Axes(x_label=label, y_label="warp error, relative"),
            title=title,
            marks=[(right, "as labelled")],
        )
        caption = (
            "How unlike the left image the warped right one is, if the labels were changed. "
            "The lowest point should lie at the mark."
        )
        charts.append(_chart(title, chart, caption))
    return charts


def _coverage(facts: ReportFacts) -> list[Markup]:
    values = np.array([sample.coverage for sample in facts.measures.samples])
    if len(values) < 4:
        return []
    counts, edges = np.histogram(values, bins=20, range=(0, 1))
    chart = bar_chart(
        edges,
        counts.astype(np.float64),
        Axes(x_label="share of pixels labelled", y_label="samples"),
        title="Coverage of the samples",
    )
    return [_chart("Coverage by sample", chart, f"From {100 * values.min():.0f} to {100 * values.max():.0f} %.")]


def _evaluation(evaluation: Evaluation | None) -> Markup | None:
    """Accuracy against exact truth as a table."""
    rows = [
        (
            f"{_text(each.baseline_m, 3)} m, {region.region.replace('_', ' ')}",
            _text(region.epe_all_pixels, 3),
            *(_percent(region.bad_all_pixels.get(limit, math.nan)) for limit in ("0.5", "1", "2")),
            _percent(region.coverage),
        )
        for each in (evaluation.baselines if evaluation else ())
        for region in each.regions
        if region.pixels
    ]
    if not rows:
        return None
    header = ("Baseline, region", "EPE px", "bad-0.5", "bad-1", "bad-2", "coverage")
    return el("div", el("h3", "Against the exact truth"), table(header, rows, class_="numbers"))


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %" if math.isfinite(value) else "-"
