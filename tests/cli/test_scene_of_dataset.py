"""Naming a data set by its folder where a verb expects a scene."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gs_stereo.cli.dataset_verbs import scene_of_dataset
from gs_stereo.cli.main import app
from gs_stereo.cli.options import Common
from gs_stereo.errors import InputError


def dataset(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "dataset.json").touch()
    return folder


def test_a_scene_stays_a_scene(tmp_path: Path) -> None:
    common = Common(out=tmp_path / "elsewhere")
    assert scene_of_dataset(tmp_path, "sgbm", common) == (tmp_path, "sgbm", common)


def test_a_data_set_stands_for_its_output_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = dataset(tmp_path / "room" / "gsstereo" / "dataset" / "fused")
    assert scene_of_dataset(inside, None, Common()) == (
        tmp_path / "room",
        "fused",
        Common(out=tmp_path / "room" / "gsstereo"),
    )
    monkeypatch.chdir(inside)
    assert scene_of_dataset(Path(), None, Common())[:2] == (tmp_path / "room", "fused")
    beside = dataset(tmp_path / "results" / "dataset" / "sgbm")
    assert scene_of_dataset(beside, None, Common()) == (tmp_path / "results", "sgbm", Common(out=tmp_path / "results"))


def test_a_data_set_leaves_nothing_else_to_say(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "gsstereo" / "dataset" / "fused")
    for name, common in (("sgbm", Common()), (None, Common(out=tmp_path))):
        with pytest.raises(InputError, match="is a data set itself"):
            scene_of_dataset(folder, name, common)


@pytest.mark.parametrize("verb", ["evaluate-labels", "report"])
def test_a_data_set_outside_of_results_is_a_sentence(verb: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [verb, str(dataset(tmp_path / "moved"))])
    assert result.exit_code == InputError.exit_code
    assert "lies in no folder of results" in result.stderr
