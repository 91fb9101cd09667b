"""A written sample: its files, its bytes, and that its truth is true."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gs_stereo.benchmarks.exact import HIDDEN, OUT_OF_FRAME, load_exact_scene, occlusion_from_depth
from gs_stereo.errors import InputError
from gs_stereo.geometry.disparity import warp_right_to_left
from gs_stereo.geometry.projection import project
from gs_stereo.io.colmap import read_model, sparse_scene_from_model
from gs_stereo.worlds.rooms.config import SampleConfig
from gs_stereo.worlds.rooms.walk import Room
from gs_stereo.worlds.rooms.write import write_sample


def _image(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.float64)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_layout(plain_folder):
    names = set(_digests(plain_folder))
    assert {name for name in names if name.startswith("images/")} == {f"images/{k:03d}.png" for k in range(4)}
    assert names >= {
        "poses.json",
        "README.md",
        "camera_positions.txt",
        "test/images/000.png",
        "test/right_b100/000.png",
        "gt/train/003.npz",
        "gt/test/000.npz",
        "sparse/0/cameras.txt",
        "sparse/0/images.txt",
        "sparse/0/points3D.txt",
    }
    assert _image(plain_folder / "images/000.png").shape == (120, 160, 3)
    assert not [path for path in plain_folder.parent.iterdir() if path.name.startswith(".")]


def test_the_same_seed_gives_the_same_bytes(plain_folder, tiny_config, tmp_path):
    """In another process, for nothing may hang on the order or state of this one; the README alone names the folder."""
    code = (
        "import sys, pathlib; from gs_stereo.worlds.rooms.config import SampleConfig as C;"
        "from gs_stereo.worlds.rooms.write import write_sample as w;"
        "w(pathlib.Path(sys.argv[1]), C.model_validate_json(sys.argv[2]), 0)"
    )
    root = Path(__file__).parents[3]
    again = tmp_path / plain_folder.name
    subprocess.run(
        [sys.executable, "-c", code, str(again), tiny_config.model_dump_json()],
        check=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert _digests(again) == _digests(plain_folder)


def test_truth_arrays_agree_with_each_other(plain_folder):
    scene = load_exact_scene(plain_folder)
    for view in (*scene.train, *scene.test):
        with np.load(view.truth_path, allow_pickle=False) as arrays:
            assert set(arrays.files) == {"z", "cls", "occ_b050", "occ_b100", "disp_b050", "disp_b100"}
            z = arrays["z"].astype(np.float64)
            assert np.isfinite(z).all()
            assert (z > 0.3).all()
            np.testing.assert_allclose(arrays["disp_b100"], view.camera.focal_px * 0.1 / z, rtol=1e-5)
            x_right = np.arange(160) + 0.5 - arrays["disp_b100"]
            outside = (arrays["occ_b100"] & OUT_OF_FRAME) > 0
            clear = np.abs(x_right) > 1e-3
            np.testing.assert_array_equal(outside[clear], (x_right < 0)[clear])


@pytest.mark.parametrize("kind", ["plain", "hard"])
def test_disparity_carries_the_right_image_to_the_left(kind, request):
    view = load_exact_scene(request.getfixturevalue(f"{kind}_folder")).test[0]
    left, right = _image(view.image_path), _image(view.right_image_paths[0.1])
    truth = view.truth()
    disparity = truth.disparity(view.camera.focal_px * 0.1)
    clear = (truth.occlusion[0.1] == 0) & (truth.cls != 2)

    def error(rows: int, columns: float) -> float:
        warped = warp_right_to_left(np.roll(right, rows, axis=0), disparity + columns)
        return float(np.nanmean(np.abs(warped - left)[clear]))

    assert error(0, 0.0) < 5.0
    others = [error(1, 0.0), error(-1, 0.0), error(0, 0.5), error(0, -0.5)]
    assert min(others) > 1.4 * error(0, 0.0)
    hidden = np.abs(warp_right_to_left(right, disparity) - left)[(truth.occlusion[0.1] & HIDDEN) > 0]
    assert np.nanmean(hidden) > 20.0


def test_hidden_bits_agree_with_a_depth_buffer(plain_folder):
    for view in load_exact_scene(plain_folder).train:
        truth = view.truth()
        bits = occlusion_from_depth(truth.z, view.camera.focal_px * 0.1)
        inside = (truth.occlusion[0.1] & OUT_OF_FRAME) == 0
        assert np.mean((bits & HIDDEN)[inside] == (truth.occlusion[0.1] & HIDDEN)[inside]) > 0.98
        assert (truth.occlusion[0.1] & HIDDEN).mean() > 0.002


def test_the_sparse_model_is_exact(plain_folder):
    scene, exact = sparse_scene_from_model(read_model(plain_folder)), load_exact_scene(plain_folder)
    assert [camera.name for camera in scene.cameras] == [f"{k:03d}.png" for k in range(4)]
    assert len(scene.points) > 300
    assert (scene.points.track_length >= 2).all()
    for camera, view, seen in zip(scene.cameras, exact.train, scene.visible_points, strict=True):
        np.testing.assert_allclose(camera.cam_from_world, view.camera.cam_from_world, atol=1e-12)
        image_xy, depth = project(camera, scene.points.xyz_in_world[seen])
        column, row = np.floor(image_xy).astype(int).T
        z = view.truth().z[row, column]
        # Points lie between pixel centres, so outlines may differ; on the rest depth agrees.
        assert np.mean(np.abs(depth / z - 1) < 0.02) > 0.9


def test_camera_positions_are_the_camera_centres(plain_folder):
    lines = (plain_folder / "camera_positions.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    for row, view in zip(rows, load_exact_scene(plain_folder).train, strict=True):
        assert row[0] == view.name
        np.testing.assert_allclose([float(value) for value in row[1:]], view.camera.centre_in_world, atol=1e-8)


def test_the_hard_scene_has_every_class_and_a_wide_depth_range(hard_folder):
    truths = [view.truth() for view in load_exact_scene(hard_folder).train]
    counts = np.bincount(np.concatenate([truth.cls.ravel() for truth in truths]), minlength=4)
    assert (counts[:4] / counts.sum() > 0.02).all()
    assert max(truth.z.max() for truth in truths) > 6 * min(truth.z.min() for truth in truths)


def test_glossy_surfaces_depend_on_the_viewer_and_others_do_not(hard_folder):
    """Colours carried from one photo to the next by exact geometry: only glossy ones change."""
    view = load_exact_scene(hard_folder).test[0]
    left, right, truth = _image(view.image_path), _image(view.right_image_paths[0.1]), view.truth()
    change = np.abs(warp_right_to_left(right, truth.disparity(view.camera.focal_px * 0.1)) - left).mean(axis=-1)
    clear = (truth.occlusion[0.1] == 0) & np.isfinite(change)
    # Without outlines, whose mixed pixels change too.
    inner = clear & (occlusion_from_depth(truth.z, view.camera.focal_px * 0.1) == 0)
    assert np.median(change[inner & (truth.cls == 2)]) > 1.5 * np.median(change[inner & (truth.cls == 3)])


def test_a_folder_with_files_is_refused_and_kept(tmp_path, tiny_config):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        write_sample(tmp_path, tiny_config, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_refused(tmp_path, tiny_config):
    (tmp_path / "taken").write_text("keep")
    with pytest.raises(InputError, match="is a file"):
        write_sample(tmp_path / "taken", tiny_config, seed=0)


def test_a_failure_half_way_leaves_nothing(tmp_path, tiny_config, monkeypatch):
    from gs_stereo.worlds.rooms import write

    def fail(work: Path, *_args: object) -> None:
        (work / "images" / "000.png").write_bytes(b"half a photo")
        raise InputError("stop")

    monkeypatch.setattr(Room, "world", lambda *_args: None)
    monkeypatch.setattr(write, "_write_view", fail)
    with pytest.raises(InputError, match="stop"):
        write_sample(tmp_path / "new", SampleConfig(views=3, test_views=0, width=32, height=32), seed=0)
    assert list(tmp_path.iterdir()) == []


def test_poses_json_names_existing_files(plain_folder):
    values = json.loads((plain_folder / "poses.json").read_text())
    assert values["units"] == "metre"
    assert values["fx"] == values["fy"] == 130.0
    for item in (*values["train"], *values["test"]):
        assert (plain_folder / item["image"]).is_file()
        assert (plain_folder / item["gt"]).is_file()
    assert (plain_folder / values["test"][0]["right_b100"]).is_file()
