"""The vocabulary of the page: sections, figures, tables, lists and shares."""

import html
from collections.abc import Iterable, Sequence

from gs_stereo.core.markup import Child, Markup, el, join


def table(header: Iterable[Child], rows: Iterable[Iterable[Child]], *, class_: str = "") -> Markup:
    """A table that scrolls by itself on a narrow screen, and is read as cards there if its class says so."""
    names = [join([name]) for name in header]
    head = el("thead", el("tr", (el("th", name, scope="col") for name in names)))
    body = el(
        "tbody",
        (
            el("tr", (el("td", cell, data_label=_plain(name)) for name, cell in zip(names, row, strict=True)))
            for row in rows
        ),
    )
    return el("div", el("table", head, body, class_=class_ or None), class_="scroll")


def _plain(name: Markup) -> str:
    return html.unescape(str.__str__(name))


def pairs_list(entries: Iterable[tuple[Child, Child]]) -> Markup:
    """Names and values."""
    return el("dl", (el("div", el("dt", name), el("dd", value)) for name, value in entries), class_="facts")


def section(title: str, anchor: str, *children: Child) -> Markup:
    """A titled part of the page."""
    return el("section", el("h2", title), *children, id=anchor)


def figure(content: Child, caption: Child, *, class_: str = "") -> Markup:
    """A picture or chart with a caption below."""
    below = el("figcaption", caption) if caption is not None else None
    return el("figure", content, below, class_=class_ or None)


def share_bars(entries: Sequence[tuple[str, float]], *, title: str) -> Markup:
    """Named shares as horizontal bars; plain HTML, so that long names wrap."""
    rows = [
        el(
            "div",
            el("span", name, class_="name"),
            el("span", el("i", style=f"width:{100 * min(max(share, 0), 1):.2f}%"), class_="track"),
            el("span", f"{100 * share:.1f} %", class_="value"),
            class_="share",
        )
        for name, share in entries
    ]
    return el("div", rows, class_="shares", role="img", aria_label=title)
