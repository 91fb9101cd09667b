"""transforms.json: conventions, the forms in which it occurs, and clear errors."""

from __future__ import annotations

import json
import math
import unicodedata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import write_png
from gs_stereo.io.transforms import read_transforms

GLOBAL = {"fl_x": 50.0, "fl_y": 51.0, "cx": 31.0, "cy": 25.0, "w": 64, "h": 48}


def matrix(x: float = 0.0) -> list[list[float]]:
    """A camera at (x, 2, 3) that looks along world -z with up +y: the identity rotation of OpenGL."""
    return [[1, 0, 0, x], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]


def write(folder: Path, frames: list[dict[str, Any]], **values: Any) -> Path:
    path = folder / "transforms.json"
    path.write_text(json.dumps({**values, "frames": frames}), encoding="utf-8")
    return path


def image(folder: Path, name: str) -> None:
    write_png(folder / name, np.zeros((48, 64, 3), dtype=np.uint8))


def test_pose_becomes_opencv_and_the_world_stays(tmp_path: Path) -> None:
    image(tmp_path, "images/a.png")
    (frame,) = read_transforms(
        write(tmp_path, [{"file_path": "images/a.png", "transform_matrix": matrix(1)}], **GLOBAL)
    ).frames
    assert frame.name == "a.png"
    world_from_cam = np.linalg.inv(frame.cam_from_world)
    np.testing.assert_allclose(world_from_cam[:3, 3], [1, 2, 3], atol=1e-15)
    np.testing.assert_allclose(world_from_cam[:3, :3] @ [0, 0, 1], [0, 0, -1], atol=1e-15)  # forward
    np.testing.assert_allclose(world_from_cam[:3, :3] @ [0, 1, 0], [0, -1, 0], atol=1e-15)  # down
    np.testing.assert_allclose(frame.intrinsics(64, 48), [[50, 0, 31], [0, 51, 25], [0, 0, 1]])


def test_frame_values_override_global_ones(tmp_path: Path) -> None:
    frames = [
        {"file_path": "a.png", "transform_matrix": matrix()},
        {"file_path": "b.png", "transform_matrix": matrix(), "fl_x": 70.0, "k1": 0.1, "w": 32},
    ]
    first, second = read_transforms(write(tmp_path, frames, **GLOBAL, k2=0.2)).frames
    focals = [np.diag(frame.intrinsics(64, 48))[:2].tolist() for frame in (first, second)]
    assert focals == [[50.0, 51.0], [70.0, 51.0]]
    assert (first.distortion, second.distortion) == ((0.0, 0.2, 0.0, 0.0, 0.0), (0.1, 0.2, 0.0, 0.0, 0.0))
    assert second.size == (32, 48)


