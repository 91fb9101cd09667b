"""What a stereo benchmark is: a list of pairs with true disparity, and the rules by which it is scored.

Disparity belongs to the left image, in pixels of the stored resolution; NaN = no truth. Nothing is read before an
item's `read` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gs_stereo.errors import InputError
from gs_stereo.geometry.disparity import depth_from_disparity
from gs_stereo.plugins import Registry

Region = Literal["noc", "all"]
Pooling = Literal["image_mean", "all_pixels"]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A rectified rig as depth needs it: z = f b / (d + doffs). doffs_px: principal point of right minus left."""

    focal_px: float
    baseline_m: float
    doffs_px: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkPair:
    """A rectified pair with the truth of the left image.

    non_occluded: pixels that both eyes see, None where the benchmark does not say. calibration: None = unknown.
    """

    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    disparity: Float[np.ndarray, "h w"]
    non_occluded: Bool[np.ndarray, "h w"] | None = None
    calibration: Calibration | None = None

    @property
    def largest_disparity_px(self) -> float:
        """Of the truth; NaN without any."""
        known = self.disparity[np.isfinite(self.disparity)]
        return float(known.max()) if known.size else float("nan")

    def depth_m(self, disparity: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
        """Depth of a disparity map of this pair, in metres; InputError without calibration."""
        rig = self.calibration
        if rig is None:
            raise InputError("This pair has no calibration, so its depth is not known; compare disparities.")
        return depth_from_disparity(disparity, rig.focal_px * rig.baseline_m, rig.doffs_px)


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkItem:
    """One pair by name; `read` loads it and raises InputError for a missing or broken file.

    files: what its scores depend on, for checksums; () = not said.
    """

    name: str
    read: Callable[[], BenchmarkPair]
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OfficialProtocol:
    """How the benchmark's own table scores: the headline metric, its region and pooling.

    headline: "epe", "d1" or "bad_<px>". largest_truth_px: pixels with a larger true disparity are left out.
    source: where the rules come from.
    """

    headline: str
    region: Region
    pooling: Pooling
    source: str
    largest_truth_px: float | None = None


class Benchmark(Protocol):
    """What an entry of BENCHMARKS makes."""

    @property
    def name(self) -> str: ...

    @property
    def protocol(self) -> OfficialProtocol: ...

    def items(self) -> Sequence[BenchmarkItem]:
        """The pairs, sorted by name; never empty."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class PairList:
    """A benchmark as the built-in readers make it."""

    name: str
    protocol: OfficialProtocol
    pairs: tuple[BenchmarkItem, ...]

    def items(self) -> Sequence[BenchmarkItem]:
        return self.pairs


def pair_list(name: str, protocol: OfficialProtocol, pairs: Sequence[BenchmarkItem], *, where: str) -> PairList:
    """Sorted by name; InputError that describes the expected layout `where` it was looked for, if there is none."""
    if not pairs:
        raise InputError(f"No pair of the benchmark {name} was found: {where}.")
    return PairList(name=name, protocol=protocol, pairs=tuple(sorted(pairs, key=lambda item: item.name)))


BenchmarkFactory = Callable[[Path | None, str | None], Benchmark]
"""(root folder or None, split or None) -> benchmark. InputError if the folder has another layout."""

BENCHMARKS: Registry[BenchmarkFactory] = Registry(
    kind="benchmark",
    builtin={
        "folder": "gs_stereo.benchmarks.folder:open_folder",
        "motorcycle": "gs_stereo.benchmarks.motorcycle:open_motorcycle",
        "middlebury-2014": "gs_stereo.benchmarks.middlebury:open_middlebury_2014",
        "middlebury-2021": "gs_stereo.benchmarks.middlebury:open_middlebury_2021",
        "eth3d": "gs_stereo.benchmarks.eth3d:open_eth3d",
        "kitti-2012": "gs_stereo.benchmarks.kitti:open_kitti_2012",
        "kitti-2015": "gs_stereo.benchmarks.kitti:open_kitti_2015",
        "sceneflow": "gs_stereo.benchmarks.sceneflow:open_sceneflow",
        "exact": "gs_stereo.benchmarks.exact_pairs:open_exact",
        "dataset": "gs_stereo.benchmarks.dataset:open_dataset",
    },
)


def open_benchmark(name: str, root: Path | None, split: str | None = None) -> Benchmark:
    """The benchmark `name` in the folder `root`. PluginError for an unknown name, InputError for a wrong folder."""
    return BENCHMARKS.load(name)(root, split)
