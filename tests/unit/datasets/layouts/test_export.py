"""`export_dataset`: what is left out, which folders are touched, and that a failure leaves nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import INFO, make_dataset, make_sample
from exported import pairs_of

from gs_stereo.datasets.export import export_dataset
from gs_stereo.datasets.layouts import kitti
from gs_stereo.datasets.layouts.protocol import EXPORTERS, ExportConfig
from gs_stereo.datasets.write import write_dataset
from gs_stereo.errors import InputError, PluginError, StageError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    make_dataset(folder, 2)
    return folder


def test_min_confidence_leaves_labels_out_and_says_so(dataset: Path, tmp_path: Path) -> None:
    summary = export_dataset(dataset, tmp_path / "out", "sceneflow", ExportConfig(min_confidence=0.5))
    samples = [make_sample(number) for number in range(2)]
    kept = [np.isfinite(sample.disparity) & (sample.confidence >= 127.5) for sample in samples]
    for found, mask in zip(pairs_of("sceneflow", tmp_path / "out"), kept, strict=True):
        np.testing.assert_array_equal(np.isfinite(found.disparity), mask)
    known = sum(int(np.isfinite(sample.disparity).sum()) for sample in samples)
    assert summary.labels == sum(int(mask.sum()) for mask in kept)
    assert summary.left_out == {"low_confidence": known - summary.labels}
    assert f"confidence below 0.5: {known - summary.labels} pixels" in (tmp_path / "out" / "README.md").read_text()


def test_export_json_keeps_what_the_layout_cannot(dataset: Path, tmp_path: Path) -> None:
    export_dataset(dataset, tmp_path / "out", "kitti")
    values = json.loads((tmp_path / "out" / "export.json").read_text(encoding="utf-8"))
    for entry, number in zip(values["samples"], range(2), strict=True):
        sample = make_sample(number)
        assert (entry["name"], entry["sample_id"], entry["view_id"]) == (
            f"{number:06d}",
            sample.sample_id,
            sample.view_id,
        )
        np.testing.assert_array_equal(entry["cam_from_world"], sample.cam_from_world)
        np.testing.assert_array_equal(entry["intrinsics"], sample.intrinsics)
    assert values["label_provenance"]["licence"] == "Apache-2.0"
    assert values["left_out"] == {"too_large": 6}
    assert str(tmp_path) not in json.dumps(values)


@pytest.mark.parametrize(
    ("changed", "asked", "fix"),
    [
        ({"confidence": np.zeros((12, 20), np.uint8)}, ExportConfig(min_confidence=0.1), "lower --min-confidence"),
        ({"disparity": np.full((12, 20), 1000, np.float32)}, ExportConfig(), "choose webdataset"),
    ],
)
def test_nothing_left_is_an_error_whose_advice_helps(
    tmp_path: Path, changed: dict[str, Any], asked: ExportConfig, fix: str
) -> None:
    write_dataset(tmp_path / "source", [replace(make_sample(0), **changed)], INFO, sample_count=1)
    with pytest.raises(InputError, match=f"Not one label of .* would be exported; {fix}"):
        export_dataset(tmp_path / "source", tmp_path / "out", "kitti", asked)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    followed = ("webdataset" if "webdataset" in fix else "kitti", ExportConfig())
    assert export_dataset(tmp_path / "source", tmp_path / "out", *followed).labels


def test_a_data_set_without_labels_can_be_exported(tmp_path: Path) -> None:
    samples = [replace(make_sample(0), disparity=np.full((12, 20), np.nan, np.float32))]
    write_dataset(tmp_path / "none", samples, INFO, sample_count=1)
    for name in EXPORTERS.names():
        assert export_dataset(tmp_path / "none", tmp_path / name, name).labels == 0
        (found,) = pairs_of(name, tmp_path / name)
        assert np.isnan(found.disparity).all()


def test_a_failure_leaves_the_old_export(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_dataset(dataset, tmp_path / "out", "sceneflow")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))

    def fail(*_: object) -> str:
        raise InputError("stop")

    monkeypatch.setattr(kitti, "_calibration_text", fail)
    with pytest.raises(InputError, match="stop"):
        export_dataset(dataset, tmp_path / "out", "kitti", force=True)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_only_an_export_is_replaced_and_only_with_force(dataset: Path, tmp_path: Path) -> None:
    export_dataset(dataset, tmp_path / "out", "sceneflow")
    with pytest.raises(InputError, match="not empty"):
        export_dataset(dataset, tmp_path / "out", "kitti")
    export_dataset(dataset, tmp_path / "out", "kitti", force=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "export.json", "training"]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="something else than an export"):
        export_dataset(dataset, tmp_path / "home", "kitti", force=True)
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"
    (tmp_path / "empty").mkdir()
    assert export_dataset(dataset, tmp_path / "empty", "kitti").samples == 2


def test_targets_that_would_harm_the_data_set(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data", 1)
    for target in (tmp_path / "data", tmp_path / "data" / "kitti", tmp_path):
        with pytest.raises(InputError, match="choose another folder"):
            export_dataset(tmp_path / "data", target, "kitti", force=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        export_dataset(tmp_path / "data", tmp_path / "file", "kitti")


def test_broken_data_sets_and_unknown_layouts(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="use one of: kitti, middlebury"):
        export_dataset(tmp_path, tmp_path / "out", "kitty")
    with pytest.raises(InputError, match="no finished dataset"):
        export_dataset(tmp_path, tmp_path.with_name("out"), "kitti")
    make_dataset(tmp_path / "data", 1)
    shard = next((tmp_path / "data").glob("*.h5"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(InputError, match="corrupt"):
        export_dataset(tmp_path / "data", tmp_path / "out", "kitti")
    assert not (tmp_path / "out").exists()


def test_a_data_set_that_is_made_anew_meanwhile_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "data", 2)
    write = kitti.KittiExporter.write

    def slow(self, *arguments):
        names = write(self, *arguments)
        (tmp_path / "data").rename(tmp_path / "data.old")
        make_dataset(tmp_path / "data", 3)
        return names

    monkeypatch.setattr(kitti.KittiExporter, "write", slow)
    with pytest.raises(InputError, match="made anew while it was exported"):
        export_dataset(tmp_path / "data", tmp_path / "out", "kitti")
    assert not (tmp_path / "out").exists()


def test_two_exports_into_one_folder_the_second_is_refused(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = kitti.KittiExporter.write

    def meanwhile(self, *arguments):
        monkeypatch.undo()
        with pytest.raises(StageError, match="Another process is writing"):
            export_dataset(dataset, tmp_path / "out", "kitti")
        return write(self, *arguments)

    monkeypatch.setattr(kitti.KittiExporter, "write", meanwhile)
    assert export_dataset(dataset, tmp_path / "out", "kitti").samples == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
