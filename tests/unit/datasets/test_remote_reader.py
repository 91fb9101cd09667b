"""Data sets behind URLs, and the order in which a training reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import torch
from builders import write_shifted_pairs

from gs_stereo import StereoDataset
from gs_stereo.datasets.torch_sampler import ShardSampler
from gs_stereo.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shifted_pairs(tmp_path_factory.mktemp("data") / "set", 14, (24, 32))  # shards of 4, 4, 4 and 2


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    store = fsspec.filesystem("memory")
    for path in folder.iterdir():
        store.pipe_file(f"/published/{path.name}", path.read_bytes())
    yield "memory://published"
    store.rm("/published", recursive=True)


def test_remote_samples_are_the_local_ones_from_a_small_cache(url: str, folder: Path, tmp_path: Path) -> None:
    most = 2 * max(path.stat().st_size for path in folder.glob("*.h5"))
    remote, local = StereoDataset(url, cache=tmp_path, cache_bytes=most), StereoDataset(folder)
    assert [item["sample_id"] for item in remote] == [item["sample_id"] for item in local]
    assert torch.equal(remote[9]["disparity"], local[9]["disparity"])
    copies = [path.stat().st_size for path in tmp_path.rglob("*.h5")]
    assert 0 < sum(copies) <= most
    assert len(copies) < 4


def test_what_is_fetched_is_not_fetched_again(url: str, tmp_path: Path) -> None:
    list(StereoDataset(url, cache=tmp_path))
    for name in fsspec.filesystem("memory").glob("/published/*.h5"):
        fsspec.filesystem("memory").rm(name)
    assert len(list(StereoDataset(url, cache=tmp_path))) == 14


def test_a_damaged_or_missing_data_set_is_named(url: str, tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    shard = store.glob("/published/*.h5")[0]
    store.pipe_file(shard, store.cat_file(shard)[:-1] + b"x")
    with pytest.raises(InputError, match="is damaged; publish it again"):
        StereoDataset(url, cache=tmp_path)[0]
    assert list(tmp_path.rglob("*.h5")) == []
    with pytest.raises(InputError, match="no dataset.json"):
        StereoDataset("memory://nothing", cache=tmp_path)


def test_an_epoch_has_each_sample_once_and_few_shards_at_a_time(folder: Path) -> None:
    dataset = StereoDataset(folder)
    sampler = ShardSampler(dataset, seed=1, mixed=2)
    first = list(sampler)
    assert sorted(first) == list(range(14))
    assert first == list(ShardSampler(dataset, seed=1, mixed=2))
    shards = [dataset.samples.place(number)[0] for number in first]
    half = sum(dataset.samples.counts[shard] for shard in dict.fromkeys(shards[:6]))
    assert set(shards[:half]).isdisjoint(shards[half:])
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_ranks_share_an_epoch_and_a_stopped_one_goes_on(folder: Path) -> None:
    dataset = StereoDataset(folder)
    ranks = [list(ShardSampler(dataset, rank=rank, ranks=3)) for rank in range(3)]
    assert [len(each) for each in ranks] == [5, 5, 5]
    assert sorted(Counter(number for each in ranks for number in each).values()) == [1] * 13 + [2]
    stopped = ShardSampler(dataset, rank=1, ranks=3)
    stopped.taken(2)
    resumed = ShardSampler(dataset, rank=1, ranks=3)
    resumed.load_state_dict(stopped.state_dict())
    resumed.set_epoch(0)
    assert list(resumed) == ranks[1][2:]
    assert len(resumed) == 3
    with pytest.raises(InputError, match="ranks count from 0"):
        ShardSampler(dataset, rank=3, ranks=3)
