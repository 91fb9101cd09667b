"""`gsstereo evaluate-synthesis`: what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

from builders import write_samples
from typer.testing import CliRunner

from gs_stereo.cli.main import app
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.stack import sample_stack


def test_second_eyes_are_compared_from_the_command_line(tmp_path: Path) -> None:
    worlds = TrainingPairConfig(width=64, height=64, stack_views=3, textures=4, texture_px=64, camera_faults=False)
    write_samples(tmp_path / "stacks", [sample_stack(worlds, 1, 0)])
    words = ["evaluate-synthesis", "warp", "--root", str(tmp_path / "stacks"), "--json"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "scores"), "--quiet"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads((tmp_path / "scores" / "report.json").read_text())
    assert "warp, oracle depth" in (tmp_path / "scores" / "report.txt").read_text()
    listed = CliRunner().invoke(app, [*words[:4], "--dry-run"])
    assert len(listed.stdout.split()) == 1
    wrong = CliRunner().invoke(app, [*words, "--set", "seeds=0"])
    assert wrong.exit_code == 2
