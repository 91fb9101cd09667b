"""Labels against exact truth: what is counted where, scale, resolution, focal length."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gs_stereo.benchmarks.evaluate_labels import LabelledView, LabelProtocol, evaluate_labels
from gs_stereo.benchmarks.exact import load_exact_scene
from gs_stereo.benchmarks.label_report import reliability_plot
from gs_stereo.errors import InputError
from gs_stereo.types import LabelFlag

NAN = np.nan


@pytest.fixture
def scene(step_scene: Path):
    return load_exact_scene(step_scene)


def label(scene, *, baseline: float = 0.1, metres: float = 1.0, factor: int = 1) -> LabelledView:
    """A perfect label of view 000, at `factor` times the photo's size."""
    truth, camera = scene.train[0].truth(), scene.train[0].camera
    size = np.ones((factor, factor))
    disparity = np.kron(truth.disparity(camera.focal_px * factor * baseline * metres), size)
    bits = np.kron(truth.occlusion_at(baseline * metres, camera.focal_px), size).astype(np.uint16)
    intrinsics = np.diag([factor, factor, 1.0]) @ camera.intrinsics
    return LabelledView(
        view_name="000.png",
        intrinsics=intrinsics,
        baseline=baseline,
        disparity=disparity.astype(np.float32),
        confidence=np.full(disparity.shape, 255, np.uint8),
        flags=bits,
    )


def region(report, name: str, index: int = 0):
    return next(item for item in report.baselines[index].regions if item.region == name)


def test_a_perfect_label_has_no_error(scene):
    report = evaluate_labels([label(scene)], scene)
    scores = report.baselines[0]
    assert (scores.baseline_m, scores.views) == (0.1, 1)
    for name in ("all", "non_occluded", "edge", "plain", "thin"):
        item = region(report, name)
        assert item.disparity.coverage == 1.0
        assert item.disparity.epe_all_pixels == pytest.approx(0.0, abs=1e-6)
        assert item.reliability.ece_all_pixels == pytest.approx(0.0)
    assert scores.occlusion.f1_all_pixels == scores.out_of_frame.f1_all_pixels == 1.0


