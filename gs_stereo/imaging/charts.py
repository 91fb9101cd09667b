"""Charts as SVG: within a page, in the page's own colours so that they follow light and dark, or as a file.

A chart is 330 units wide: about its size on a phone, so that its text stays readable there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gs_stereo.core.markup import Markup, el

WIDTH, HEIGHT = 330, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 10, 20, 38
_TICKS = 5
_MAX_POINTS = 300
_FILE_WIDTH_PX = 760
_FILE_STYLE = """
text { font: 11.5px sans-serif; fill: #555 } .middle { text-anchor: middle } .end { text-anchor: end }
.grid { stroke: #ddd } .axis { stroke: #555 } .line { fill: none; stroke-width: 1 }
.line.a { stroke: #2b6cb0 } .line.b { stroke: #c05621 } text.a { fill: #2b6cb0 } text.b { fill: #c05621 }
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """A line: its name in the legend, points, and style class (`a`, `b`, or `guide` for a thin dashed line)."""

    name: str
    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    style: str = "a"
    dots: bool = False


@dataclass(frozen=True, kw_only=True)
class Axes:
    """Labels of both axes, the range of y (None = that of the values), and whether y is logarithmic."""

    x_label: str
    y_label: str
    y_range: tuple[float, float] | None = None
    logarithmic: bool = False


@dataclass(frozen=True, kw_only=True)
class Band:
    """A range of x that is marked, such as what is usual."""

    low: float
    high: float
    label: str


@dataclass(frozen=True, kw_only=True)
class _Plot:
    """Axes with the ranges that are drawn."""

    axes: Axes
    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a value is in the drawing."""
        value, low, high = (math.log10(each) if self.axes.logarithmic else each for each in (y, *self.y))
        u = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        v = (value - low) / ((high - low) or 1)
        return _LEFT + u * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - v * (HEIGHT - _TOP - _BOTTOM)

    def y_ticks(self) -> list[float]:
        if not self.axes.logarithmic:
            return nice_ticks(*self.y, count=4)
        return [10.0**power for power in range(*(round(math.log10(end)) + k for k, end in enumerate(self.y)))]


def line_chart(series: Sequence[Series], axes: Axes, *, title: str, marks: Sequence[tuple[float, str]] = ()) -> Markup:
    """Lines over a common pair of axes, with a legend. marks: upright lines at x with a label."""
    plot = _plot(series, axes)
    if plot is None:
        return el("p", "Nothing to draw.", class_="quiet")
    legend = [item for item in series if item.name]
    return el(
        "div",
        _svg(title, [_frame(plot), *(_mark(plot, *mark) for mark in marks), *(_line(plot, item) for item in series)]),
        el("p", (el("span", item.name, class_=f"key {item.style}") for item in legend), class_="legend")
        if len(legend) > 1
        else None,
    )


def chart_file(series: Sequence[Series], axes: Axes, *, title: str) -> str:
    """Lines as a drawing of its own, that needs no page: colours, legend and white paper are in it."""
    plot = _plot(series, axes)
    drawn = [el("style", _FILE_STYLE), el("rect", width="100%", height="100%", fill="white")]
    drawn += [_frame(plot), *(_line(plot, item) for item in series)] if plot else []
    for number, item in enumerate(series):
        drawn.append(el("text", item.name, x=_LEFT + 100 * number, y=_TOP - 9, class_=item.style))
    return _svg(title, drawn, xmlns="http://www.w3.org/2000/svg", width=_FILE_WIDTH_PX) + "\n"


def bar_chart(
    edges: Float[np.ndarray, "n1"], values: Float[np.ndarray, "n"], axes: Axes, *, title: str, band: Band | None = None
) -> Markup:
    """Bars between edges, from zero; `band` is drawn behind them."""
    top = float(values.max()) if len(values) and values.max() > 0 else 1.0
    plot = _Plot(axes=axes, x=(float(edges[0]), float(edges[-1])), y=(0.0, top * 1.08))
    bars = []
    for low, high, value in zip(edges[:-1], edges[1:], values, strict=True):
        (x0, y0), (x1, y1) = plot.place(float(low), 0.0), plot.place(float(high), float(value))
        if value > 0:
            size = {"width": _n(max(x1 - x0 - 0.8, 0.8)), "height": _n(y0 - y1)}
            bars.append(el("rect", x=_n(x0 + 0.4), y=_n(y1), **size, class_="bar"))
    return _svg(title, [_band(plot, band) if band else Markup(), _frame(plot), *bars])


def nice_ticks(low: float, high: float, count: int = _TICKS) -> list[float]:
    """Round numbers within a range, about `count` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw), power * 10)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_text(value: float) -> str:
    """A number as short as it can be."""
    if abs(value) >= 10000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


def _plot(series: Sequence[Series], axes: Axes) -> _Plot | None:
    """The axes with the ranges of the values; None where there is no value."""
    y = np.concatenate([np.zeros(0), *(item.y[np.isfinite(item.y)] for item in series)])
    if y.size == 0:
        return None
    x = np.concatenate([item.x for item in series])
    return _Plot(axes=axes, x=(float(x.min()), float(x.max())), y=axes.y_range or _padded(y, axes.logarithmic))


def _padded(values: Float[np.ndarray, "n"], logarithmic: bool) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        first = math.floor(math.log10(low))
        return 10.0**first, 10.0 ** max(math.ceil(math.log10(high)), first + 1)
    margin = 0.06 * (high - low) or max(abs(high) * 0.06, 1e-3)
    return (0.0 if 0 <= low < 0.3 * high else low - margin), high + margin


def _svg(title: str, children: Sequence[Markup], **attributes: str | float) -> Markup:
    box = f"0 0 {WIDTH} {HEIGHT}"
    return el(
        "svg", el("title", title), children, viewBox=box, role="img", aria_label=title, class_="chart", **attributes
    )


def _frame(plot: _Plot) -> Markup:
    """Grid, ticks and labels."""
    parts: list[Markup] = []
    for value in plot.y_ticks():
        x, y = plot.place(plot.x[0], value)
        parts.append(el("line", x1=_n(x), x2=WIDTH - _RIGHT, y1=_n(y), y2=_n(y), class_="grid"))
        parts.append(el("text", tick_text(value), x=_n(x - 6), y=_n(y + 4), class_="tick end"))
    for value in nice_ticks(*plot.x):
        x, y = plot.place(value, plot.y[0])
        parts.append(el("text", tick_text(value), x=_n(x), y=_n(y + 15), class_="tick middle"))
    base = HEIGHT - _BOTTOM
    parts.append(el("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=base, y2=base, class_="axis"))
    parts.append(el("text", plot.axes.x_label, x=(_LEFT + WIDTH - _RIGHT) / 2, y=HEIGHT - 6, class_="label middle"))
    parts.append(el("text", plot.axes.y_label, x=2, y=_TOP - 9, class_="label"))
    return el("g", parts)


def _band(plot: _Plot, band: Band) -> Markup:
    low, high = max(band.low, plot.x[0]), min(band.high, plot.x[1])
    if high <= low:
        return Markup()
    x0, x1 = plot.place(low, 0)[0], plot.place(high, 0)[0]
    height = HEIGHT - _TOP - _BOTTOM
    rect = el("rect", x=_n(x0), y=_TOP, width=_n(x1 - x0), height=height, class_="band")
    return el("g", rect, el("text", band.label, x=_n((x0 + x1) / 2), y=_TOP + 12, class_="tick middle"))


def _mark(plot: _Plot, x: float, label: str) -> Markup:
    place = plot.place(x, plot.y[0])[0]
    line = el("line", x1=_n(place), x2=_n(place), y1=_TOP, y2=HEIGHT - _BOTTOM, class_="mark")
    return el("g", line, el("text", label, x=_n(place + 4), y=_TOP + 10, class_="tick"))


def _line(plot: _Plot, series: Series) -> Markup:
    step = max(1, len(series.x) // _MAX_POINTS)
    known = [
        plot.place(float(x), float(np.clip(y, *plot.y)))
        for x, y in zip(series.x[::step], series.y[::step], strict=True)
        if np.isfinite(y)
    ]
    points = " ".join(f"{_n(x)},{_n(y)}" for x, y in known)
    line = el("polyline", points=points, class_=f"line {series.style}")
    dots = [el("circle", cx=_n(x), cy=_n(y), r=2.6, class_=f"dot {series.style}") for x, y in known]
    return el("g", line, dots if series.dots else None)


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
