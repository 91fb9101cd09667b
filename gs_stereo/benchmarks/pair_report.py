"""The outcome of a benchmark: scores of each pair and of all, as JSON and as a table."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from gs_stereo.benchmarks.protocol import OfficialProtocol, Pooling, Region
from gs_stereo.core.records import finite
from gs_stereo.metrics.disparity import DisparityScores

_MIB = 1 << 20
_POOLINGS: tuple[Pooling, ...] = ("image_mean", "all_pixels")
_REGIONS: tuple[Region, ...] = ("noc", "all")


@dataclass(frozen=True, kw_only=True)
class RegionScores:
    """density: share of pixels with truth that the matcher itself predicted, before anything was filled."""

    density: float
    scores: DisparityScores

    def value(self, metric: str, pooling: Pooling) -> float:
        """A score by its name in the reports: "epe", "d1" or "bad_<px>"."""
        found = getattr(self.scores, f"{metric.partition('_')[0]}_{pooling}")
        return float(found[float(metric[4:])] if metric.startswith("bad_") else found)

    @property
    def metrics(self) -> list[str]:
        return ["epe", *(f"bad_{limit:g}" for limit in self.scores.bad_all_pixels), "d1"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PairScores:
    """One pair. search_range_px: what the matcher was told, None = nothing. doffs_px: None = no calibration."""

    name: str
    width: int
    height: int
    seconds: float
    peak_memory_bytes: int | None
    search_range_px: float | None
    doffs_px: float | None
    regions: Mapping[Region, RegionScores]

    def to_json(self, *, costs: bool = True) -> dict[str, Any]:
        """Numbers, NaN too, and texts only. A single image needs no pooling in the names."""
        left_out = {"regions"} if costs else {"regions", "seconds", "peak_memory_bytes"}
        own = {key: value for key, value in vars(self).items() if key not in left_out}
        regions = {
            region: {"pixels": found.scores.pixels, "density": found.density}
            | {metric: found.value(metric, "all_pixels") for metric in found.metrics}
            for region, found in self.regions.items()
        }
        return {**own, "regions": regions}


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkReport:
    """Everything that was measured. totals: by region; a region without pixels has NaN scores."""

    benchmark: str
    protocol: OfficialProtocol
    missing: str
    pairs: tuple[PairScores, ...]
    totals: Mapping[Region, RegionScores]

    @property
    def headline(self) -> float:
        """The official metric; a share (0 to 1) for bad and d1, pixels for epe. NaN if its region is unknown."""
        return self.totals[self.protocol.region].value(self.protocol.headline, self.protocol.pooling)

    @property
    def seconds_a_frame(self) -> float:
        """Median over the pairs without the first, which pays for loading; the first if it is the only one."""
        return median(pair.seconds for pair in self.pairs[1:] or self.pairs)

    @property
    def peak_memory_bytes(self) -> int | None:
        """The largest peak of any frame; None if none was measured."""
        return max((pair.peak_memory_bytes for pair in self.pairs if pair.peak_memory_bytes is not None), default=None)

    def to_json(self, *, costs: bool = True) -> dict[str, Any]:
        """A dictionary that `json.dumps` takes; NaN becomes None. Shares lie between 0 and 1.

        costs: with seconds and memory, which no two runs share.
        """
        spent = {"seconds_a_frame_median": self.seconds_a_frame, "peak_memory_bytes": self.peak_memory_bytes}
        totals = {
            region: {"images": found.scores.images, "pixels": found.scores.pixels, "density": found.density}
            | {f"{name}_{pool}": found.value(name, pool) for pool in _POOLINGS for name in found.metrics}
            for region, found in self.totals.items()
        }
        values = {
            "benchmark": self.benchmark,
            "protocol": asdict(self.protocol),
            "headline": self.headline,
            "missing": self.missing,
            **(spent if costs else {}),
            "totals": totals,
            "pairs": [pair.to_json(costs=costs) for pair in self.pairs],
        }
        return {name: finite(value) for name, value in values.items()}

    def to_table(self) -> str:
        """Fixed-width text: a line for each pair and region, then the totals with their pooling in the name."""
        wide = max(12, *(len(pair.name) for pair in self.pairs))
        heads = {"epe": "EPE px", "d1": "D1"}
        names = "".join(f"{heads.get(name, name.replace('_', '-')):>9}" for name in self.totals["all"].metrics)
        lines = [f"{'':<{wide}}  {'region':<6}{'density':>9}{names}{'seconds':>9}"]
        for pair in self.pairs:
            lines += [
                f"{pair.name:<{wide}}  {region:<6}{_cells(pair.regions[region], 'all_pixels')}{pair.seconds:>9.2f}"
                for region in _REGIONS
                if region in pair.regions
            ]
        for pooling in _POOLINGS:
            lines += [
                f"{pooling:<{wide}}  {region:<6}{_cells(self.totals[region], pooling)}"
                for region in _REGIONS
                if self.totals[region].scores.pixels
            ]
        return "\n".join([*lines, *self._notes()])

    def _notes(self) -> list[str]:
        rule, peak = self.protocol, self.peak_memory_bytes
        official = f"{rule.headline.replace('_', '-')} {rule.region}, {rule.pooling}"
        value = f"{self.headline:.3f} px" if rule.headline == "epe" else _percent(self.headline)
        memory = "" if peak is None else f", peak memory {peak / _MIB:.0f} MiB"
        limit = "" if rule.largest_truth_px is None else f" Truth of {rule.largest_truth_px:g} px and more is left out."
        return [
            f"{self.benchmark}, pairs: {len(self.pairs)}; {official}: {value} ({rule.source}).{limit}",
            f"Rule for missing predictions: {self.missing}.",
            f"{self.seconds_a_frame:.2f} s a frame (median without the first){memory}.",
        ]


def _cells(found: RegionScores, pooling: Pooling) -> str:
    values = {name: found.value(name, pooling) for name in found.metrics}
    shown = [
        _percent(value) if name != "epe" else "-" if math.isnan(value) else f"{value:.3f}"
        for name, value in values.items()
    ]
    return "".join(f"{cell:>9}" for cell in [_percent(found.density), *shown])


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f} %"
