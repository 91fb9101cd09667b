"""Scores of many views and seeds as entries of a table: the mean over views, then mean and spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Protocol

import numpy as np

from gs_stereo.synthesis.judges.geometric import GeometryScores, slope


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A measure of a row: mean over seeds, and standard deviation over them if there are several."""

    mean: float
    spread: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Entry:
        """One value a seed."""
        several = len(values) > 1 and all(map(math.isfinite, values))
        return cls(mean=fmean(values), spread=stdev(values) if several else None)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A measure as it is shown."""

    name: str
    title: str
    scale: float = 1.0
    digits: int = 2

    def cell(self, entry: Entry | None) -> str:
        """The entry as text; a dash where there is none."""
        if entry is None or math.isnan(entry.mean):
            return "-"
        spread = "" if entry.spread is None else f" ± {self.scale * entry.spread:.{self.digits}f}"
        return f"{self.scale * entry.mean:.{self.digits}f}{spread}"


QUALITY = (Column(name="psnr", title="PSNR dB"), Column(name="ssim", title="SSIM", digits=3))
GEOMETRY = (
    Column(name="slope", title="slope", digits=3),
    Column(name="sign_right", title="sign right %", scale=100, digits=1),
    Column(name="within_1px", title="within 1 px %", scale=100, digits=1),
    Column(name="relief", title="relief"),
    Column(name="rows_px", title="rows px"),
)
GEOMETRY_NOTE = (
    "Slope: made against true median disparity, a line through the origin over the views. Sign: of pixels that should "
    "move by 1 px or more. Relief: slope of made against true disparity within a view, both less their median; 0 = "
    "everything moves alike. rows: mean |vertical offset|. Parallax is judged where the same matcher on the true view "
    "is within 1 px of the truth. copy = the source itself, the floor."
)
ORACLE_NOTE = "oracle depth: it was given the exact depth of the source, an upper bound of what it can do on a photo."


class Scored(Protocol):
    """A judged view. more: other measures of it by their names, NaN = unknown."""

    @property
    def seed(self) -> int: ...

    @property
    def scores(self) -> GeometryScores: ...

    @property
    def more(self) -> Mapping[str, float]: ...


def summary(views: Iterable[Scored]) -> dict[str, Entry]:
    """Every measure over the views, by its name; empty without any view."""
    seeds: dict[int, list[Scored]] = {}
    for view in views:
        seeds.setdefault(view.seed, []).append(view)
    by_seed = [_means(chosen) for chosen in seeds.values()]
    return {name: Entry.of([means[name] for means in by_seed]) for name in (by_seed[0] if by_seed else {})}


def _means(views: Sequence[Scored]) -> dict[str, float]:
    measured = [{**vars(view.scores), **view.more} for view in views]
    values = {name: np.array([each[name] for each in measured], np.float64) for name in measured[0]}
    values["rows_px"] = np.abs(values["rows_px"])
    means = {name: float(np.nanmean(v)) if not np.isnan(v).all() else math.nan for name, v in values.items()}
    return {**means, "slope": slope(values["true_median_px"], values["made_median_px"])}
