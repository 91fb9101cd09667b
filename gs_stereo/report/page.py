"""The whole page: one HTML file that needs nothing else, no network and no script to be read."""

from collections.abc import Sequence
from pathlib import Path

from gs_stereo import __version__
from gs_stereo.core.markup import Child, Markup, el
from gs_stereo.report.audit_section import audit_section
from gs_stereo.report.capture_section import advice_section, capture_section, fit_section
from gs_stereo.report.facts import ReportFacts
from gs_stereo.report.labels_section import labels_section
from gs_stereo.report.origin_section import cost_section, origin_section
from gs_stereo.report.samples_section import samples_section, sheet_section
from gs_stereo.report.verdict_section import checks_section, verdict_section

Part = tuple[str, str, Markup | None]
"""Name of the link, anchor, section."""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser itself refuses to load anything from elsewhere."""


def render_page(facts: ReportFacts) -> str:
    """The report as HTML."""
    parts = (
        ("Pairs", "pairs", samples_section(facts)),
        ("Checks", "checks", checks_section(facts)),
        ("Labels", "labels", labels_section(facts)),
        ("Audit", "audit", audit_section(facts)),
        ("Contact sheet", "sheet", sheet_section(facts)),
        ("Capture", "capture", capture_section(facts)),
        ("Next photos", "advice", advice_section(facts)),
        ("Splat", "splat", fit_section(facts)),
        ("Cost", "cost", cost_section(facts.stages)),
        ("Origin", "origin", origin_section(facts)),
    )
    source = facts.index.provenance
    lead = f"Rectified stereo pairs. Dataset {facts.dataset}, labelled by {source.name} {source.version}."
    others = ", ".join(facts.other_datasets)
    more = f" Other datasets of this scene: {others} (gsstereo report --dataset NAME)." if others else ""
    title = f"{facts.scene}: {facts.verdict.name}"
    return html_page(facts.scene, title, (lead, more), parts, verdict_section(facts))


def html_page(scene: str, title: str, lead: Sequence[str], parts: Sequence[Part], first: Child = None) -> str:
    """A page of parts with links to them; `first` stands above them."""
    rules = (
        "Disparity belongs to the left image, d = x_left - x_right, in pixels; depth = focal length x baseline / d. "
        "Gray stripes have no label."
    )
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", title),
        el("style", _file("style.css")),
    )
    links = [el("a", name, href=f"#{anchor}") for name, anchor, part in parts if part is not None]
    toggle = el("button", "Dark", id="theme", type="button", hidden=True)
    body = el(
        "body",
        el("header", el("div", el("strong", scene), el("nav", links), toggle), class_="top"),
        el(
            "main",
            el("h1", scene),
            el("p", lead, class_="lead"),
            first,
            (part for _, _, part in parts),
        ),
        el("footer", el("div", el("p", rules), el("p", f"Written by gs_stereo {__version__}."))),
        el("script", _file("script.js")),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


def _file(name: str) -> Markup:
    return Markup((Path(__file__).parent / name).read_text(encoding="utf-8"))
