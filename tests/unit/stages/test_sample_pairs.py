"""Data sets of training pairs: the same bytes however they are made, resumed, refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gs_stereo.cli.main import app
from gs_stereo.config import parse_config
from gs_stereo.datasets.torch_reader import StereoDataset
from gs_stereo.datasets.write import verify_dataset
from gs_stereo.errors import InputError
from gs_stereo.executors.local import LocalExecutor
from gs_stereo.stages.sample_pairs import SamplePairsConfig, write_sample_pairs

SETTINGS = {
    "count": 3,
    "samples_per_shard": 2,
    "pairs": {"width": 64, "height": 64, "textures": 4, "texture_px": 32, "objects": [3, 5]},
}
CONFIG = parse_config(SamplePairsConfig, SETTINGS, where="a test")


class _StopsAfter:
    """An executor that is interrupted after some units."""

    def __init__(self, units: int) -> None:
        self.left = units

    def map(self, function: Callable[[Any], Any], units: Sequence[Any], *, workers: int | None = None) -> Iterator[Any]:
        for unit in units:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            yield function(unit)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs") / "train"
    assert write_sample_pairs(folder, CONFIG, 7, LocalExecutor(1)).made
    return folder


def test_the_data_set_is_complete_and_readable(made: Path) -> None:
    index = verify_dataset(made)
    assert (index.sample_count, index.width, index.height) == (3, 64, 64)
    assert [entry.count for entry in index.shards] == [2, 1]
    assert index.info.provenance.name == "exact"
    assert index.info.provenance.licence == "Apache-2.0"
    data = StereoDataset(made)
    assert len(data) == 3
    assert bool(data[2]["valid"].all())
    assert sorted(path.name for path in made.iterdir()) == [
        "README.md",
        "dataset.json",
        "train-00000-of-00002.h5",
        "train-00001-of-00002.h5",
    ]
    assert "exact, for every pixel" in (made / "README.md").read_text()


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "train"
    with pytest.raises(KeyboardInterrupt):
        write_sample_pairs(folder, CONFIG, 7, _StopsAfter(1))
    assert not folder.exists()
    rest = _StopsAfter(1)
    assert write_sample_pairs(folder, CONFIG, 7, rest).made
    assert rest.left == 0  # one shard was left to make
    assert content(folder) == content(made)
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_what_an_interrupted_run_of_other_settings_left_is_not_used(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "train"
    with pytest.raises(KeyboardInterrupt):
        write_sample_pairs(folder, CONFIG, 8, _StopsAfter(1))
    write_sample_pairs(folder, CONFIG, 7, _StopsAfter(2))
    assert content(folder) == content(made)


def test_a_finished_data_set_is_left_alone(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    assert not write_sample_pairs(made, CONFIG, 7, _StopsAfter(0)).made
    assert {path: path.stat().st_mtime_ns for path in made.iterdir()} == before


def test_another_data_set_or_other_files_are_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds something else"):
        write_sample_pairs(made, CONFIG, 8, _StopsAfter(0))
    (tmp_path / "x").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        write_sample_pairs(tmp_path, CONFIG, 7, _StopsAfter(0))
    with pytest.raises(InputError, match="is a file"):
        write_sample_pairs(tmp_path / "x", CONFIG, 7, _StopsAfter(0))


def test_the_verb(tmp_path: Path) -> None:
    settings = [f"--set=pairs.{name}={value}" for name, value in (("textures", 4), ("texture_px", 32))]
    arguments = ["sample-pairs", str(tmp_path / "out"), "--count", "1", "--width", "64", "--height", "64", "--json"]
    planned = json.loads(CliRunner().invoke(app, [*arguments, "--dry-run"]).stdout)
    assert planned == {"folder": str(tmp_path / "out"), "pairs": 1, "shards": 1}
    assert "1 pairs in 1 shards" in CliRunner().invoke(app, [*arguments[:-1], "--dry-run"]).output
    assert not (tmp_path / "out").exists()
    result = CliRunner().invoke(app, [*arguments, "--workers", "1", *settings])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"folder": str(tmp_path / "out"), "pairs": 1, "made": True}
