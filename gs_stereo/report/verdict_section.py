"""The top of the page: the verdict with its reasons, the main figures, and every check."""

import math

from gs_stereo.core.markup import Markup, el
from gs_stereo.quality.check import Check, Grade
from gs_stereo.quality.verdict import Verdict
from gs_stereo.report.facts import ReportFacts
from gs_stereo.report.markup import pairs_list, section, table

_STYLE: dict[Grade, str] = {"pass": "pass", "look closer": "look", "fail": "fail", "not measured": "none"}
_SHAPES = {
    "pass": "M7 15.5l5.5 5.5L23 10",
    "look closer": "M15 8v9M15 21.5v.5",
    "fail": "M9.5 9.5l11 11M20.5 9.5l-11 11",
}
_TITLES = {"pass": "Pass", "look closer": "Look closer", "fail": "Fail"}
_LISTED_SAMPLES = 6


def verdict_section(facts: ReportFacts) -> Markup:
    """Verdict, reasons, key figures."""
    verdict = facts.verdict
    reasons = [
        el("li", el("b", f"{check.title}. "), check.sentence, _where(check, verdict)) for check in verdict.reasons
    ]
    passed = (
        f"All {len(verdict.checks)} checks passed, on {verdict.measured_samples} of {verdict.sample_count} samples."
    )
    banner = el(
        "div",
        el("div", _icon(verdict.name), _TITLES[verdict.name], class_="name"),
        el("ul", reasons) if reasons else el("p", passed),
        class_=f"verdict {_STYLE[verdict.name]}",
        role="status",
    )
    return el("section", banner, pairs_list(_figures(facts)), class_="first", id="verdict")


def checks_section(facts: ReportFacts) -> Markup:
    """Every check with its measure, whether it passed or not."""
    rows = []
    for check in facts.verdict.checks:
        cause = check.explained_by and f" (A consequence of: {check.explained_by.replace('_', ' ')}.)"
        pill = el("span", check.grade, class_=f"pill {_STYLE[check.grade]}")
        rows.append((check.title, pill, el("span", check.sentence, cause)))
    counts = f"{facts.verdict.measured_samples} of {facts.verdict.sample_count} samples"
    intro = f"Measured on the pictures and labels themselves, on {counts}. The limits are settings of "
    return section(
        "Checks",
        "checks",
        el("p", intro, el("code", "gsstereo report"), ".", class_="quiet"),
        table(("Check", "", "Finding"), rows, class_="checks cards"),
    )


def _icon(name: str) -> Markup:
    ring = el("circle", cx=15, cy=15, r=13.5, fill="none", stroke="currentColor", stroke_width=2)
    shape = el("path", d=_SHAPES[name], fill="none", stroke="currentColor", stroke_width=2.6, stroke_linecap="round")
    return el("svg", ring, shape, viewBox="0 0 30 30", aria_hidden="true")


def _where(check: Check, verdict: Verdict) -> Markup | None:
    """The samples concerned, unless it is all of them."""
    if not 0 < len(check.samples) < verdict.measured_samples:
        return None
    more = " and more" if len(check.samples) > _LISTED_SAMPLES else ""
    return el("span", f" Samples: {', '.join(check.samples[:_LISTED_SAMPLES])}{more}.", class_="quiet")


def _figures(facts: ReportFacts) -> list[tuple[str, Markup]]:
    card, index = facts.card, facts.index
    least, mean, most = card.disparity_px
    metres = index.metres_per_unit
    scale = _value("unknown", "scene units") if metres is None else _value(f"{metres:g} m", "per unit")
    entries = [
        ("Samples", _value(str(index.sample_count), f"of {card.view_count} views")),
        ("Image size", _value(f"{index.width} x {index.height}", "px")),
        ("Labelled pixels", _value(f"{100 * card.coverage:.1f} %", f"confidence {card.mean_confidence:.2f}")),
        ("Disparity", _value(f"{mean:.1f} px", f"{least:.1f} to {most:.1f}")),
        ("Label", _value(index.provenance.name, f"dataset {facts.dataset}")),
        ("Scale", scale),
    ]
    psnr = facts.fit.metrics.get("held_out_psnr_db") if facts.fit else None
    if facts.fit and isinstance(psnr, int | float) and math.isfinite(psnr):
        entries.append(("Held-out photos", _value(f"{psnr:.2f} dB", f"PSNR, {facts.fit.held_out_count} photos")))
    if facts.stages:
        seconds = sum(stage.manifest.seconds for stage in facts.stages)
        entries.append(("Time", _value(duration(seconds), "all stages")))
    return entries


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _value(main: str, small: str) -> Markup:
    return el("span", main, " ", el("small", small))
