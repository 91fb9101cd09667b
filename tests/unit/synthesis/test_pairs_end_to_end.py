"""Synthesizers on rectified pairs, end to end: framing, the searched baseline, depth from files, table and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import write_small_model
from stand_in_judges import make_isqoe

from gs_stereo.config import parse_config
from gs_stereo.datasets.layouts.pair_files import Calibration, LabelledPair, PairSource
from gs_stereo.errors import InputError
from gs_stereo.imaging.png import write_gray_png
from gs_stereo.io.disparity_files import write_pfm
from gs_stereo.synthesis.depth_files import read_depth
from gs_stereo.synthesis.evaluate_pairs import source_of
from gs_stereo.synthesis.evaluation import compare_on_pairs
from gs_stereo.synthesis.evaluation_config import EvaluateSynthesisConfig
from gs_stereo.synthesis.framing import square_framing
from gs_stereo.synthesis.protocol import SourceView, SynthesizerSettings
from gs_stereo.synthesis.summary import summary
from gs_stereo.synthesis.warp import WarpSynthesizer

SIZE = (96, 160)
FOCAL_PX = 90.0
SEARCH = {"largest": 0.3, "values": 5, "refinements": 1, "refined_values": 3}


def make_pair(seed: int) -> LabelledPair:
    """Two planes, moved by the very warper that is evaluated."""
    noise = np.random.default_rng(seed).normal(size=(*SIZE, 3))
    left = np.clip(128 + 300 * cv2.GaussianBlur(noise, (0, 0), 1.5), 0, 255).astype(np.uint8)
    disparity = np.full(SIZE, 6.0)
    disparity[30:70, 60:110] = 10.0
    k = np.array([[FOCAL_PX, 0, 80], [0, FOCAL_PX, 48], [0, 0, 1]])
    source = SourceView(image=left, intrinsics=k, depth=FOCAL_PX / disparity)
    right = WarpSynthesizer(SynthesizerSettings()).synthesize(source, 1.0, 0).image
    calibration = Calibration(focal_px=FOCAL_PX, baseline_m=float("nan"))
    return LabelledPair(left=left, right=right, disparity=disparity, calibration=calibration)


def pairs() -> list[PairSource]:
    def reader(seed: int) -> Callable[[], LabelledPair]:
        return lambda: make_pair(seed)

    return [PairSource(name=f"set/pair{seed}", read=reader(seed)) for seed in range(2)]


def config(**values: object) -> EvaluateSynthesisConfig:
    return parse_config(EvaluateSynthesisConfig, {"side_px": 96, "search": SEARCH, **values}, where="test")


def test_the_warper_finds_its_own_scale_and_comes_close(tmp_path: Path) -> None:
    report = compare_on_pairs("toy", pairs(), ["warp", "shift"], config(depth="exact"), 0, pictures=tmp_path)
    assert [row.name for row in report.rows] == ["copy", "warp, oracle depth", "shift"]
    copy, warp, shift = (summary(row.pairs) for row in report.rows)
    assert warp["baseline"].mean == pytest.approx(6 / FOCAL_PX, rel=0.1)  # in median depths
    assert warp["rmse_px"].mean < 1 < copy["rmse_px"].mean
    assert warp["coverage"].mean > 0.7
    assert warp["covered"].mean == 1
    assert warp["psnr"].mean > shift["psnr"].mean > copy["psnr"].mean
    assert warp["slope"].mean == pytest.approx(1, abs=0.1)
    assert warp["relief"].mean > 0.8
    assert abs(shift["relief"].mean) < 0.2
    assert "96x96" in report.to_table()
    assert len(json.loads(json.dumps(report.to_json(), allow_nan=False))["rows"][1]["pairs"]) == 2
    assert len(list(tmp_path.glob("set_pair*.png"))) == 2


def test_a_model_works_at_its_own_size_with_fewer_steps_in_the_search(tmp_path: Path) -> None:
    model = write_small_model(tmp_path / "tiny")
    cache = tmp_path / "cache"
    wanted = config(steps=(3,), seeds=2, search={**SEARCH, "steps": 2}, cache=str(cache))
    report = compare_on_pairs("toy", pairs()[:1], [str(model)], wanted, 0)
    row = report.rows[1]
    assert row.title == "stereospace-small tiny, 3 steps"
    assert [each.seed for each in row.pairs] == [0, 1]
    assert {each.side_px for each in row.pairs} == {160}
    assert row.pairs[0].found == row.pairs[1].found
    assert "160x160" in report.to_table()
    made = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(made) == len(row.pairs[0].found.tried) + 2
    again = compare_on_pairs("toy", pairs()[:1], [str(model)], wanted, 0)
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == made
    for each, before in zip(again.rows[1].pairs, row.pairs, strict=True):
        np.testing.assert_equal(vars(each.scores), vars(before.scores))


def test_depth_comes_from_files_of_any_kind(tmp_path: Path) -> None:
    depth = np.round(1000 * FOCAL_PX / make_pair(0).disparity)
    depth[0, 0] = 0
    np.save(tmp_path / "set_pair0.npy", depth)
    write_pfm(tmp_path / "set_pair1.pfm", np.where(depth > 0, depth, np.nan))
    write_gray_png(tmp_path / "plain.png", depth.astype(np.uint16))
    for name in ("set/pair0", "set/pair1", "plain"):
        found = read_depth(tmp_path, name)
        assert np.isnan(found[0, 0])
        np.testing.assert_allclose(found[1:], depth[1:])
    report = compare_on_pairs("toy", pairs(), ["warp"], config(depth=str(tmp_path)), 0)
    assert report.rows[1].name == "warp"
    assert summary(report.rows[1].pairs)["within_1px"].mean > 0.9


def test_bad_depth_is_said(tmp_path: Path) -> None:
    warp = WarpSynthesizer(SynthesizerSettings())
    with pytest.raises(InputError, match="no depth map"):
        source_of(make_pair(0), warp, config(depth=str(tmp_path)), "a")
    with pytest.raises(InputError, match="give --depth FOLDER or exact"):
        source_of(make_pair(0), warp, config(), "a")
    for values, message in ((np.ones((2, 2)), "not of its picture's size"), (np.zeros(SIZE), "no depth above 0")):
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(InputError, match=message):
            source_of(make_pair(0), warp, config(depth=str(tmp_path)), "a")
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        read_depth(tmp_path, "a")
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(InputError, match="no array of rows and columns"):
        read_depth(tmp_path, "a")


def test_learned_judges_have_their_columns_and_licences(tmp_path: Path) -> None:
    repo = make_isqoe(tmp_path / "isqoe", gain=1.0)
    isqoe = {"repo": repo, "python": sys.executable, "checkpoint": repo / "isqoe_1_1.ckpt", "device": "cpu"}
    report = compare_on_pairs("toy", pairs()[:1], ["shift"], config(isqoe=isqoe), 0)
    [copy] = report.rows[0].pairs
    left = square_framing((160, 96), 96).picture(make_pair(0).left)
    assert copy.judged_by["iSQoE"] == pytest.approx(-left.mean() / 255, abs=1e-3)  # left - 2 left, the made eye
    table = report.to_table()
    assert table.splitlines()[0].split()[2] == "iSQoE"
    assert "research only" in table
