"""Whatever a text holds, it stays text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from gs_stereo.core.markup import Markup, el, join

HOSTILE = "\"><script>alert(1)</script>&amp;'<"


def test_texts_and_attributes_are_escaped() -> None:
    page = el("p", HOSTILE, el("b", "kept"), title=HOSTILE)
    assert "<script" not in page
    parsed = ElementTree.fromstring(page)
    assert parsed.text == HOSTILE
    assert parsed.get("title") == HOSTILE
    assert parsed.find("b").text == "kept"


def test_nested_children_are_flattened_and_none_is_left_out() -> None:
    assert join([["a", [None, Markup("<br>")]], 3]) == "a<br>3"


def test_attribute_names() -> None:
    assert el("input", class_="x", aria_label="y", checked=True, hidden=False) == (
        '<input class="x" aria-label="y" checked>'
    )
