"""Croissant metadata: valid by MLCommons' own validator, true about every file and column."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from builders import INFO, make_sample, write_samples

from gs_stereo.datasets.card import collect_facts, write_card

# What the format recommends and a dataset that nobody has published yet cannot have.
RECOMMENDED = {"https://schema.org/datePublished", "http://mlcommons.org/croissant/citeAs"}


@pytest.fixture(params=["pairs", "stacks", "stacks with depth"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    samples = [make_sample(number, views=0 if request.param == "pairs" else 2) for number in range(2)]
    if request.param == "stacks with depth":
        samples = [replace(each, view_depth=np.ones(each.views.shape[:3], np.float32)) for each in samples]
    write_card(tmp_path, collect_facts(write_samples(tmp_path, samples)))
    return tmp_path


def test_mlcroissant_finds_no_error(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the validator and what it imports
        import mlcroissant

        metadata = mlcroissant.Dataset(jsonld=str(folder / "croissant.json")).metadata
    assert metadata.name == f"{INFO.scene}, stereo, sgbm labels"
    assert not metadata.ctx.issues.errors
    complaints = [text for text in metadata.ctx.issues.warnings if not any(name in text for name in RECOMMENDED)]
    assert not complaints
    assert [record_set.uuid for record_set in metadata.record_sets] == ["samples"]


def test_mlcroissant_would_find_an_error(folder: Path) -> None:
    values = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    values["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"] = "nowhere"
    (folder / "croissant.json").write_text(json.dumps(values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlcroissant

        with pytest.raises(mlcroissant.ValidationError):
            mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))


def test_files_and_columns_are_as_said(folder: Path) -> None:
    values = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    shards = [entry for entry in values["distribution"] if entry["@type"] == "cr:FileObject"]
    for entry in shards:
        data = (folder / entry["contentUrl"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
        assert entry["contentSize"] == f"{len(data)} B"
    with h5py.File(folder / shards[0]["contentUrl"]) as file:
        fields = {field["name"]: field for field in values["recordSet"][0]["field"]}
        assert set(fields) == set(file)
        for name, field in fields.items():
            shape = tuple(int(size) for size in field.get("arrayShape", "").split(",") if size)
            assert shape == file[name].shape[1:], name
            kind = "text" if file[name].dtype.kind == "S" else file[name].dtype.name
            assert field["dataType"].split(":")[1].lower() == kind, name
