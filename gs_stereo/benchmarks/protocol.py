"""What a stereo benchmark is: a list of pairs with true disparity, and the rules by which it is scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gs_stereo.datasets.layouts.pair_files import PairSource
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.plugins import Registry

Region = Literal["noc", "all"]
Pooling = Literal["image_mean", "all_pixels"]


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Benchmark:
    """What an entry of BENCHMARKS makes. pairs: in the order of their names, at least one."""

    name: str
    protocol: OfficialProtocol
    pairs: tuple[PairSource, ...]


@dataclass(frozen=True, kw_only=True)
class FolderBenchmark:
    """A benchmark whose pairs lie in a folder: called with it, it makes the benchmark.

    find: the pairs in a folder, or in a split of it; InputError if it has another layout. splits: the known ones; () =
    there are none, None = `find` takes any text. default_root: where the pairs are if no folder is given.
    """

    name: str
    find: Callable[[Path, str | None], Sequence[PairSource]]
    protocol: OfficialProtocol
    splits: tuple[str, ...] | None = ()
    default_root: Callable[[], Path] | None = None

    def __call__(self, root: Path | None, split: str | None) -> Benchmark:
        """ConfigError for an unknown split or a folder that is missing in the call, InputError for a wrong folder."""
        if split is not None and self.splits is not None and split not in self.splits:
            known = f"has no split {split!r}; use one of: {', '.join(self.splits)}"
            none = "has no splits; leave out --split"
            raise ConfigError(f"The benchmark {self.name} {known if self.splits else none}.")
        if root is None and self.default_root is not None:
            root = self.default_root()
        if root is None:
            raise ConfigError(f"The benchmark {self.name} needs its folder; give --root.")
        if not root.is_dir():
            raise InputError(f"There is no folder {root}; give the folder of {self.name} with --root.")
        return Benchmark(name=self.name, protocol=self.protocol, pairs=tuple(self.find(root, split)))


BenchmarkFactory = Callable[[Path | None, str | None], Benchmark]
"""(root folder or None, split or None) -> benchmark. InputError if the folder has another layout."""

BENCHMARKS: Registry[BenchmarkFactory] = Registry(
    kind="benchmark",
    builtin={
        "folder": "gs_stereo.benchmarks.official:FOLDER",
        "motorcycle": "gs_stereo.benchmarks.official:MOTORCYCLE",
        "middlebury-2014": "gs_stereo.benchmarks.official:MIDDLEBURY_2014",
        "middlebury-2021": "gs_stereo.benchmarks.official:MIDDLEBURY_2021",
        "eth3d": "gs_stereo.benchmarks.official:ETH3D",
        "kitti-2012": "gs_stereo.benchmarks.official:KITTI_2012",
        "kitti-2015": "gs_stereo.benchmarks.official:KITTI_2015",
        "sceneflow": "gs_stereo.benchmarks.official:SCENEFLOW",
        "foundationstereo": "gs_stereo.benchmarks.official:FOUNDATION_STEREO",
        "exact": "gs_stereo.benchmarks.own:EXACT",
        "dataset": "gs_stereo.benchmarks.own:DATASET",
    },
)


def open_benchmark(name: str, root: Path | None, split: str | None = None) -> Benchmark:
    """The benchmark `name` in the folder `root`. PluginError for an unknown name, InputError for a wrong folder."""
    return BENCHMARKS.load(name)(root, split)
