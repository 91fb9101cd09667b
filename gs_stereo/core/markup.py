"""HTML that cannot be broken by what it shows: every text is escaped unless it is `Markup`."""

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