@pytest.mark.parametrize("said", [{"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}])
def test_fisheyes_of_nerfstudio_and_instant_ngp(tmp_path: Path, said: dict[str, Any]) -> None:
    frames = [{"file_path": "a.png", "transform_matrix": matrix(), "k1": 0.1, "k2": 0.2, "k3": 0.3, "k4": 0.4}]
    (frame,) = read_transforms(write(tmp_path, frames, **GLOBAL, **said)).frames
    assert frame.entry.fisheye
    assert frame.distortion == (0.1, 0.2, 0.3, 0.4)


@pytest.mark.parametrize("written", ["./train/r_0", "train/r_0", "train/r_0.png", "../scene/train/r_0"])
def test_ways_to_write_a_path(tmp_path: Path, written: str) -> None:
    folder = tmp_path / "scene"
    image(folder, "train/r_0.png")
    frames = [{"file_path": written, "transform_matrix": matrix()}]
    (frame,) = read_transforms(write(folder, frames, camera_angle_x=1.0)).frames
    assert frame.path is not None
    assert frame.path.samefile(folder / "train/r_0.png")
    assert frame.name == "r_0.png"
    assert frame.intrinsics(64, 48)[0, 0] == pytest.approx(32 / math.tan(0.5))


@pytest.mark.parametrize(("on_disk", "written"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_may_be_written_in_another_form(
    tmp_path: Path, on_disk: Literal["NFC", "NFD"], written: Literal["NFC", "NFD"]
) -> None:
    name = unicodedata.normalize(on_disk, "Büro é.png")
    image(tmp_path, name)
    frames = [{"file_path": unicodedata.normalize(written, "Büro é"), "transform_matrix": matrix()}]
    (frame,) = read_transforms(write(tmp_path, frames, **GLOBAL)).frames
    assert frame.path == tmp_path / name


def test_shared_folder_is_left_out_of_names(tmp_path: Path) -> None:
    frames = [{"file_path": f"data/{name}", "transform_matrix": matrix()} for name in ("x/1.png", "y/1.png")]
    assert [frame.name for frame in read_transforms(write(tmp_path, frames, **GLOBAL)).frames] == ["x/1.png", "y/1.png"]


def test_missing_image_is_reported_not_fatal(tmp_path: Path) -> None:
    (frame,) = read_transforms(
        write(tmp_path, [{"file_path": "no.png", "transform_matrix": matrix()}], **GLOBAL)
    ).frames
    assert frame.path is None


BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "panorama": ({}, {**GLOBAL, "camera_model": "EQUIRECTANGULAR"}, "no pinhole image"),
    "k4 of no fisheye": ({"k4": 0.1}, GLOBAL, "is no fisheye"),
    "p1 of a fisheye": ({"is_fisheye": True, "p1": 0.1}, GLOBAL, "fisheye with p1"),
    "no focal": ({}, {"w": 64, "h": 48}, "focal"),
    "negative focal": ({"fl_x": -5}, GLOBAL, "fl_x"),
    "text": ({"fl_x": "50"}, GLOBAL, "fl_x"),
    "stretched rotation": ({"transform_matrix": np.diag([2.0, 1, 1, 1]).tolist()}, GLOBAL, "lengths 2, 1, 1"),
    "mirror": ({"transform_matrix": np.diag([-1.0, 1, 1, 1]).tolist()}, GLOBAL, "no rotation"),
    "no pose": ({"transform_matrix": None}, GLOBAL, "transform_matrix"),
    "short pose": ({"transform_matrix": [[1, 2], [3, 4]]}, GLOBAL, "transform_matrix"),
    "flat angle": ({}, {"camera_angle_x": 3.2}, "camera_angle_x"),
    "far centre": ({"cx": 1e300}, GLOBAL, "cx"),
    "no path": ({"file_path": 3}, GLOBAL, "file_path"),
    "empty path": ({"file_path": "../.."}, GLOBAL, "file_path"),
    "huge": ({"w": 1e8}, GLOBAL, r"\(w: "),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_frames_are_one_sentence(tmp_path: Path, case: str) -> None:
    frame, values, expected = BAD[case]
    path = write(tmp_path, [{"file_path": "a.png", "transform_matrix": matrix(), **frame}], **values)
    with pytest.raises(InputError, match=expected) as caught:
        read_transforms(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"frames": []}', '{"frames": [1]}', '{"w": NaN}', "[" * 100000, '{"w": 1e999, "frames": [{}]}'],
)
def test_bad_documents_are_input_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / "transforms.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError):
        read_transforms(tmp_path / "transforms.json")


def test_same_image_twice_is_refused(tmp_path: Path) -> None:
    frames = [{"file_path": name, "transform_matrix": matrix()} for name in ("a.png", "./a.png")]
    with pytest.raises(InputError, match="same file_path"):
        read_transforms(write(tmp_path, frames, **GLOBAL))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_one_bad_frame_is_left_out_and_named(tmp_path: Path, bad: float) -> None:
    broken = matrix()
    broken[0][3] = bad
    frames = [{"file_path": f"{name}.png", "transform_matrix": pose} for name, pose in (("a", matrix()), ("b", broken))]
    read = read_transforms(write(tmp_path, frames, **GLOBAL))
    assert [frame.name for frame in read.frames] == ["a.png"]
    assert list(read.failed) == ["b.png"]


def test_the_scale_of_a_pose_is_taken_out_and_told(tmp_path: Path) -> None:
    scaled = np.diag([1.3, 1.3, 1.3, 1.0])
    scaled[:3, 3] = 1, 2, 3
    read = read_transforms(write(tmp_path, [{"file_path": "a.png", "transform_matrix": scaled.tolist()}], **GLOBAL))
    (frame,) = read.frames
    world_from_cam = np.linalg.inv(frame.cam_from_world)
    np.testing.assert_allclose(np.linalg.svd(world_from_cam[:3, :3])[1], 1)
    np.testing.assert_allclose(world_from_cam[:3, 3], [1, 2, 3])
    assert "length 1.3" in read.notes[0]
