"""StereoDataset: values, workers, pickling, path forms, collate."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import make_info, plain_sample
from torch.utils.data import DataLoader

import gs_stereo
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.datasets.torch_reader import StereoDataset, StereoItem, collate, fill_invalid
from gs_stereo.datasets.write import ShardWriting, write_dataset
from gs_stereo.errors import InputError

INFO = make_info()
COUNT = 7


def make_sample(number: int, width: int = 10) -> ShardSample:
    disparity = np.full((6, width), float(number), np.float32)
    disparity[0, 0] = np.nan
    return plain_sample(
        disparity,
        sample_id=f"id{number}",
        view_id=f"view{number}",
        left=np.full((6, width, 3), 2 * number, np.uint8),
        right=np.full((6, width, 3), 255, np.uint8),
        confidence=np.full((6, width), 51, np.uint8),
        flags=np.full((6, width), 128, np.uint16),
        intrinsics=np.array([[10.0, 0, 5], [0, 10, 3], [0, 0, 1]]),
        baseline=0.1 * (number + 1),
        views=np.full((2, 6, width, 3), number, np.uint8),
        offsets=np.array([-1.0, 1.0]),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "scene" / "gsstereo" / "dataset" / "splat"
    samples = (make_sample(number) for number in range(COUNT))
    write_dataset(path, samples, INFO, sample_count=COUNT, writing=ShardWriting(samples_per_shard=3))
    return path


def brighter(item: StereoItem) -> StereoItem:
    return {**item, "left": item["left"] + 1}


def test_one_item(folder: Path) -> None:
    item = StereoDataset(folder)[4]
    assert {name: (tuple(value.shape), value.dtype) for name, value in item.items() if torch.is_tensor(value)} == {
        "left": ((3, 6, 10), torch.float32),
        "right": ((3, 6, 10), torch.float32),
        "disparity": ((1, 6, 10), torch.float32),
        "valid": ((1, 6, 10), torch.bool),
        "confidence": ((1, 6, 10), torch.float32),
        "flags": ((1, 6, 10), torch.int32),
        "intrinsics": ((3, 3), torch.float32),
        "baseline": ((), torch.float32),
        "cam_from_world": ((4, 4), torch.float64),
        "metres_per_unit": ((), torch.float32),
        "views": ((2, 3, 6, 10), torch.float32),
        "offsets": ((2,), torch.float32),
    }
    assert (item["sample_id"], item["view_id"]) == ("id4", "view4")
    assert torch.allclose(item["left"], torch.tensor(8 / 255))
    assert torch.equal(item["right"], torch.ones(3, 6, 10))
    assert item["disparity"][0, 0, 0] == 0
    assert (item["disparity"][item["valid"]] == 4).all()
    assert item["valid"].sum() == 59
    assert torch.allclose(item["confidence"], torch.tensor(0.2))
    assert (item["flags"] == 128).all()
    assert item["baseline"].item() == pytest.approx(0.5)
    assert item["metres_per_unit"].item() == 0.5


def test_order_negative_index_and_end(folder: Path) -> None:
    dataset = gs_stereo.StereoDataset(str(folder))
    assert len(dataset) == COUNT
    assert [item["sample_id"] for item in dataset] == [f"id{number}" for number in range(COUNT)]
    assert dataset[-1]["sample_id"] == "id6"
    for index in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError):
            dataset[index]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_two_workers(folder: Path, method: str) -> None:
    dataset = StereoDataset(folder, transform=brighter)
    first = dataset[0]  # files are open in this process before the workers start
    loader = DataLoader(
        dataset, batch_size=2, num_workers=2, collate_fn=gs_stereo.collate, multiprocessing_context=method
    )
    for _ in range(2 if method == "fork" else 1):
        batches = list(loader)
        assert [name for batch in batches for name in batch["sample_id"]] == [f"id{number}" for number in range(COUNT)]
        expected = torch.arange(COUNT) * 2 / 255 + 1
        assert torch.allclose(torch.cat([batch["left"][:, 0, 0, 0] for batch in batches]), expected)
        assert batches[0]["disparity"].shape == (2, 1, 6, 10)
    assert torch.equal(dataset[0]["left"], first["left"])


def test_pickles_with_open_files(folder: Path) -> None:
    dataset = StereoDataset(folder)
    _ = dataset[0]
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy[5]["sample_id"] == "id5"


def test_path_forms(folder: Path) -> None:
    scene = folder.parents[2]
    for path in (scene, folder.parent, folder):
        assert len(StereoDataset(path)) == COUNT
    assert len(StereoDataset(folder / "train-00002-of-00003.h5")) == 1


def test_bad_paths(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset at"):
        StereoDataset(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="gsstereo label"):
        StereoDataset(tmp_path / "empty")
    write_dataset(folder.parent / "other", [make_sample(0)], INFO, sample_count=1)
    with pytest.raises(InputError, match=r"several datasets .other, splat."):
        StereoDataset(folder.parents[2])
    (folder / "train-00001-of-00003.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"train-00001-of-00003\.h5 is corrupt"):
        StereoDataset(folder)
    (folder / "train-00001-of-00003.h5").unlink()
    with pytest.raises(InputError, match=r"train-00001.* is missing"):
        StereoDataset(folder)


def test_few_files_stay_open(tmp_path: Path) -> None:
    samples = (replace(make_sample(number), views=None, offsets=None) for number in range(40))
    write_dataset(tmp_path, samples, INFO, sample_count=40, writing=ShardWriting(samples_per_shard=1))
    dataset = StereoDataset(tmp_path)
    assert [dataset[number]["sample_id"] for number in (*range(40), 3)] == [f"id{n}" for n in (*range(40), 3)]
    assert len(dataset.samples._readers) <= 16
    assert "views" not in dataset[0]


def test_collate_refuses_what_does_not_stack(folder: Path, tmp_path: Path) -> None:
    item = StereoDataset(folder)[0]
    write_dataset(tmp_path / "wide", [make_sample(0, width=12)], INFO, sample_count=1)
    with pytest.raises(InputError, match=r"3x6x10 and 3x6x12.*batch_size=1"):
        collate([item, StereoDataset(tmp_path / "wide")[0]])
    with pytest.raises(InputError, match="views"):
        collate([item, {name: value for name, value in item.items() if name != "views"}])
    with pytest.raises(InputError, match="views"):
        collate([{name: value for name, value in item.items() if name != "views"}, item])


def test_fill_invalid() -> None:
    filled, valid = fill_invalid(torch.tensor([0.0, 2.5, torch.nan, torch.inf]))
    assert filled.tolist() == [0.0, 2.5, 0.0, 0.0]
    assert valid.tolist() == [True, True, False, False]
