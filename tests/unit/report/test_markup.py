"""Whatever a text holds, it stays text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from gs_stereo.report.charts import Band, Series, bar_chart, line_chart, nice_ticks, share_bars
from gs_stereo.report.markup import Markup, el, join, pairs_list, table

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


def test_tables_and_lists_escape_their_cells() -> None:
    assert "<script" not in table((HOSTILE, "b"), [(HOSTILE, HOSTILE)])
    assert "<script" not in pairs_list([(HOSTILE, HOSTILE)])


@pytest.mark.parametrize(
    "chart",
    [
        line_chart(
            [
                Series(name=HOSTILE, x=np.arange(5.0), y=np.array([1, np.nan, 3, 2, 1.0]), dots=True),
                Series(name="b", x=np.arange(5.0), y=np.zeros(5), style="guide"),
            ],
            x_label=HOSTILE,
            y_label="y",
            title=HOSTILE,
            marks=[(2.0, HOSTILE)],
        ),
        bar_chart(
            np.arange(4.0),
            np.array([0.0, 2.0, 1.0]),
            x_label="x",
            y_label="y",
            title="t",
            band=Band(low=1, high=9, label=HOSTILE),
        ),
        bar_chart(np.arange(3.0), np.zeros(2), x_label="x", y_label="y", title="nothing"),
        share_bars([(HOSTILE, 0.4), ("more than all", 1.2)], title="shares"),
    ],
)
def test_charts_are_well_formed(chart: Markup) -> None:
    ElementTree.fromstring(chart)
    assert "<script" not in chart
    assert "nan" not in chart.lower()


def test_a_chart_of_nothing_says_so() -> None:
    empty = Series(name="", x=np.arange(3.0), y=np.full(3, np.nan))
    assert "Nothing to draw" in line_chart([empty], x_label="x", y_label="y", title="t")


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.85, 1.15), (-4.0, 4.0), (0.0, 12345.0), (3.0, 3.0)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert all(len(f"{tick:g}") <= 6 for tick in ticks)
