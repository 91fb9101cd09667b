"""The README's journey on a small sample: run, train on what it made, evaluate the net."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app
from gs_stereo.pipeline.scene import ScenePaths

SMALL_RUN = [
    *("--config", "smoke", "--set", "reconstruct.max_image_size=192", "--set", "fit.iterations=30"),
    *("--set", "label.expert=sgbm"),
]
SMALL_TRAINING = [
    *("--set", "net_settings={volume_channels: [4, 4, 4], refine_channels: 8, refine_steps: 1}"),
    *("--set", "crop_height=64", "--set", "crop_width=96", "--set", "loss.max_disparity_px=32"),
    *("--set", "validation_share=0", "--set", "device=cpu", "--steps", "2", "--batch-size", "2"),
]


def gsstereo(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journey") / "my_room"
    size = ("--views", 8, "--width", 192, "--height", 144, "--set", "test_views=1")
    assert gsstereo("sample", folder, *size).exit_code == 0
    result = gsstereo("run", folder, *SMALL_RUN)
    assert result.exit_code == 0, result.output
    return folder


def test_run_then_train_then_evaluate(scene: Path) -> None:
    result = gsstereo("train", scene, *SMALL_TRAINING)
    assert result.exit_code == 0, result.output
    manifest = json.loads((scene / "gsstereo/train/lite/manifest.json").read_text())
    assert list(manifest["parts"]["inputs"]) == ["dataset/sgbm"]
    net = scene / "gsstereo/train/lite"
    result = gsstereo("evaluate", net, "--benchmark", "exact", "--root", scene, "--limit", 1, "--json")
    assert result.exit_code == 0, result.output
    [pair] = json.loads(result.stdout)["pairs"]
    assert pair["regions"]["noc"]["epe"] > 0


def test_a_data_set_that_is_not_there_names_those_that_are(scene: Path) -> None:
    result = gsstereo("train", scene, "--dataset", "splat")
    assert result.exit_code == 3
    assert "run `gsstereo label` first, or choose what is there: sgbm." in result.stderr


def test_a_scene_without_data_sets_names_the_verb_that_makes_them(tmp_path: Path) -> None:
    result = gsstereo("train", tmp_path)
    assert result.exit_code == 3
    assert "There is no data set" in result.stderr
    assert "run `gsstereo label` first" in result.stderr


def test_the_newest_data_set_is_the_one_that_was_written_last_and_is_finished(tmp_path: Path) -> None:
    for number, name in enumerate(("zeta", "alpha", "alpha.tmp-0123456789ab")):
        index = tmp_path / "gsstereo/dataset" / name / "dataset.json"
        index.parent.mkdir(parents=True)
        index.touch()
        os.utime(index, (number, number))
    assert ScenePaths.of(tmp_path).datasets() == ["zeta", "alpha"]
    assert ScenePaths.of(tmp_path).newest_dataset() == "alpha"
