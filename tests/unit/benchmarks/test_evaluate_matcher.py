"""The verb `evaluate`: experts on folders of pairs, ranges, measures, files, and the baseline's own figures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from gs_stereo.benchmarks.evaluate_matcher import EvaluateConfig, evaluate_expert, timed
from gs_stereo.benchmarks.protocol import open_benchmark
from gs_stereo.cli.main import app
from gs_stereo.config import load_yaml, parse_config, shipped
from gs_stereo.datasets.layouts.pair_files import LabelledPair
from gs_stereo.io.disparity_files import write_pfm
from gs_stereo.matching.sgbm import SgbmMatcher
from gs_stereo.mvs.sgbm_config import SgbmConfig
from gs_stereo.types import DisparityPrediction, Provenance

SHIFT_PX = 6


@pytest.fixture
def shifted_pairs(tmp_path: Path) -> Path:
    """Two pairs of smooth noise, the right one the left moved by 6 px."""
    for name, seed in (("a", 1), ("b", 2)):
        noise = np.random.default_rng(seed).integers(0, 256, (48, 96 + SHIFT_PX, 3), dtype=np.uint8)
        wide = cv2.GaussianBlur(noise, (0, 0), 1.5)
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "left.png"), wide[:, :96])
        cv2.imwrite(str(tmp_path / name / "right.png"), wide[:, SHIFT_PX:])
        write_pfm(tmp_path / name / "disp_left.pfm", np.full((48, 96), SHIFT_PX, np.float32))
    return tmp_path


class _Recorder:
    """A matcher that takes a range and keeps what it was told."""

    provenance = Provenance(name="recorder", version="1", licence="none")

    def __init__(self) -> None:
        self.told: list[float | None] = []

    def predict(
        self, left: np.ndarray, right: np.ndarray, *, max_disparity_px: float | None = None
    ) -> DisparityPrediction:
        self.told.append(max_disparity_px)
        return DisparityPrediction(disparity=np.zeros(left.shape[:2]))


@pytest.mark.parametrize(
    ("settings", "told"),
    [({}, 16.0), ({"search_margin_px": 0}, 10.0), ({"search_range": 192}, 192.0), ({"search_range": "expert"}, None)],
)
def test_the_search_range_is_a_setting(settings: dict[str, object], told: float | None) -> None:
    pair = LabelledPair(
        left=np.zeros((2, 3, 3), np.uint8),
        right=np.zeros((2, 3, 3), np.uint8),
        disparity=np.array([[1.0, np.nan, 10.0], [2.0, 3.0, 4.0]]),
    )
    matcher = _Recorder()
    answer = timed(matcher, parse_config(EvaluateConfig, settings, where="a test"))(pair)
    assert matcher.told == [told]
    assert answer.search_range_px == told
    assert answer.seconds >= 0
    assert answer.peak_memory_bytes is not None
    assert answer.peak_memory_bytes > 1 << 20


def test_sgbm_on_a_folder(shifted_pairs: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    outcome = evaluate_expert("sgbm", open_benchmark("folder", shifted_pairs), pictures=pictures)
    scores = outcome.report.totals["all"]
    assert scores.scores.images == 2
    assert scores.density > 0.8
    assert scores.value("epe", "image_mean") < 0.1
    assert sorted(path.name for path in pictures.iterdir()) == ["a.png", "b.png"]
    assert "search range: the pair's largest true disparity + 6 px" in outcome.to_table()
    values = outcome.to_json()
    assert values["matcher"]["name"] == "sgbm"
    assert values["pairs"][0]["search_range_px"] == 12.0


def test_limit_takes_the_first_pairs(shifted_pairs: Path) -> None:
    outcome = evaluate_expert("sgbm", open_benchmark("folder", shifted_pairs), EvaluateConfig(limit=1))
    assert [pair.name for pair in outcome.report.pairs] == ["a"]


def test_the_verb_prints_json_and_writes_files(shifted_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["evaluate", "sgbm", "--root", str(shifted_pairs), "--json", "--out", str(out), "--missing", "fill"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["benchmark"] == "folder"
    assert printed["settings"]["missing"] == "fill"
    assert json.loads((out / "report.json").read_text())["totals"] == printed["totals"]
    assert "image_mean" in (out / "report.txt").read_text()


def baseline_sgbm(left: np.ndarray, right: np.ndarray, largest_px: float) -> np.ndarray:
    """The common baseline as one call of OpenCV on padded images: the sample's parameters, 8 paths, filled rows."""
    count = int(np.ceil((largest_px + 8) / 16) * 16)
    engine = cv2.StereoSGBM.create(0, count, 5, 600, 2400, 1, 63, 10, 100, 32, cv2.STEREO_SGBM_MODE_HH)
    padded = [cv2.copyMakeBorder(image, 0, 0, count, 0, cv2.BORDER_REPLICATE) for image in (left, right)]
    return engine.compute(*padded)[:, count:].astype(np.float32) / 16


def test_the_baseline_preset_is_the_common_baseline(shifted_pairs: Path) -> None:
    values = load_yaml(shipped("configs/evaluate/sgbm_baseline.yaml"))
    config = parse_config(SgbmConfig, values["experts"]["sgbm"], where="the preset")
    left, right = (cv2.imread(str(shifted_pairs / "a" / f"{side}.png")) for side in ("left", "right"))
    wanted = baseline_sgbm(left, right, 10.0)
    found = SgbmMatcher(config).predict(left, right, max_disparity_px=10.0 + EvaluateConfig().search_margin_px)
    np.testing.assert_array_equal(np.nan_to_num(found.disparity, nan=-1), np.where(wanted < 0, -1, wanted))
    assert (wanted < 0).any()


def test_a_dry_run_lists_the_pairs(shifted_pairs: Path) -> None:
    arguments = ["evaluate", "sgbm", "--root", str(shifted_pairs), "--dry-run"]
    result = CliRunner().invoke(app, arguments)
    assert result.output.split() == ["a", "b"]
    limited = CliRunner().invoke(app, [*arguments, "--limit", "1", "--json"])
    assert json.loads(limited.stdout) == {"expert": "sgbm", "pairs": ["a"]}


def test_a_net_is_asked_through_the_expert_that_takes_its_file(tmp_path: Path) -> None:
    from gs_stereo.cli.training_verbs import expert_and_settings

    (tmp_path / "net").mkdir()
    (tmp_path / "net/net.json").write_text("{}")
    model = tmp_path / "m.onnx"
    assert expert_and_settings("sgbm", None) == ("sgbm", {})
    assert expert_and_settings(str(model), "d") == ("onnx", {"onnx": {"model": str(model), "description": "d"}})
    expert, settings = expert_and_settings(str(tmp_path / "net"), None)
    assert (expert, settings) == ("checkpoint", {"checkpoint": {"checkpoint": str(tmp_path / "net")}})
