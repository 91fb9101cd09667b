"""HTML that cannot be broken by what it shows: every text is escaped unless it is `Markup`."""

from __future__ import annotations

import html
from collections.abc import Iterable

_VOID = frozenset({"br", "img", "input", "meta", "line", "rect", "circle", "path", "polyline", "polygon", "use"})


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]


def el(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element. Children that are not `Markup` are escaped, None is left out, iterables are flattened.

    Attribute names: a trailing underscore is dropped (`class_`), the others become hyphens. True gives a bare
    attribute, None and False none.
    """
    opening = "".join([name, *(_attribute(key, value) for key, value in attributes.items())])
    if name in _VOID:
        return Markup(f"<{opening}>") if name in ("br", "img", "input", "meta") else Markup(f"<{opening}/>")
    return Markup(f"<{opening}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Markup:
    """Children one after the other, escaped where needed."""
    return Markup("".join(_text(child) for child in children))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return str.__str__(child)
    if isinstance(child, str | int | float):
        return html.escape(str(child))
    return join(child)


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'


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
