"""What every registered exporter keeps: a true round trip, the same bytes, an honest README, InputError on damage."""

from __future__ import annotations

import hashlib
import shutil
import weakref
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from builders import INFO, make_dataset, make_sample
from exported import FINDERS, pairs_of, sources_of

from gs_stereo.datasets.export import ExportSummary, export_dataset
from gs_stereo.datasets.layouts.pair_files import LabelledPair
from gs_stereo.datasets.layouts.protocol import EXPORTERS, ExportConfig, Exporter, ExportJob
from gs_stereo.datasets.layouts.selection import LabelCounts, selected
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError

NAMES = EXPORTERS.names()
IMAGE_TOLERANCE = {"foundationstereo": 4.0}  # JPEG
WITH_MASK = ("kitti", "middlebury")
WITH_CALIBRATION = ("kitti", "middlebury")
ZERO_IS_UNKNOWN = ("middlebury",)  # its reader takes positive disparities only, as the writer of some sets means it


CONFIG = ExportConfig(photo_licence="CC-BY-4.0")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A data set and its export."""

    exporter: Exporter
    dataset: Path
    samples: list[ShardSample]
    folder: Path
    summary: ExportSummary


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ShardSample]]:
    folder = tmp_path_factory.mktemp("dataset")
    return folder, make_dataset(folder)


@pytest.fixture(scope="module", params=NAMES)
def exported(request: pytest.FixtureRequest, dataset, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exports") / "out"
    summary = export_dataset(dataset[0], folder, request.param, CONFIG)
    exporter = EXPORTERS.load(request.param)()
    return Exported(exporter=exporter, dataset=dataset[0], samples=dataset[1], folder=folder, summary=summary)


@pytest.fixture(params=NAMES)
def exporter(request: pytest.FixtureRequest) -> Exporter:
    return EXPORTERS.load(request.param)()


def tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_same(found: LabelledPair, sample: ShardSample, exporter: Exporter) -> None:
    holds = exporter.holds
    for one, two in ((found.left, sample.left), (found.right, sample.right)):
        error = np.abs(one.astype(int) - two.astype(int))
        assert error.max() <= IMAGE_TOLERANCE.get(exporter.name, 0)
    unknown = holds.too_large(sample.disparity) | ((sample.disparity == 0) & (exporter.name in ZERO_IS_UNKNOWN))
    expected = np.where(unknown, np.nan, sample.disparity).astype(np.float64)
    assert found.disparity.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found.disparity), np.isnan(expected))
    if holds.steps_per_px is None:
        np.testing.assert_array_equal(found.disparity, expected.astype(np.float32))
    else:
        step = 1 / holds.steps_per_px
        near = np.where(np.isnan(expected), np.nan, np.maximum(expected, step))
        assert np.nanmax(np.abs(found.disparity - near)) <= step / 2 + 1e-4  # float32 of 2000 px is good to 1.2e-4
    assert (found.non_occluded is not None) == (exporter.name in WITH_MASK)
    assert (found.calibration is not None) == (exporter.name in WITH_CALIBRATION)
    if found.non_occluded is not None:
        known = np.isfinite(expected)
        np.testing.assert_array_equal(found.non_occluded[known], (sample.flags & 3)[known] == 0)
    if found.calibration is not None:
        np.testing.assert_allclose(found.calibration.intrinsics, sample.intrinsics, rtol=0, atol=1e-9)
        assert found.calibration.focal_px == sample.intrinsics[0, 0]
        assert found.calibration.baseline_m == pytest.approx(sample.baseline * 0.5, rel=1e-12)
        assert found.calibration.doffs_px == 0


def test_round_trip(exported: Exported) -> None:
    exporter, summary, samples = exported.exporter, exported.summary, exported.samples
    found = pairs_of(exporter.name, exported.folder)
    assert summary.samples == len(found) == len(samples)
    for one, sample in zip(found, samples, strict=True):
        assert_same(one, sample, exporter)
    zeros = sum(int((sample.disparity == 0).sum()) for sample in samples) if exporter.name in ZERO_IS_UNKNOWN else 0
    assert summary.labels == sum(int(np.isfinite(one.disparity).sum()) for one in found) + zeros
    too_large = sum(int(exporter.holds.too_large(sample.disparity).sum()) for sample in samples)
    assert summary.left_out == ({"too_large": too_large} if too_large else {})
    assert [path.name for path in exported.folder.parent.iterdir()] == ["out"]  # no litter


def test_names_of_the_writer_are_in_those_of_the_reader(exporter: Exporter, tmp_path: Path) -> None:
    stream = selected((make_sample(n) for n in range(3)), exporter.holds, ExportConfig(), LabelCounts())
    names = exporter.write(tmp_path, stream, ExportJob(info=INFO))
    assert all(one in two.name for one, two in zip(names, sources_of(exporter.name, tmp_path), strict=True))
    assert len(set(names)) == 3


def test_same_data_set_same_bytes(exported: Exported, tmp_path: Path) -> None:
    export_dataset(exported.dataset, tmp_path / "again", exported.exporter.name, CONFIG)
    assert tree(tmp_path / "again") == tree(exported.folder)


def test_one_sample_is_held_at_a_time(exporter: Exporter, tmp_path: Path) -> None:
    made: list[weakref.ref[ShardSample]] = []

    def stream():
        for number in range(5):
            assert sum(one() is not None for one in made) <= 1
            sample = make_sample(number)
            sample = replace(sample, disparity=np.minimum(sample.disparity, 200))
            made.append(weakref.ref(sample))
            yield sample
            del sample

    exporter.write(tmp_path, stream(), ExportJob(info=INFO))


def test_readme_says_units_unknown_scale_and_licence(exported: Exported) -> None:
    _, header, body = (exported.folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(header)["license"] == exported.summary.licence == "cc-by-4.0"
    unknown = f"no label: {exported.exporter.holds.unknown}"
    for part in ("disparity: pixels", unknown, "1 scene unit = 0.5 m", "photos: CC-BY-4.0"):
        assert part in body, part
    assert all(f"`{path}`" in body for path, _ in exported.exporter.holds.files)


@pytest.mark.parametrize("exported", FINDERS, indirect=True)
def test_every_damaged_file_is_an_input_error(exported: Exported, tmp_path: Path) -> None:
    name, out = exported.exporter.name, tmp_path / "out"
    shutil.copytree(exported.folder, out)
    own = {"README.md", "export.json", "im1E.png", "im1L.png"}  # not read by the reader
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in own]
    assert files
    for path in files:
        whole = path.read_bytes()
        is_text = path.suffix == ".txt"
        half = [] if is_text else [whole[: len(whole) // 2]]  # half a text may still say all that is needed
        for damaged in (b"", b"\x00" * 64, whole[:20] + b"\xff" * 40, *half):
            path.write_bytes(damaged)
            with pytest.raises(InputError):
                pairs_of(name, out)
        path.write_bytes(whole)
    assert len(pairs_of(name, out)) == len(exported.samples)


@pytest.mark.parametrize("name", FINDERS)
def test_an_empty_folder_is_an_input_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        FINDERS[name](tmp_path)
