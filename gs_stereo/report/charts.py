"""Charts as inline SVG, drawn with the page's own colours, so that they follow light and dark.

A chart is 330 units wide: about its size on a phone, so that its text stays readable there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gs_stereo.report.markup import Markup, el

WIDTH, HEIGHT = 330, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 10, 20, 38
_TICKS = 5
_MAX_POINTS = 300


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
    """Ranges and labels of both axes."""

    x: tuple[float, float]
    y: tuple[float, float]
    x_label: str
    y_label: str

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a value is in the drawing."""
        u = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        v = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return _LEFT + u * (WIDTH - _LEFT - _RIGHT), HEIGHT - _BOTTOM - v * (HEIGHT - _TOP - _BOTTOM)


@dataclass(frozen=True, kw_only=True)
class Band:
    """A range of x that is marked, such as what is usual."""

    low: float
    high: float
    label: str


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    title: str,
    y_range: tuple[float, float] | None = None,
    marks: Sequence[tuple[float, str]] = (),
) -> Markup:
    """Lines over a common pair of axes. marks: upright lines at x with a label."""
    x = np.concatenate([item.x for item in series])
    y = np.concatenate([item.y[np.isfinite(item.y)] for item in series])
    if y.size == 0:
        return el("p", "Nothing to draw.", class_="quiet")
    axes = Axes(x=(float(x.min()), float(x.max())), y=y_range or _padded(y), x_label=x_label, y_label=y_label)
    drawn = [_mark(axes, *mark) for mark in marks] + [_line(axes, item) for item in series]
    legend = [item for item in series if item.name]
    return el(
        "div",
        _svg(title, [_frame(axes), *drawn]),
        el("p", (el("span", item.name, class_=f"key {item.style}") for item in legend), class_="legend")
        if len(legend) > 1
        else None,
    )


def bar_chart(
    edges: Float[np.ndarray, "n1"],
    values: Float[np.ndarray, "n"],
    *,
    x_label: str,
    y_label: str,
    title: str,
    band: Band | None = None,
) -> Markup:
    """Bars between edges, from zero; `band` is drawn behind them."""
    top = float(values.max()) if len(values) and values.max() > 0 else 1.0
    axes = Axes(x=(float(edges[0]), float(edges[-1])), y=(0.0, top * 1.08), x_label=x_label, y_label=y_label)
    bars = []
    for low, high, value in zip(edges[:-1], edges[1:], values, strict=True):
        (x0, y0), (x1, y1) = axes.place(float(low), 0.0), axes.place(float(high), float(value))
        if value > 0:
            bars.append(
                el(
                    "rect",
                    x=_n(x0 + 0.4),
                    y=_n(y1),
                    width=_n(max(x1 - x0 - 0.8, 0.8)),
                    height=_n(y0 - y1),
                    class_="bar",
                )
            )
    return _svg(title, [_band(axes, band) if band else Markup(), _frame(axes), *bars])


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


def _padded(values: Float[np.ndarray, "n"]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or max(abs(high) * 0.06, 1e-3)
    return (0.0 if 0 <= low < 0.3 * high else low - margin), high + margin


def _svg(title: str, children: Sequence[Markup]) -> Markup:
    return el(
        "svg",
        el("title", title),
        children,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=title,
        class_="chart",
    )


def _frame(axes: Axes) -> Markup:
    """Grid, ticks and labels."""
    parts: list[Markup] = []
    for value in nice_ticks(*axes.y, count=4):
        x, y = axes.place(axes.x[0], value)
        parts.append(el("line", x1=_n(x), x2=WIDTH - _RIGHT, y1=_n(y), y2=_n(y), class_="grid"))
        parts.append(el("text", tick_text(value), x=_n(x - 6), y=_n(y + 4), class_="tick end"))
    for value in nice_ticks(*axes.x):
        x, y = axes.place(value, axes.y[0])
        parts.append(el("text", tick_text(value), x=_n(x), y=_n(y + 15), class_="tick middle"))
    base = HEIGHT - _BOTTOM
    parts.append(el("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=base, y2=base, class_="axis"))
    parts.append(el("text", axes.x_label, x=(_LEFT + WIDTH - _RIGHT) / 2, y=HEIGHT - 6, class_="label middle"))
    parts.append(el("text", axes.y_label, x=2, y=_TOP - 9, class_="label"))
    return el("g", parts)


def _band(axes: Axes, band: Band) -> Markup:
    low, high = max(band.low, axes.x[0]), min(band.high, axes.x[1])
    if high <= low:
        return Markup()
    x0, x1 = axes.place(low, 0)[0], axes.place(high, 0)[0]
    height = HEIGHT - _TOP - _BOTTOM
    rect = el("rect", x=_n(x0), y=_TOP, width=_n(x1 - x0), height=height, class_="band")
    return el("g", rect, el("text", band.label, x=_n((x0 + x1) / 2), y=_TOP + 12, class_="tick middle"))


def _mark(axes: Axes, x: float, label: str) -> Markup:
    place = axes.place(x, 0)[0]
    line = el("line", x1=_n(place), x2=_n(place), y1=_TOP, y2=HEIGHT - _BOTTOM, class_="mark")
    return el("g", line, el("text", label, x=_n(place + 4), y=_TOP + 10, class_="tick"))


def _line(axes: Axes, series: Series) -> Markup:
    step = max(1, len(series.x) // _MAX_POINTS)
    known = [
        axes.place(float(x), float(np.clip(y, *axes.y)))
        for x, y in zip(series.x[::step], series.y[::step], strict=True)
        if np.isfinite(y)
    ]
    points = " ".join(f"{_n(x)},{_n(y)}" for x, y in known)
    line = el("polyline", points=points, class_=f"line {series.style}")
    dots = [el("circle", cx=_n(x), cy=_n(y), r=2.6, class_=f"dot {series.style}") for x, y in known]
    return el("g", line, dots if series.dots else None)


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
