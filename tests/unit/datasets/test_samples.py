"""Samples by number over all shards of a data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import INFO, make_sample

from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.datasets.write import ShardWriting, write_dataset
from gs_stereo.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    samples = (make_sample(number) for number in range(5))
    write_dataset(tmp_path, samples, INFO, sample_count=5, writing=ShardWriting(samples_per_shard=2))
    return tmp_path


def test_numbers_places_and_names(folder: Path) -> None:
    samples = DatasetSamples(folder)
    assert len(samples) == 5
    assert samples.info.scene == INFO.scene
    assert [samples.place(number) for number in range(5)] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    names = [make_sample(number).sample_id for number in range(5)]
    assert samples.texts("sample_id") == names
    assert [samples.read(number).sample_id for number in (4, 0, 3)] == [names[4], names[0], names[3]]
    for number in (-1, 5):
        with pytest.raises(IndexError):
            samples.read(number)


def test_closed_files_are_opened_again(folder: Path) -> None:
    samples = DatasetSamples(folder)
    first = samples.read(0)
    samples.close()
    assert samples.read(0).sample_id == first.sample_id


def test_one_shard_speaks_for_itself(folder: Path) -> None:
    samples = DatasetSamples(folder / "train-00001-of-00003.h5")
    assert (len(samples), samples.info) == (2, INFO)


def test_a_shard_with_fewer_samples_than_the_index_says(folder: Path) -> None:
    index = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    index["shards"][2]["count"], index["sample_count"] = 2, 6
    (folder / "dataset.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(InputError, match=r"train-00002-of-00003\.h5 has fewer samples than dataset\.json says"):
        DatasetSamples(folder).read(5)
