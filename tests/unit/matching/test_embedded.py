"""The net that comes with the package: complete, small, honest about its origin, and better than block matching."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gs_stereo.benchmarks.evaluate_matcher import EvaluateConfig, evaluate_expert
from gs_stereo.benchmarks.protocol import open_benchmark
from gs_stereo.config import load_yaml, parse_config, shipped
from gs_stereo.nets.shipped import LITE_FOLDER, located
from gs_stereo.nets.weights import load_net


def test_it_is_complete_and_small() -> None:
    names = {path.name for path in LITE_FOLDER.iterdir()}
    assert names == {"weights.safetensors", "net.json", "log_start.jsonl", "log.jsonl", "curves.svg", "README.md"}
    assert sum(path.stat().st_size for path in LITE_FOLDER.iterdir()) < 6_000_000


def test_its_origin_is_told() -> None:
    description = load_net(Path("lite")).description
    assert description.licence == "Apache-2.0"
    assert {label["name"] for label in description.training["labels"]} == {"exact"}
    last = json.loads((LITE_FOLDER / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == description.training["steps"]


def test_its_name_is_a_path_only_where_no_file_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert located(Path("lite")) == LITE_FOLDER
    assert located(tmp_path / "lite") == tmp_path / "lite"
    (tmp_path / "lite").mkdir()
    assert located(Path("lite")) == Path("lite")


def test_it_beats_block_matching_on_a_real_pair() -> None:
    pytest.importorskip("skimage", reason="the pair comes with scikit-image")
    baseline = parse_config(EvaluateConfig, load_yaml(shipped("configs/evaluate/sgbm_baseline.yaml")), where="preset")
    matched, learned = (
        evaluate_expert(expert, open_benchmark("motorcycle", None), config).report.totals["all"]
        for expert, config in (("sgbm", baseline), ("lite", EvaluateConfig()))
    )
    assert learned.scores.bad_image_mean[2.0] < 0.9 * matched.scores.bad_image_mean[2.0]
    assert learned.scores.epe_image_mean < 0.9 * matched.scores.epe_image_mean
