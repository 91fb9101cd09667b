"""The benchmark `dataset`: the pairs of a data set of ours (HDF5 shards), with its labels taken as the truth.

Honest for `sample-pairs`, whose labels are exact; for labels of an expert it measures agreement with that expert.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gs_stereo.benchmarks.pair_files import existing_root, no_split
from gs_stereo.benchmarks.protocol import BenchmarkItem, BenchmarkPair, OfficialProtocol, PairList, pair_list
from gs_stereo.datasets.probe import probe_shards
from gs_stereo.datasets.read import ShardReader
from gs_stereo.datasets.schema import read_index
from gs_stereo.types import LabelFlag

PROTOCOL = OfficialProtocol(
    headline="epe", region="noc", pooling="image_mean", source="our own rule; the labels are taken as the truth"
)


def open_dataset(root: Path | None, split: str | None) -> PairList:
    """Every sample of the data set in the folder `root`, which holds dataset.json."""
    no_split(split, "dataset")
    folder = existing_root(root, "dataset")
    shards = [folder / entry.file for entry in read_index(folder).shards]
    probe_shards(shards)
    items = [item for shard in shards for item in _items(shard)]
    return pair_list("dataset", PROTOCOL, items, where=f"{folder} is empty")


def _items(shard: Path) -> Iterator[BenchmarkItem]:
    with ShardReader(shard) as reader:
        for index in range(len(reader)):
            yield BenchmarkItem(name=f"{shard.stem}/{index:04d}", read=partial(_read, shard, index), files=(shard,))


def _read(shard: Path, index: int) -> BenchmarkPair:
    with ShardReader(shard) as reader:
        sample = reader.read(index)
    unseen = LabelFlag.OCCLUDED | LabelFlag.OUT_OF_FRAME
    return BenchmarkPair(
        left=sample.left,
        right=sample.right,
        disparity=sample.disparity,
        non_occluded=(sample.flags & unseen) == 0,
    )
