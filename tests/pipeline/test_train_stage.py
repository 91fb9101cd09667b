"""The verb `train`: publishes atomically, skips, resumes where it was interrupted, and its net labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders import write_shifted_pairs
from typer.testing import CliRunner

from gs_stereo.cli.main import app
from gs_stereo.cli.training_verbs import data_source
from gs_stereo.training.state import CHECKPOINT_NAME, TrainingState

SMALL = [
    *("--set", "net_settings={volume_channels: [4, 4, 4], refine_channels: 8, refine_steps: 1}"),
    *("--set", "crop_height=32", "--set", "crop_width=48", "--set", "loss.max_disparity_px=16"),
    *("--set", "validation_share=0.2", "--set", "device=cpu", "--set", "checkpoint_every=1"),
    *("--steps", "3", "--batch-size", "2", "--quiet"),
]


def train(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["train", *map(str, arguments), *SMALL])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shifted_pairs(tmp_path_factory.mktemp("data") / "pairs", 8)


def test_an_interrupted_run_is_resumed_published_and_then_skipped(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, steps = TrainingState.save, []

    def save_then_stop(self: TrainingState, path: Path, run_id: str) -> None:
        save(self, path, run_id)
        steps.append(self.step)
        if len(steps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingState, "save", save_then_stop)
    scene, whole = tmp_path / "scene", tmp_path / "whole"
    scene.mkdir()
    whole.mkdir()
    assert train(scene, "--data", f"{data}:2")[0] == 130
    assert not (scene / "gsstereo/train/lite").exists()
    assert list((scene / "gsstereo/train").glob(f"lite.tmp-*/.checkpoints/{CHECKPOINT_NAME}"))
    code, output = train(scene, "--data", f"{data}:2")
    assert code == 0
    assert "resumed" in output
    assert steps == [1, 2, 3, 3]  # nothing done twice; the last is the end of the run
    assert train(whole, "--data", f"{data}:2")[0] == 0
    published, twin = scene / "gsstereo/train/lite", whole / "gsstereo/train/lite"
    names = {path.name for path in published.iterdir()}
    assert names == {"weights.safetensors", "net.json", "log.jsonl", "curves.svg", "README.md", "manifest.json"}
    for name in names - {"manifest.json"}:
        assert (published / name).read_bytes() == (twin / name).read_bytes()
    assert "Nothing to do" in train(scene, "--data", f"{data}:2")[1]
    manifest = json.loads((published / "manifest.json").read_text())
    assert set(manifest["parts"]["external"]) == {"(data 0)"}


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", str(tmp_path)])
    assert result.exit_code == 3
    assert "gsstereo label" in result.stderr
    code = CliRunner().invoke(app, ["train", str(tmp_path), "--data", str(tmp_path / "nowhere")]).exit_code
    assert code == 3


def test_weights_of_data_sets(tmp_path: Path) -> None:
    odd = tmp_path / "scene:2"
    odd.mkdir()
    assert data_source(f"{tmp_path}:0.5") == {"path": str(tmp_path), "weight": 0.5}
    assert data_source(str(odd)) == {"path": str(odd)}
    assert data_source(f"{odd}:3") == {"path": str(odd), "weight": 3.0}
    assert data_source("C:data")["path"].endswith("C:data")
