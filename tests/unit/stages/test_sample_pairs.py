"""Data sets of training pairs: the same bytes however they are made, resumed, refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app
from gs_stereo.config import parse_config
from gs_stereo.datasets.torch_reader import StereoDataset
from gs_stereo.datasets.write import verify_dataset
from gs_stereo.executors.local import LocalExecutor
from gs_stereo.pipeline.cell import StageReport
from gs_stereo.pipeline.runner import Run, execute
from gs_stereo.pipeline.scene import ScenePaths
from gs_stereo.stages.sample_pairs import SamplePairsConfig, SamplePairsStage

SETTINGS = {
    "count": 3,
    "samples_per_shard": 2,
    "pairs": {"width": 64, "height": 64, "textures": 4, "texture_px": 32, "objects": [3, 5]},
    "folder": "train",
}
CONFIG = parse_config(SamplePairsConfig, SETTINGS, where="a test")
FILES = ["README.md", "dataset.json", "train-00000-of-00002.h5", "train-00001-of-00002.h5"]


class _StopsAfter(LocalExecutor):
    """An executor that is interrupted after some units."""

    def __init__(self, units: int) -> None:
        super().__init__(1)
        self.left = units

    def map(self, function: Callable[[Any], Any], units: Sequence[Any], *, workers: int | None = None) -> Iterator[Any]:
        for unit in units:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            yield function(unit)


def make(parent: Path, seed: int = 7, executor: LocalExecutor | None = None) -> StageReport:
    paths = ScenePaths(scene=parent, output=parent)
    run = Run(stage=SamplePairsStage(), config=CONFIG, paths=paths, seed=seed)
    return execute(run, executor or LocalExecutor(1))


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = make(tmp_path_factory.mktemp("pairs"))
    assert report.action == "done"
    return report.folder


def test_the_data_set_is_complete_and_readable(made: Path) -> None:
    index = verify_dataset(made)
    assert (index.sample_count, index.width, index.height) == (3, 64, 64)
    assert [entry.count for entry in index.shards] == [2, 1]
    assert index.provenance.name == "exact"
    assert index.provenance.licence == "Apache-2.0"
    assert set(index.config) == {"count", "split", "samples_per_shard", "pairs", "seed", "version"}
    data = StereoDataset(made)
    assert len(data) == 3
    assert bool(data[2]["valid"].all())
    assert sorted(path.name for path in made.iterdir()) == sorted([*FILES, "manifest.json"])
    assert "exact, for every pixel" in (made / "README.md").read_text()


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, executor=_StopsAfter(1))
    assert not (tmp_path / "train").exists()
    rest = _StopsAfter(1)
    assert make(tmp_path, executor=rest).action == "resumed"
    assert rest.left == 0  # one shard was left to make
    assert content(tmp_path / "train") == content(made)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".train.lock"] == ["train"]


def test_what_an_interrupted_run_of_other_settings_left_is_not_used(made: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, seed=8, executor=_StopsAfter(1))
    make(tmp_path, executor=_StopsAfter(2))
    assert content(tmp_path / "train") == content(made)


def test_a_finished_data_set_is_left_alone(made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    assert make(made.parent, executor=_StopsAfter(0)).action == "skipped"
    assert {path: path.stat().st_mtime_ns for path in made.iterdir()} == before


def sample_pairs(folder: Path, *more: object) -> Result:
    small = [f"--set=pairs.{name}={value}" for name, value in (("textures", 4), ("texture_px", 32))]
    size = ("--count", 1, "--width", 64, "--height", 64, "--workers", 1)
    return CliRunner().invoke(app, ["sample-pairs", str(folder), *map(str, [*size, *small, *more])])


def test_another_data_set_or_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/x").write_text("mine")
    assert "holds something else" in sample_pairs(tmp_path / "mine").stderr
    assert "is a file" in sample_pairs(tmp_path / "mine/x").stderr
    folder = tmp_path / "pairs"
    assert sample_pairs(folder).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    refused = sample_pairs(folder, "--seed", 1)
    assert refused.exit_code == 3
    assert "holds something else" in refused.stderr
    assert "was there already" in sample_pairs(folder).stdout
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    (tmp_path / "mine/x").unlink()
    assert sample_pairs(tmp_path / "mine").exit_code == 0  # an empty folder is taken


def test_the_verb(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    planned = json.loads(sample_pairs(folder, "--json", "--dry-run").stdout)
    assert planned == {"folder": str(folder), "pairs": 1, "shards": 1}
    assert "1 pairs in 1 shards" in sample_pairs(folder, "--dry-run").output
    assert not folder.exists()
    result = sample_pairs(folder, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"folder": str(folder), "pairs": 1, "made": True}
