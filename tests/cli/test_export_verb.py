"""`gsstereo export`: choice of the data set, results for people and machines, mistakes in one sentence."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from builders import INFO, make_dataset
from click.testing import Result
from typer.testing import CliRunner

from gs_stereo.cli.export_verb import _REASONS
from gs_stereo.cli.main import app
from gs_stereo.datasets.layouts import selection
from gs_stereo.datasets.layouts.protocol import EXPORTERS


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene with two data sets."""
    folder = tmp_path_factory.mktemp("scene")
    for name in ("splat", "sgbm"):
        make_dataset(folder / "gsstereo" / "dataset" / name, 1, info=replace(INFO, label=name))
    return folder


def export(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_help_names_every_layout() -> None:
    text = re.sub(r"\s+", " ", export("--help").output)
    assert all(name in text for name in EXPORTERS.names())
    assert set(_REASONS) == {selection.LOW_CONFIDENCE, selection.TOO_LARGE}


def test_a_scene_with_several_data_sets(scene: Path, tmp_path: Path) -> None:
    result = export(scene, "--format", "kitti", "--to", tmp_path / "out")
    assert result.exit_code == 3
    assert "several datasets (sgbm, splat)" in result.stderr
    result = export(scene, "--format", "kitti", "--dataset", "sgbm", "--to", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1 samples in kitti layout" in result.stdout
    assert "left out: 3 labels, the layout cannot hold so many pixels" in result.stdout
    assert json.loads((tmp_path / "out" / "export.json").read_text())["label"] == "sgbm"


def test_a_data_set_folder_settings_and_json(scene: Path, tmp_path: Path) -> None:
    folder = scene / "gsstereo" / "dataset" / "splat"
    settings = ["--min-confidence", "0.5", "--set", "photo_licence=cc-by-4.0", "--json"]
    result = export(folder, "--format", "sceneflow", "--to", tmp_path / "out", *settings)
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert (values["layout"], values["samples"], values["licence"]) == ("sceneflow", 1, "cc-by-4.0")
    assert values["left_out"]["low_confidence"] > 0
    assert values["folder"] == str(tmp_path / "out")


def test_results_elsewhere(scene: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    arguments = [tmp_path / "photos", "--out", scene / "gsstereo", "--dataset", "splat"]
    assert export(*arguments, "--format", "kitti", "--to", tmp_path / "out").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--format", "kitty"], 2, "There is no exporter called 'kitty'; use one of: kitti, "),
        (["--format", "kitti", "--dataset", "nope"], 3, "There is no data set 'nope'"),
        (["--format", "kitti", "--min-confidence", "2"], 2, "Setting 'min_confidence'"),
        (["--format", "kitti", "--set", "depth=1"], 2, "Unknown setting 'depth'"),
    ],
)
def test_mistakes(scene: Path, tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    result = export(
        scene, *(["--dataset", "splat"] if "--dataset" not in arguments else []), *arguments, "--to", tmp_path / "out"
    )
    assert result.exit_code == code
    assert result.stderr.startswith("gsstereo: ")
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
