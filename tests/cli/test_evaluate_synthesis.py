"""`gsstereo evaluate-synthesis`: what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from builders import shifted_pair, write_samples
from typer.testing import CliRunner

from gs_stereo.cli.main import app
from gs_stereo.imaging.images import write_png
from gs_stereo.io.disparity_files import write_pfm
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


def test_pairs_of_a_benchmark_are_compared_end_to_end(tmp_path: Path) -> None:
    left, right = shifted_pair((64, 96), 5, 0)
    write_png(tmp_path / "shelf" / "left.png", left)
    write_png(tmp_path / "shelf" / "right.png", right)
    write_pfm(tmp_path / "shelf" / "disp_left.pfm", np.full((64, 96), 5.0))
    words = ["evaluate-synthesis", "--root", str(tmp_path), "--benchmark", "folder", "--set", "side_px=64"]
    assert CliRunner().invoke(app, [*words, "--dry-run"]).stdout.split() == ["shelf"]
    scored = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert [row["title"] for row in scored["rows"]] == ["copy", "shift"]
    assert scored["rows"][1]["mean"]["within_1px"]["mean"] > 0.9
    missing = CliRunner().invoke(app, [*words, "--depth", str(tmp_path), "--quiet"])
    assert missing.exit_code == 3
    assert "depth map" in missing.stderr
