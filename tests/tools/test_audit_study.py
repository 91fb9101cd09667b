"""Captures of the study keep exact truth when they are made smaller or spoiled, and its table counts what it says."""

from pathlib import Path

import numpy as np
import pytest
from audit_captures import Capture, write_capture
from audit_study import Labels, Outcome, rank_correlation, summary, table

from gs_stereo.audit.scores import Figure
from gs_stereo.benchmarks.exact import load_exact_scene
from gs_stereo.errors import InputError
from gs_stereo.geometry.projection import project, unproject_depth_map
from gs_stereo.imaging.images import read_photo
from gs_stereo.io.colmap import read_model, sparse_scene_from_model
from gs_stereo.worlds.rooms.config import SampleConfig
from gs_stereo.worlds.rooms.write import write_sample


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "room"
    write_sample(folder, SampleConfig.model_validate({"views": 4, "width": 64, "height": 48, "test_views": 0}), seed=0)
    return folder


def test_halved_captures_show_what_their_truth_says(room: Path, tmp_path: Path) -> None:
    capture = Capture.of(f"{room}+half+every2")
    assert capture.name == "room+half+every2"
    write_capture(tmp_path / "half", capture)
    whole, half = load_exact_scene(room), load_exact_scene(tmp_path / "half")
    assert [view.name for view in half.train] == [view.name for view in whole.train[::2]]
    for view in half.train:
        camera, truth = view.camera, view.truth()
        assert (camera.width, camera.height) == (32, 24)
        before = whole.view(view.name)
        points = unproject_depth_map(camera, truth.z.astype(np.float64)).reshape(-1, 3)
        image_xy, depth = project(before.camera, points)  # pixel centres of the whole view
        np.testing.assert_allclose(image_xy % 1, 0.5, atol=1e-6)
        rows, columns = (image_xy.T[::-1] - 0.5).round().astype(int)
        np.testing.assert_allclose(depth, before.truth().z[rows, columns], rtol=1e-6)
        photo, large = (read_photo(seen.image_path).astype(float) for seen in (view, before))
        here, beside = (np.abs(photo - large[start::2, start::2]).mean() for start in (1, 0))
        assert here < 0.7 * beside


@pytest.mark.parametrize(("spoil", "turned_deg", "focal"), [("turned", 0.3, 1.0), ("focal", 0.0, 1.02)])
def test_spoiled_cameras_are_off_by_what_is_said(
    room: Path, tmp_path: Path, spoil: str, turned_deg: float, focal: float
) -> None:
    write_capture(tmp_path / spoil, Capture.of(f"{room}+{spoil}"))
    cameras = sparse_scene_from_model(read_model(tmp_path / spoil / "sparse/0")).cameras
    for view, camera in zip(load_exact_scene(tmp_path / spoil).train, cameras, strict=True):
        relative = camera.cam_from_world[:3, :3] @ view.camera.cam_from_world[:3, :3].T
        angle = np.rad2deg(np.arccos(np.clip((np.trace(relative) - 1) / 2, -1, 1)))
        assert angle == pytest.approx(turned_deg, abs=1e-3)
        np.testing.assert_allclose(camera.centre_in_world, view.camera.centre_in_world, atol=1e-6)
        assert camera.focal_px / view.camera.focal_px == pytest.approx(focal)


def test_shuffled_photos_are_the_same_photos_elsewhere(room: Path, tmp_path: Path) -> None:
    write_capture(tmp_path / "shuffled", Capture.of(f"{room}+shuffled"))
    names = sorted(path.name for path in (room / "images").iterdir())
    folders = (room / "images", tmp_path / "shuffled/images")
    before, after = ([(folder / name).read_bytes() for name in names] for folder in folders)
    assert sorted(before) == sorted(after)
    assert before != after


def test_unknown_words_are_named() -> None:
    with pytest.raises(InputError, match="'tiny'"):
        Capture.of("plain5+tiny")
    assert Capture.of("plain5+few8+turned").whole == "plain5+few8"


def outcome(capture: str, true: float, own: float, sure: Labels | None = None) -> Outcome:
    return Outcome(
        capture=capture,
        whole="plain1",
        seed=0,
        true=Labels(coverage=0.9, bad_1=true),
        own=Figure(value=own, low=own / 2, high=own * 2),
        sure=sure,
        run_cpu_s=100.0,
        audit_cpu_s=110.0,
    )


def test_the_summary_is_of_captures_that_nobody_spoiled() -> None:
    kept, broken = Labels(coverage=0.7, bad_1=0.009), Labels(coverage=0.8, bad_1=0.02)
    outcomes = [
        outcome("plain1", 0.01, 0.015, kept),
        outcome("plain1", 0.02, 0.05, broken),
        outcome("plain1", 0.03, 0.02),
        outcome("plain1+short", 0.5, 0.001),
    ]
    found = summary(outcomes)
    assert found["draws"] == 3
    assert found["within_factor_1.6"] == 2
    assert found["truth_in_interval"] == 2
    assert (found["promises_given"], found["promises_kept"]) == (2, 1)
    assert found["median_coverage_lost"] == pytest.approx(0.15)
    assert found["median_cost"] == pytest.approx(1.1)
    assert found["rank_correlation"] == pytest.approx(0.5)
    assert table(outcomes).count("\n") == len(outcomes) + 1


def test_rank_correlation_knows_order_only() -> None:
    assert rank_correlation([1, 2, 30], [0.1, 0.5, 0.6]) == pytest.approx(1)
    assert rank_correlation([1, 2, 30], [3, 2, 1]) == pytest.approx(-1)
