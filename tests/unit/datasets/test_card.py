"""The dataset card: facts counted from shards, and text that a machine and a person can read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from builders import make_info, plain_sample

from gs_stereo.datasets.card import FactCounter, collect_facts, dataset_card, write_card
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.datasets.write import write_dataset
from gs_stereo.types import LabelFlag, Provenance
from gs_stereo.types.labels import FLAG_MEANING

INFO = make_info(
    scene="the: kitchen | äöü",
    provenance=Provenance(name="expert", version="2", licence="non-commercial research", weights_sha256="ab" * 32),
    generator="gs_stereo 0.1.0",
    metres_per_unit=0.25,
)


def make_sample(number: int) -> ShardSample:
    disparity = np.full((4, 10), 10.5, np.float32)
    disparity[:, 5:] = 30.0
    disparity[0] = np.nan
    flags = np.zeros((4, 10), np.uint16)
    flags[0] = LabelFlag.OCCLUDED
    confidence = np.where(np.isnan(disparity), 0, 204).astype(np.uint8)
    baseline = 0.1 if number < 2 else 0.3
    ids = {"sample_id": f"s{number}", "view_id": f"v{number % 2}"}
    return plain_sample(disparity, confidence=confidence, flags=flags, baseline=baseline, **ids)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(tmp_path, (make_sample(number) for number in range(3)), INFO, sample_count=3)
    return tmp_path


def test_facts(folder: Path) -> None:
    facts = collect_facts(folder)
    assert facts.view_count == 2
    assert facts.baselines == ((0.1, 2), (0.3, 1))
    assert facts.coverage == 0.75
    assert facts.mean_confidence == pytest.approx(0.8)
    assert facts.disparity_px == (10.5, 20.25, 30.0)
    assert len(facts.histogram) == 31
    assert (facts.histogram[10], facts.histogram[30]) == (45, 45)
    assert dict(facts.flag_shares)[LabelFlag.OCCLUDED] == 0.25
    assert facts.stack_views == 0


def test_facts_counted_on_the_way_to_the_shards_are_those_of_the_shards(tmp_path: Path) -> None:
    counter = FactCounter()
    samples = counter.watch(make_sample(number) for number in range(3))
    index = write_dataset(tmp_path, samples, INFO, sample_count=3)
    assert counter.facts(index) == collect_facts(tmp_path)


def test_card(folder: Path) -> None:
    text = dataset_card(collect_facts(folder))
    _, header, body = text.split("---\n", 2)
    assert yaml.safe_load(header)["pretty_name"] == "the: kitchen | äöü, stereo, sgbm labels"
    fields = yaml.safe_load(header)
    assert fields["size_categories"] == ["n<1K"]
    assert (fields["license"], fields["license_name"]) == ("other", "non-commercial-expert")
    assert "non-commercial" in fields["tags"]
    (files,) = fields["configs"][0]["data_files"]
    assert (files["split"], [path.name for path in folder.glob(files["path"])]) == (
        "train",
        ["train-00000-of-00001.h5"],
    )
    for part in (
        "3 from 2 views",
        "10 x 4",
        "0.1 (2 samples), 0.3 (1 samples)",
        "1 unit = 0.25 m",
        "non-commercial research",
        "ab" * 32,
        "coverage: 75.0%",
        "10.50 to 30.00 px, mean 20.25 px",
        "| 0 | occluded | 25.00% |",
        "StereoDataset",
        'h5py.File("train-00000-of-00001.h5")',
        "the: kitchen \\| äöü",
    ):
        assert part in body, part
    rows = [line for line in body.splitlines() if "px " in line and "%" in line and " - " in line]
    assert sum(float(row.split("px")[1].split("%")[0]) for row in rows) == pytest.approx(100, abs=0.1)
    assert max(row.count("#") for row in rows) == 40


def test_python_of_the_card_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = dataset_card(collect_facts(folder)).replace("num_workers=2", "num_workers=0")
    monkeypatch.chdir(folder)
    blocks = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    assert len(blocks) == 2
    for block in blocks:
        names: dict[str, object] = {}
        exec(block, names)
        assert names.get("name", "s0") == "s0"
    assert np.isnan(names["disparity"][0]).all()


def test_card_of_unknown_scale_and_no_labels(tmp_path: Path) -> None:
    empty = replace(make_sample(0), disparity=np.full((4, 10), np.nan, np.float32))
    write_dataset(tmp_path, [empty], replace(INFO, metres_per_unit=None), sample_count=1)
    text = dataset_card(collect_facts(tmp_path))
    assert "| scale | unknown |" in text
    assert "(no labelled pixel)" in text


@pytest.mark.parametrize(
    ("photos", "expert", "fields"),
    [
        (None, "no expert weights", {"license": "unknown"}),
        ("CC-BY-4.0", "no expert weights", {"license": "cc-by-4.0"}),
        ("my own terms", "MIT", {"license": "other", "license_name": "my-own-terms"}),
        ("cc-by-4.0", "cc-by-nc-4.0", {"license": "cc-by-nc-4.0"}),
        (None, "cc-by-nc-4.0", {"license": "other", "license_name": "non-commercial-expert"}),
    ],
)
def test_licence_in_the_header_comes_from_both_sources(
    folder: Path, photos: str | None, expert: str, fields: dict[str, str]
) -> None:
    facts = collect_facts(folder)
    info = replace(INFO, provenance=replace(INFO.provenance, licence=expert), config={"photo_licence": photos})
    text = dataset_card(replace(facts, index=replace(facts.index, **vars(info))))
    header = yaml.safe_load(text.split("---\n", 2)[1])
    assert {name: value for name, value in header.items() if name.startswith("license")} == fields
    assert f"- photos: {photos or 'unknown'}" in text


@pytest.mark.parametrize(("count", "size"), [(999, "n<1K"), (1000, "1K<n<10K"), (250_000, "100K<n<1M")])
def test_size_category_is_one_of_hugging_faces(folder: Path, count: int, size: str) -> None:
    facts = collect_facts(folder)
    shards = (replace(facts.index.shards[0], count=count),)
    text = dataset_card(replace(facts, index=replace(facts.index, sample_count=count, shards=shards)))
    assert yaml.safe_load(text.split("---\n", 2)[1])["size_categories"] == [size]


def test_written_beside_each_other_and_the_same_each_time(folder: Path) -> None:
    write_card(folder, collect_facts(folder))
    first = [(folder / name).read_bytes() for name in ("README.md", "croissant.json")]
    write_card(folder, collect_facts(folder))
    assert [(folder / name).read_bytes() for name in ("README.md", "croissant.json")] == first


def test_every_flag_says_what_it_means() -> None:
    assert list(FLAG_MEANING) == list(LabelFlag)
    assert [flag.bit for flag in LabelFlag] == [*range(14)], "shards that are written keep their meaning"
