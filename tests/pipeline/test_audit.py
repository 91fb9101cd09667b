"""`gsstereo audit` on a small capture: the planted photos go the way of the real ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from gs_stereo.cli.main import app
from gs_stereo.datasets.read import read_dataset


def gsstereo(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit") / "room"
    steps = (
        ("sample", folder, "--views", 8, "--width", 160, "--height", 120, "--set", "test_views=1"),
        ("import", folder, "--colmap", "sparse/0", "--metres-per-unit", 1),
        ("fit", folder, "--iterations", 150),
        ("render-pairs", folder, "--baseline", 0.05, "--set", "guards.enabled=false"),
        ("label", folder, "--expert", "splat"),
    )
    for step in steps:
        result = gsstereo(*step, "--quiet")
        assert result.exit_code == 0, result.output
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts}
    result = gsstereo("audit", folder, "--quiet")
    assert result.exit_code == 0, result.output
    assert [path for path in before if path.read_bytes() != before[path]] == []  # the capture is left alone
    return folder


def test_labels_are_measured_on_objects_as_those_of_the_capture_were_made(scene: Path) -> None:
    result = gsstereo("audit", scene, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    everywhere = found["regions"][0]
    assert everywhere["region"] == "all"
    assert everywhere["bad_1"]["low"] <= everywhere["bad_1"]["value"] <= everywhere["bad_1"]["high"]
    assert everywhere["coverage"]["value"] > 0.5
    assert 0 < everywhere["epe_px"]["value"] < 2
    assert list((scene / "gsstereo/audit/report").glob("*.png"))
    own, planted = (
        {sample.sample_id: sample for sample in read_dataset(scene / "gsstereo" / folder / "dataset/splat")}
        for folder in (".", "audit/run")
    )
    assert own.keys() == planted.keys()
    for name, sample in own.items():
        np.testing.assert_allclose(sample.cam_from_world, planted[name].cam_from_world, atol=1e-6)
        np.testing.assert_allclose(sample.intrinsics, planted[name].intrinsics)


def test_a_second_audit_does_nothing_and_a_broken_limit_is_the_exit_code(scene: Path) -> None:
    result = gsstereo("audit", scene, "--max-bad-1", 0, "--min-coverage", 100)
    assert result.exit_code == 5, result.output
    assert "bad-1 is" in result.stdout
    assert "coverage is" in result.stdout
    assert "95 % intervals" in result.stdout


def test_labels_keep_a_promise_or_say_that_they_cannot(scene: Path) -> None:
    report = scene / "gsstereo/audit/report/audit.json"
    before = report.read_text()
    head, weakest, rest = before.rpartition('"max_bad_1": 0.1,')
    assert weakest
    report.write_text(head + weakest + re.sub(r'"min_confidence": [\w.]+', '"min_confidence": 0.9', rest, count=1))
    with report.open("a") as file:
        file.write(" " * (len(before) - len(report.read_text())))  # of the size that its manifest says
    result = gsstereo("label", scene, "--expert", "splat", "--guarantee", "bad1<=10%")
    assert result.exit_code == 0, result.output
    folder = scene / "gsstereo/dataset/splat-sure"
    for sample in read_dataset(folder):
        labelled = np.isfinite(sample.disparity)
        assert labelled.any()
        assert (sample.confidence[labelled] >= 230).all()
        assert not sample.confidence[~labelled].any()
    assert "- promise: with 95 % confidence at most 10.00%" in (folder / "README.md").read_text()
    result = gsstereo("label", scene, "--expert", "splat", "--guarantee", "bad1<=0.1%", "--name", "strict")
    assert result.exit_code == 4
    assert "ask for less" in result.stderr


def test_labels_get_the_confidence_that_they_have_on_objects(scene: Path) -> None:
    own = json.loads((scene / "gsstereo/audit/report/audit.json").read_text())["own"]
    result = gsstereo("label", scene, "--expert", "splat", "--recalibrate")
    assert result.exit_code == 0, result.output
    before, after = (
        {sample.sample_id: sample for sample in read_dataset(scene / "gsstereo/dataset" / name)}
        for name in ("splat", "splat-recalibrated")
    )
    shares = []
    for name, sample in before.items():
        labelled = np.isfinite(sample.disparity)
        np.testing.assert_array_equal(after[name].disparity, sample.disparity)
        assert (after[name].confidence[labelled] >= 1).all()
        shares.append(1 - after[name].confidence[labelled & sample.non_occluded] / 255)
    assert np.concatenate(shares).mean() == pytest.approx(own["bad_1"]["value"], abs=0.01)
    assert "recalibrated" in (scene / "gsstereo/dataset/splat-recalibrated/README.md").read_text()
    result = gsstereo("label", scene, "--expert", "splat", "--recalibrate", "--guarantee", "bad1<=5%")
    assert result.exit_code == 2, result.output


def test_a_promise_needs_the_audit_of_the_same_labels(scene: Path) -> None:
    result = gsstereo("label", scene, "--expert", "sgbm", "--guarantee", "bad1<=5%")
    assert result.exit_code == 3
    assert "made with other settings" in result.stderr
    result = gsstereo("label", scene, "--expert", "splat", "--guarantee", "bad2<5")
    assert result.exit_code == 2
    assert "write for example" in result.stderr


def test_the_report_shows_the_audit(scene: Path) -> None:
    assert gsstereo("report", scene, "--dataset", "splat", "--quiet").exit_code in (0, 5)
    page = (scene / "gsstereo/report/index.html").read_text()
    assert 'id="audit"' in page
    assert " objects of exactly known shape" in page


def test_run_audits_its_labels_before_it_reports(scene: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "stages:\n"
        "- {stage: import, set: {colmap: sparse/0, metres_per_unit: 1}}\n"
        "- {stage: fit, set: {iterations: 150}}\n"
        "- {stage: render-pairs, set: {baselines: [0.05], guards: {enabled: false}}}\n"
        "- {stage: label, set: {expert: splat}}\n"
        "- {stage: report, set: {dataset: splat}}\n"
    )
    planted = scene / "gsstereo/audit/run/fit/splat.ply"
    before = planted.stat().st_mtime_ns
    result = gsstereo("run", scene, "--config", recipe, "--audit")
    assert result.exit_code == 0, result.output
    assert result.stdout.index("Verdict") < result.stdout.index("Labels splat on planted objects")
    assert planted.stat().st_mtime_ns == before  # what was up to date is not made again
    result = gsstereo("run", scene, "--config", recipe, "--audit", "--budget", "1h")
    assert result.exit_code == 2
    assert "leave out --budget" in result.stderr


def test_a_scene_without_labels_is_told_what_to_run(tmp_path: Path) -> None:
    result = gsstereo("audit", tmp_path)
    assert result.exit_code == 3
    assert "run `gsstereo label` first" in result.stderr