def test_the_reliability_plot_marks_confidence_and_accuracy(scene):
    half = label(scene)
    wrong = half.disparity.copy()
    wrong[: len(wrong) // 2] += 3
    report = evaluate_labels([replace(half, disparity=wrong, confidence=np.full_like(half.confidence, 230))], scene)
    [title, header, row] = reliability_plot(report).splitlines()
    assert "0.1 m" in title
    assert header.split() == ["confidence", "right", "pixels"]
    accuracy, pixels, bar = row.split()[3], row.split()[4], row[row.index("#") :]
    assert float(accuracy) == 0.5
    assert int(pixels) == wrong.size
    assert bar.count("#") == 25
    assert bar.index("|") == round(230 / 255 * 50)


def test_regions_hold_the_pixels_they_say(scene):
    report = evaluate_labels([label(scene)], scene)
    pixels = {item.region: item.disparity.pixels for item in report.baselines[0].regions}
    # 32 columns of 24 rows: 2 hidden, 2 out of frame, 8 of the board; edges reach 3 pixels past each step.
    assert pixels == {
        "all": 768,
        "non_occluded": 28 * 24,
        "edge": 16 * 24,
        "plain": 24 * 24,
        "thin": 8 * 24,
        "glossy": 0,
        "textureless": 0,
        "sky": 0,
    }
    assert math.isnan(region(report, "glossy").disparity.epe_all_pixels)


def test_errors_and_holes_are_counted_where_they_are(scene):
    sample = label(scene)
    disparity = sample.disparity.copy()
    disparity[:, 12:20] += 1.5
    disparity[:, 10:12] = NAN
    report = evaluate_labels([replace(sample, disparity=disparity)], scene)
    assert region(report, "thin").disparity.bad_all_pixels == {0.5: 1.0, 1.0: 1.0, 2.0: 0.0, 3.0: 0.0}
    assert region(report, "thin").disparity.epe_all_pixels == pytest.approx(1.5)
    assert region(report, "thin").reliability.ece_all_pixels == pytest.approx(1.0)
    assert region(report, "plain").disparity.epe_all_pixels == pytest.approx(0.0, abs=1e-6)
    assert region(report, "plain").disparity.coverage == pytest.approx(22 / 24)
    assert region(report, "non_occluded").disparity.coverage == 1.0


def test_occlusion_is_judged_inside_the_right_image_only(scene):
    sample = label(scene)
    flags = np.zeros_like(sample.flags)
    flags[:, 0] = LabelFlag.OCCLUDED  # out of frame: not judged
    flags[:, 10] = LabelFlag.OCCLUDED  # hidden
    flags[:, 25] = LabelFlag.OCCLUDED | LabelFlag.LOW_ALPHA  # visible
    scores = evaluate_labels([replace(sample, flags=flags)], scene).baselines[0]
    assert (scores.occlusion.precision_all_pixels, scores.occlusion.recall_all_pixels) == (0.5, 0.5)
    assert scores.out_of_frame.recall_all_pixels == 0.0


def test_baselines_are_reported_apart_and_in_order(scene):
    report = evaluate_labels([label(scene, baseline=0.2), label(scene), label(scene)], scene)
    assert [(item.baseline_m, item.views) for item in report.baselines] == [(0.1, 2), (0.2, 1)]
    assert region(report, "all", 1).disparity.epe_all_pixels == pytest.approx(0.0, abs=1e-6)


def test_all_baselines_together_pool_their_pixels(scene):
    good, off = label(scene), label(scene, baseline=0.2)
    off = replace(off, disparity=off.disparity + 1.5, flags=np.zeros_like(off.flags))
    report = evaluate_labels([good, off, good], scene)
    item = next(item for item in report.together.regions if item.region == "all")
    assert (report.together.views, item.disparity.pixels) == (3, 3 * 768)
    assert item.disparity.epe_all_pixels == pytest.approx(0.5, abs=1e-6)
    assert item.reliability.ece_all_pixels == pytest.approx(1 / 3)
    assert item.sparsification.error_px[0] == pytest.approx(0.5, abs=1e-6)
    hits, missed = (scores.occlusion.true_pixels for scores in report.baselines)
    assert report.together.occlusion.recall_all_pixels == pytest.approx(hits / (hits + missed))
    assert report.to_json()["together"]["views"] == 3


def test_a_table_names_few_baselines_and_joins_many(scene):
    few = evaluate_labels([label(scene), label(scene, baseline=0.2)], scene).to_table()
    assert [line for line in few.splitlines() if "baseline" in line] == [
        "baseline 0.1 m",
        "baseline 0.2 m",
        "2 baselines, 0.1 to 0.2 m",
    ]
    many = evaluate_labels([label(scene, baseline=0.1 + 0.01 * step) for step in range(7)], scene)
    assert [line for line in many.to_table().splitlines() if "baseline" in line] == ["7 baselines, 0.1 to 0.16 m"]
    assert "7 baselines" in reliability_plot(many)
    one = evaluate_labels([label(scene)], scene).to_table()
    assert [line for line in one.splitlines() if "baseline" in line] == ["baseline 0.1 m"]


def test_a_label_of_twice_the_size_is_compared_in_its_own_pixels(scene):
    sample = label(scene, factor=2)
    report = evaluate_labels([replace(sample, disparity=sample.disparity + 0.8)], scene)
    assert region(report, "all").disparity.epe_all_pixels == pytest.approx(0.8, abs=1e-5)
    assert region(report, "all").disparity.pixels == 4 * 768


def test_a_given_scale_is_used(scene):
    sample = label(scene, baseline=0.04, metres=2.5)
    report = evaluate_labels([sample], scene, LabelProtocol(metres_per_unit=2.5))
    assert report.baselines[0].baseline_m == 0.1
    assert region(report, "all").disparity.epe_all_pixels == pytest.approx(0.0, abs=1e-6)
    wrong = evaluate_labels([sample], scene)
    assert region(wrong, "all").disparity.epe_all_pixels > 1.0


def test_an_unknown_scale_is_removed_and_said(scene):
    sample = label(scene, baseline=0.04, metres=2.5)
    report = evaluate_labels(iter([sample]), scene, LabelProtocol(metres_per_unit=None))
    assert report.scale_was_estimated
    assert report.metres_per_unit == pytest.approx(2.5, rel=1e-6)
    assert region(report, "all").disparity.epe_all_pixels == pytest.approx(0.0, abs=1e-5)
    assert "estimated from the labels" in report.to_table()


def test_a_slightly_wrong_focal_length_with_its_depth_is_no_error(scene):
    """Structure from motion with f 1 % too long puts everything 1 % too far: the disparity stays that of the photo."""
    sample = label(scene)
    longer = replace(sample, intrinsics=np.diag([1.01, 1.01, 1.0]) @ sample.intrinsics)
    assert region(evaluate_labels([longer], scene), "all").disparity.epe_all_pixels == pytest.approx(0.0, abs=1e-6)


def test_another_focal_length_needs_the_ray_mapping(scene):
    """A view with f = 80 px sees the middle half of the photo, at twice the disparity."""
    sample = label(scene)
    camera, truth = scene.train[0].camera, scene.train[0].truth()
    intrinsics = camera.intrinsics.copy()
    intrinsics[[0, 1], [0, 1]] = 80.0
    column = 8 + np.arange(32) // 2
    disparity = np.broadcast_to(truth.disparity(80.0 * 0.1)[0, column], (24, 32)).astype(np.float32)
    tele = replace(sample, intrinsics=intrinsics, disparity=disparity)
    with pytest.raises(InputError, match="set mapping=ray"):
        evaluate_labels([tele], scene)
    report = evaluate_labels([tele], scene, LabelProtocol(mapping="ray"))
    assert region(report, "all").disparity.epe_all_pixels == pytest.approx(0.0, abs=1e-6)


def test_pixels_beside_the_photo_are_not_counted(scene):
    sample = label(scene)
    intrinsics = sample.intrinsics.copy()
    intrinsics[[0, 1], [0, 1]] = 20.0
    report = evaluate_labels([replace(sample, intrinsics=intrinsics)], scene, LabelProtocol(mapping="ray"))
    assert region(report, "all").disparity.pixels == 16 * 12


def test_drawn_objects_are_not_counted(scene):
    sample = label(scene)
    drawn = np.zeros(sample.flags.shape, bool)
    drawn[4:8, 5:12] = True
    flags = np.where(drawn, np.uint16(LabelFlag.DRAWN_OBJECT), sample.flags)
    disparity = np.where(drawn, np.float32(99), sample.disparity)
    scores = region(evaluate_labels([replace(sample, disparity=disparity, flags=flags)], scene), "all").disparity
    assert scores.pixels == region(evaluate_labels([sample], scene), "all").disparity.pixels - drawn.sum()
    assert scores.coverage == 1
    assert scores.epe_all_pixels == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"view_name": "999.png"}, "no train view"),
        ({"disparity": np.ones((24, 30), np.float32)}, "maps of different sizes"),
        ({"flags": np.zeros((24, 31), np.uint16)}, "maps of different sizes"),
    ],
)
def test_labels_that_do_not_fit_are_refused(scene, change, message):
    with pytest.raises(InputError, match=message):
        evaluate_labels([replace(label(scene), **change)], scene)


def test_another_aspect_is_refused(scene):
    shape = (24, 64)
    wide = replace(
        label(scene),
        disparity=np.ones(shape, np.float32),
        confidence=np.zeros(shape, np.uint8),
        flags=np.zeros(shape, np.uint16),
    )
    with pytest.raises(InputError, match="photo's aspect"):
        evaluate_labels([wide], scene)


@pytest.mark.parametrize("metres", [1.0, None])
def test_no_labels_are_an_error(scene, metres):
    with pytest.raises(InputError):
        evaluate_labels([], scene, LabelProtocol(metres_per_unit=metres))


def test_the_report_as_table_and_json(scene):
    sample = label(scene)
    report = evaluate_labels([sample, replace(label(scene, baseline=0.2), disparity=sample.disparity * NAN)], scene)
    table = report.to_table()
    assert "glossy" not in table
    assert table.count("non_occluded") == 3  # two baselines, and both together
    assert "100.00%" in table
    assert max(map(len, table.splitlines())) <= 80
    values = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert values["baselines"][1]["regions"][0]["epe_all_pixels"] is None
    assert values["baselines"][0]["regions"][0]["coverage"] == 1.0
    assert len(values["baselines"][0]["regions"][0]["reliability"]["accuracy"]) == 15
