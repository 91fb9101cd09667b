"""Charts are well-formed drawings, whatever their texts hold, and their ticks are round."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from gs_stereo.core.markup import Markup
from gs_stereo.imaging.charts import Axes, Band, Series, bar_chart, chart_file, line_chart, nice_ticks

HOSTILE = "\"><script>alert(1)</script>&amp;'<"
PLAIN = Axes(x_label="x", y_label="y")
LOGARITHMIC = Axes(x_label="x", y_label="y", logarithmic=True)


@pytest.mark.parametrize(
    "chart",
    [
        line_chart(
            [
                Series(name=HOSTILE, x=np.arange(5.0), y=np.array([1, np.nan, 3, 2, 1.0]), dots=True),
                Series(name="b", x=np.arange(5.0), y=np.zeros(5), style="guide"),
            ],
            Axes(x_label=HOSTILE, y_label="y"),
            title=HOSTILE,
            marks=[(2.0, HOSTILE)],
        ),
        bar_chart(
            np.arange(4.0),
            np.array([0.0, 2.0, 1.0]),
            PLAIN,
            title="t",
            band=Band(low=1, high=9, label=HOSTILE),
        ),
        bar_chart(np.arange(3.0), np.zeros(2), PLAIN, title="nothing"),
        chart_file([Series(name=HOSTILE, x=np.arange(3.0), y=np.array([0.5, 20, 3]))], LOGARITHMIC, title=HOSTILE),
        chart_file([], LOGARITHMIC, title="nothing"),
    ],
)
def test_charts_are_well_formed(chart: Markup) -> None:
    ElementTree.fromstring(chart)
    assert "<script" not in chart
    assert "nan" not in chart.lower()


def test_a_chart_of_nothing_says_so() -> None:
    empty = Series(name="", x=np.arange(3.0), y=np.full(3, np.nan))
    assert "Nothing to draw" in line_chart([empty], PLAIN, title="t")


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.85, 1.15), (-4.0, 4.0), (0.0, 12345.0), (3.0, 3.0)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert all(len(f"{tick:g}") <= 6 for tick in ticks)


def test_a_logarithmic_axis_has_a_line_at_every_power_of_ten() -> None:
    """From 0.5 to 20 the axis goes from 0.1 to 100, and equal factors are equal distances."""
    series = Series(name="", x=np.arange(4.0), y=np.array([0.5, 1.0, 10.0, 20.0]))
    drawing = ElementTree.fromstring(chart_file([series], LOGARITHMIC, title="t"))
    name = "{http://www.w3.org/2000/svg}"
    assert [text.text for text in drawing.iter(f"{name}text")][:4] == ["0.1", "1", "10", "100"]
    (line,) = drawing.iter(f"{name}polyline")
    heights = [float(point.split(",")[1]) for point in str(line.get("points")).split()]
    grid = [float(str(each.get("y1"))) for each in drawing.iter(f"{name}line") if each.get("class") == "grid"]
    assert heights[1:3] == grid[1:3]
    assert heights[0] - heights[1] == pytest.approx(heights[2] - heights[3], abs=0.11)
