"""The reader of exact scenes, with a scene small enough to check by hand, and with the shared one if it is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gs_stereo.benchmarks.exact import HIDDEN, OUT_OF_FRAME, load_exact_scene, occlusion_from_depth
from gs_stereo.errors import InputError


def test_a_scene_is_read(step_scene: Path):
    scene = load_exact_scene(step_scene)
    assert scene.name == "step"
    view = scene.view("photos/000.jpg")
    assert view is scene.train[0]
    assert view.camera.focal_px == 40.0
    truth = view.truth()
    assert truth.z.dtype == np.float32
    np.testing.assert_allclose(truth.disparity(40.0 * 0.1)[0, [0, 15]], [2.0, 4.0])
    assert scene.test[0].right_image_paths == {0.1: step_scene / "test/right_b100/000.png"}


def test_occlusion_of_a_stored_baseline_is_the_stored_one(step_scene: Path):
    view = load_exact_scene(step_scene).train[0]
    truth = view.truth()
    np.testing.assert_array_equal(truth.occlusion_at(0.1 + 1e-9, 40.0), truth.occlusion[0.1])


def test_occlusion_of_another_baseline_is_computed(step_scene: Path):
    """A surface at 1 m covers columns 12 to 19 of one at 2 m: at 0.2 m the 4 columns to its left are hidden."""
    bits = load_exact_scene(step_scene).train[0].truth().occlusion_at(0.2, 40.0)
    np.testing.assert_array_equal(np.flatnonzero(bits[3] & HIDDEN), [8, 9, 10, 11])
    np.testing.assert_array_equal(np.flatnonzero(bits[3] & OUT_OF_FRAME), [0, 1, 2, 3])


def test_an_unknown_view_is_named(step_scene: Path):
    scene = load_exact_scene(step_scene)
    with pytest.raises(InputError, match=r"no train view called 'x\.png'"):
        scene.view("x.png")
    with pytest.raises(InputError, match="no test view called '001'"):
        scene.view("001", "test")


def test_a_folder_without_poses_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"There is no .*poses\.json; name the folder"):
        load_exact_scene(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"width": 1 << 40},
        {"fx": float("nan")},
        {"fx": "wide"},
        {"train": 3},
        {"train": [{"name": "000.png"}]},
        {
            "train": [
                {"name": "a", "image": "../secret.png", "gt": "gt/train/000.npz", "cam_from_world": np.eye(4).tolist()}
            ]
        },
        {"train": [{"name": "a", "image": "no.png", "gt": "gt/train/000.npz", "cam_from_world": np.eye(4).tolist()}]},
        {"train": [{"name": "a", "image": "images/000.png", "gt": "gt/train/000.npz", "cam_from_world": [1, 2]}]},
        {
            "train": [
                {
                    "name": "a",
                    "image": "images/000.png",
                    "gt": "gt/train/000.npz",
                    "cam_from_world": (2 * np.eye(4)).tolist(),
                }
            ]
        },
    ],
)
def test_broken_poses_are_one_sentence(step_scene: Path, change: dict):
    path = step_scene / "poses.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=r"poses\.json (does not describe an exact scene|is broken)"):
        load_exact_scene(step_scene)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "\x00", "3"])
def test_poses_that_are_no_json_object_are_refused(step_scene: Path, text: str):
    (step_scene / "poses.json").write_text(text)
    with pytest.raises(InputError):
        load_exact_scene(step_scene)


def _write_nothing(path: Path) -> None:
    path.write_bytes(b"")


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for index in range(60, len(data) - 400, 7):
        data[index] ^= 0xFF
    path.write_bytes(bytes(data))


def _npy(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.ones((24, 32), np.float32))


def _pickled(path: Path) -> None:
    np.savez(path, z=np.array([{"a": 1}], dtype=object), cls=np.zeros((24, 32), np.uint8))


def _without_classes(path: Path) -> None:
    np.savez(path, z=np.ones((24, 32), np.float32))


def _other_size(path: Path) -> None:
    np.savez(path, z=np.ones((24, 31), np.float32), cls=np.zeros((24, 32), np.uint8))


def _holes(path: Path) -> None:
    np.savez(path, z=np.full((24, 32), np.nan, np.float32), cls=np.zeros((24, 32), np.uint8))


@pytest.mark.parametrize(
    "spoil", [_write_nothing, _cut_short, _damage, _npy, _pickled, _without_classes, _other_size, _holes, Path.unlink]
)
def test_a_broken_truth_file_is_one_sentence(step_scene: Path, spoil):
    view = load_exact_scene(step_scene).train[0]
    spoil(view.truth_path)
    with pytest.raises(InputError, match=r"000\.npz is broken"):
        view.truth()


def test_the_inputs_of_the_warp_stay(step_scene: Path):
    z = np.full((2, 8), 2.0, np.float32)
    before = z.copy()
    assert not (occlusion_from_depth(z, 0.0) & HIDDEN).any()
    np.testing.assert_array_equal(z, before)


def test_the_shared_room_is_read(shared_data: Path):
    folder = shared_data / "exact_gt" / "room_a"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    scene = load_exact_scene(folder)
    assert (len(scene.train), len(scene.test)) == (24, 8)
    truth = scene.view("007.png", "test").truth()
    assert sorted(truth.occlusion) == [0.05, 0.1, 0.2]
    bits, exact = occlusion_from_depth(truth.z, 520 * 0.1), truth.occlusion[0.1]
    inside = (exact & OUT_OF_FRAME) == 0
    np.testing.assert_array_equal(bits & OUT_OF_FRAME, exact & OUT_OF_FRAME)
    assert np.mean((bits & HIDDEN)[inside] == (exact & HIDDEN)[inside]) > 0.995


def test_a_copy_of_the_scene_is_self_contained(step_scene: Path, tmp_path: Path):
    shutil.copytree(step_scene, tmp_path / "copy")
    assert load_exact_scene(tmp_path / "copy").train[0].truth().z.shape == (24, 32)
