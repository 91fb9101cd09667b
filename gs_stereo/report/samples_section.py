"""The pairs themselves: worst and best in full, and a contact sheet."""

import math

from gs_stereo.core.markup import Markup, el
from gs_stereo.imaging.charts import tick_text
from gs_stereo.report.facts import ReportFacts, ShownSample, Thumbnail
from gs_stereo.report.markup import figure, section
from gs_stereo.report.pictures import css_gradient

_TICKS = 5
_EYE_TABS = ("flicker", "left", "right")
"""They share one pane: both images one upon the other."""

_FIRST_TAB = "disparity"


def samples_section(facts: ReportFacts) -> Markup:
    """Worst and best samples by consistency, each with a flicker, an anaglyph and its maps."""
    intro = (
        "Worst and best by consistency: how far the label explains the right image and agrees with the labels of "
        "neighbouring views. Flicker alternates left and right: everything should move sideways only, near things most."
    )
    if facts.generated:
        intro = f"{facts.generated} {intro}"
        if any(sample.truth for sample in facts.pictures.shown):
            intro += " Truth alternates the generated eye and what the fitted scene shows from there."
    if any(sample.stack for sample in facts.pictures.shown):
        intro += " Stack shows its views from left to right above their depth, near is bright."
    viewers = [viewer(sample, number, facts.depth_unit) for number, sample in enumerate(facts.pictures.shown)]
    return section("Look at pairs", "pairs", el("p", intro, class_="quiet"), el("div", viewers, class_="viewers"))


def sheet_section(facts: ReportFacts) -> Markup:
    """Left image and disparity of many pairs, in the same colours."""
    shown, total = len(facts.pictures.thumbnails), facts.index.sample_count
    count = f"All {total} samples" if shown == total else f"{shown} of {total} samples, evenly spread"
    low, high = facts.pictures.disparity_range_px
    intro = f"{count}. The colours mean the same disparity in all of them; gray stripes have no label."
    return section(
        "Contact sheet",
        "sheet",
        el("p", intro, class_="quiet"),
        el("div", _scale([(_spread(low, high), "px")]), style="max-width:420px"),
        el("div", (_thumbnail(item) for item in facts.pictures.thumbnails), class_="sheet"),
    )


def _thumbnail(item: Thumbnail) -> Markup:
    pictures = [
        el("img", src=item.left, alt=f"left image of {item.sample_id}", loading="lazy"),
        el("img", src=item.disparity, alt=f"disparity of {item.sample_id}", loading="lazy"),
    ]
    known = math.isfinite(item.median_disparity_px)
    median = f"{item.median_disparity_px:.1f} px" if known else "no label"
    caption = [el("span", item.sample_id, title=item.sample_id), el("span", median)]
    return figure(el("div", pictures, class_="two"), caption)


def viewer(sample: ShownSample, number: int, unit: str) -> Markup:
    """One pair with a tab for each way to look at it; `number` tells viewers of a page apart."""
    width, height = sample.size
    size = {"width": width, "height": height}

    def picture(source: str, name: str) -> Markup:
        return el("img", src=source, alt=f"{name} of {sample.sample_id}", **size)

    low, high = sample.disparity_range_px
    ticks, product = _spread(low, high), sample.depth_range[1] * max(high, 1e-6)
    depths = [product / max(tick, 1e-6) for tick in ticks]  # depth = f b / disparity
    disparity_bar = _scale([(ticks, "px"), (depths, unit)])
    left, right = picture(sample.left, "left image"), picture(sample.right, "right image")
    panes = {
        _EYE_TABS[0]: el("div", left, right, class_="flick"),
        "disparity": el("div", picture(sample.disparity, "disparity"), disparity_bar),
    }
    if sample.confidence:
        panes["confidence"] = el("div", picture(sample.confidence, "confidence"), _scale([(_spread(0.0, 1.0), "")]))
    panes["anaglyph"] = picture(sample.anaglyph, "red-cyan anaglyph")
    if sample.made and sample.truth:
        both = picture(sample.made, "generated eye"), picture(sample.truth, "rendered truth")
        panes["truth"] = el("div", both, class_="flick")
    if sample.stack:
        panes["stack"] = el("img", src=sample.stack, alt=f"views and depth of the stack {sample.sample_id}")
    tabs = [*_EYE_TABS, *list(panes)[1:]]
    name = f"viewer{number}"
    inputs = [
        el("input", type="radio", name=name, id=f"{name}-{tab}", class_=tab, checked=tab == _FIRST_TAB, aria_label=tab)
        for tab in tabs
    ]
    labels = [el("label", tab, for_=f"{name}-{tab}") for tab in tabs]
    notes = [el("div", el("dt", label), el("dd", value)) for label, value in sample.notes]
    return el(
        "figure",
        el(
            "div",
            el("b", sample.sample_id),
            el("span", sample.rank, class_="pill none") if sample.rank else None,
            class_="head",
        ),
        inputs,
        el("div", labels, class_="tabs"),
        el("div", (el("div", pane, class_=f"pane of-{tab}") for tab, pane in panes.items()), class_="panes"),
        el("dl", notes, class_="notes"),
        class_="viewer",
    )


def _spread(low: float, high: float) -> list[float]:
    return [low + (high - low) * step / (_TICKS - 1) for step in range(_TICKS)]


def _scale(rows: list[tuple[list[float], str]]) -> Markup:
    """A colour bar with one row of numbers a unit."""
    ramp = el("div", class_="ramp", style=f"background:{css_gradient()}")
    ticks = [
        el(
            "div",
            (el("span", _number(value)) for value in values[:-1]),
            el("span", _number(values[-1]), " ", unit),
            class_="ticks",
        )
        for values, unit in rows
    ]
    return el("div", ramp, ticks, class_="scale")


def _number(value: float) -> str:
    return tick_text(float(f"{value:.3g}")) if value < 1e5 else "far"
