"""Many scenes as one data set: splits, what is left out, weights, licences, and that others open it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from builders import write_shifted_pairs

from gs_stereo.datasets.licences import combined_licence, dataset_licence
from gs_stereo.datasets.merge import MergeSettings, SceneData, assign_splits, merge_datasets
from gs_stereo.datasets.read import read_dataset
from gs_stereo.errors import ConfigError, InputError

HALVES = MergeSettings(shares={"train": 0.5, "test": 0.5})


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[SceneData]:
    root = tmp_path_factory.mktemp("scenes")
    found = []
    for number, name in enumerate(("attic", "barn", "cave", "dune")):
        size = (24, 32)  # small, for the reader of others is slow
        folder = write_shifted_pairs(root / name, 2 + number, size, scene=name)
        found.append(SceneData(name=name, folder=folder, photos=frozenset({f"{name}-1", f"{name}-2"})))
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_each_scene_is_in_one_split_and_all_samples_are_there(scenes: list[SceneData], tmp_path: Path) -> None:
    merged = merge_datasets(tmp_path / "all", scenes, HALVES)
    assert sorted(entry.scene for entry in merged.scenes) == ["attic", "barn", "cave", "dune"]
    for split in ("train", "test"):
        inside = [
            scene for scene in scenes for entry in merged.scenes if (entry.scene, entry.split) == (scene.name, split)
        ]
        assert len(inside) == 2
        published = list(read_dataset(tmp_path / "all" / split))
        sources = [(scene.name, sample) for scene in inside for sample in read_dataset(scene.folder)]
        assert len(published) == len(sources)
        for got, (name, item) in zip(published, sources, strict=True):
            assert (got.sample_id, got.view_id) == (f"{name}__{item.sample_id}", f"{name}__{item.view_id}")
            assert np.array_equal(got.left, item.left)
            assert np.array_equal(got.disparity, item.disparity, equal_nan=True)
    again = merge_datasets(tmp_path / "again" / "all", scenes[::-1], HALVES)
    assert again == merged
    assert files(tmp_path / "again" / "all") == files(tmp_path / "all")


def test_what_does_not_fit_is_left_out_and_named(scenes: list[SceneData], tmp_path: Path) -> None:
    small = write_shifted_pairs(tmp_path / "small", 2, size=(16, 24))
    broken = write_shifted_pairs(tmp_path / "broken", 2, size=(24, 32))
    with next(broken.glob("*.h5")).open("r+b") as stream:
        stream.seek(3000)
        stream.write(b"damage")
    more = [
        SceneData(name="small", folder=small),
        SceneData(name="broken", folder=broken),
        SceneData(name="empty", folder=tmp_path),
        SceneData(name="eaves", folder=scenes[0].folder, photos=scenes[0].photos),
    ]
    merged = merge_datasets(tmp_path / "all", [*scenes, *more], HALVES)
    assert sorted(merged.left_out) == ["broken", "eaves", "empty", "small"]
    assert "damaged" in merged.left_out["broken"]
    assert "same photos as attic" in merged.left_out["eaves"]
    assert "24x16 pixels" in merged.left_out["small"]
    with pytest.raises(InputError, match="is there already"):
        merge_datasets(tmp_path / "all", scenes, HALVES)
    with pytest.raises(InputError, match="nothing to publish"):
        merge_datasets(tmp_path / "none", more[1:3], HALVES)
    assert not (tmp_path / "none").exists()


def test_scenes_that_share_photos_are_in_one_split() -> None:
    names = [f"scene-{number}" for number in range(20)]
    scenes = [
        SceneData(name=name, folder=Path(name), photos=frozenset({name, f"p{i // 2}"})) for i, name in enumerate(names)
    ]
    for seed in range(5):
        splits = assign_splits(scenes, MergeSettings(seed=seed))
        assert all(splits[names[i]] == splits[names[i + 1]] for i in range(0, 20, 2))
        assert sorted(map(list(splits.values()).count, ("train", "validation", "test"))) == [2, 2, 16]
    assert set(
        assign_splits([SceneData(name=name, folder=Path(name)) for name in "abc"], MergeSettings()).values()
    ) == {
        "train",
        "validation",
        "test",
    }
    with pytest.raises(ConfigError, match="add up to 1"):
        MergeSettings(shares={"train": 0.5})


def test_weights_make_rare_disparities_count(scenes: list[SceneData], tmp_path: Path) -> None:
    one = MergeSettings(shares={"train": 1.0}, balance=True)
    merged = merge_datasets(tmp_path / "all", scenes, one)
    weights = [entry.weight for entry in merged.scenes]
    assert np.isclose(np.mean(weights), 1.0, atol=1e-5)
    assert len(set(weights)) > 1


def test_a_licence_is_the_strictest() -> None:
    free = dataset_licence("cc-by-4.0", "Apache-2.0")
    academic = dataset_licence("cc-by-nc-4.0", "Apache-2.0")
    unknown = dataset_licence(None, "Apache-2.0")
    assert combined_licence({"a": free, "b": free}).identifier == "cc-by-4.0"
    assert combined_licence({"a": free, "b": academic}).non_commercial
    assert combined_licence({"a": free, "b": unknown}).identifier == "unknown"
    assert combined_licence({"a": free, "b": dataset_licence("cc0-1.0", "MIT")}).name == "terms-of-each-scene"


@pytest.mark.skipif(find_spec("mlcroissant") is None, reason="mlcroissant is not installed")
@pytest.mark.filterwarnings("ignore")
def test_the_croissant_names_all_files(scenes: list[SceneData], tmp_path: Path) -> None:
    import mlcroissant

    merge_datasets(tmp_path / "all", scenes, HALVES)
    found = mlcroissant.Dataset(str(tmp_path / "all" / "croissant.json"))
    assert not found.metadata.ctx.issues.errors
    names = {each["@id"] for each in json.loads((tmp_path / "all" / "croissant.json").read_text())["distribution"]}
    assert names == {"shards", *(name for name in files(tmp_path / "all") if name.endswith(".h5"))}


PROGRAM = """
import json, sys, datasets
folder, split, streaming = sys.argv[1], sys.argv[2], sys.argv[3] == "yes"
rows = datasets.load_dataset(folder, split=split, streaming=streaming)
print(json.dumps([{**row, "sample_id": row["sample_id"].decode(), "view_id": row["view_id"].decode()} for row in rows]))
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("datasets") is None, reason="datasets is not installed; see the extra dev")
@pytest.mark.parametrize("streaming", ["yes", "no"])
def test_hugging_faces_reader_sees_the_same(scenes: list[SceneData], tmp_path: Path, streaming: str) -> None:
    merge_datasets(tmp_path / "all", scenes, HALVES)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "all"), "test", streaming]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    rows = json.loads(run.stdout)
    ours = list(read_dataset(tmp_path / "all" / "test"))
    assert len(rows) == len(ours)
    for sample, row in zip(ours, rows, strict=True):
        assert (row.pop("sample_id"), row.pop("view_id")) == (sample.sample_id, sample.view_id)
        assert {"left", "right", "disparity", "confidence", "flags", "baseline", "intrinsics"} <= row.keys()
        for name, value in row.items():
            wanted = np.asarray(getattr(sample, name))
            assert np.array_equal(np.array(value, wanted.dtype), wanted, equal_nan=wanted.dtype.kind == "f")
