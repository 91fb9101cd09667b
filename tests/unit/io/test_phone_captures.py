"""Folders of Polycam and Record3D: poses, lenses and photos as their makers lay them out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gs_stereo.errors import InputError
from gs_stereo.geometry.rotations import matrix_from_axis_angle, quaternion_from_matrix
from gs_stereo.io.phone_captures import capture_files, read_capture

GL = np.diag([1.0, -1.0, -1.0, 1.0])


def cam_from_world(index: int) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = matrix_from_axis_angle(np.array([0.1 * index, 0.3, -0.2]))
    pose[:3, 3] = 0.1 * index, 0.2, 0.3
    return pose


def photo(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 24)).save(path)


def polycam(folder: Path, kind: str) -> None:
    for index in range(3):
        photo(folder / f"keyframes/{kind}images/{100 + index}.jpg")
        rows = np.linalg.inv(cam_from_world(index)) @ GL
        camera = {f"t_{row}{column}": rows[row, column] for row in range(3) for column in range(4)}
        lens = {"fx": 30.0 + index, "fy": 31.0, "cx": 15.0, "cy": 12.5, "width": 32, "height": 24, "blur_score": 9.0}
        path = folder / f"keyframes/{kind}cameras/{100 + index}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**camera, **lens}))


@pytest.mark.parametrize("kind", ["", "corrected_"])
def test_polycam(tmp_path: Path, kind: str) -> None:
    polycam(tmp_path, "")
    if kind:
        polycam(tmp_path, kind)
        (tmp_path / "keyframes/cameras/100.json").write_text("{}")
    read = read_capture(tmp_path)
    assert read.metres_per_unit == 1.0
    assert [frame.name for frame in read.frames] == ["100.jpg", "101.jpg", "102.jpg"]
    for index, frame in enumerate(read.frames):
        np.testing.assert_allclose(frame.cam_from_world, cam_from_world(index), atol=1e-12)
        np.testing.assert_array_equal(frame.intrinsics(32, 24), [[30 + index, 0, 15], [0, 31, 12.5], [0, 0, 1]])
        assert frame.path == tmp_path / f"keyframes/{kind}images/{100 + index}.jpg"
    assert len(capture_files(tmp_path)) == 3


def test_a_broken_camera_of_polycam_is_named(tmp_path: Path) -> None:
    polycam(tmp_path, "")
    (tmp_path / "keyframes/cameras/101.json").write_text("{}")
    read = read_capture(tmp_path)
    assert len(read.frames) == 2
    assert set(read.failed) == {"101.jpg"}


def record3d(folder: Path, count: int, **values: object) -> None:
    poses = []
    for index in range(count):
        photo(folder / f"rgb/{index}.jpg")
        pose = np.linalg.inv(cam_from_world(index % 3)) @ GL
        poses.append([*np.roll(quaternion_from_matrix(pose[:3, :3]), -1), *pose[:3, 3]])
    said = {"w": 32, "h": 24, "K": [30, 0, 0, 0, 31, 0, 15, 12.5, 1], "fps": 60, "poses": poses, **values}
    (folder / "metadata.json").write_text(json.dumps(said))


def test_record3d(tmp_path: Path) -> None:
    record3d(tmp_path, 12)
    read = read_capture(tmp_path)
    assert [frame.name for frame in read.frames] == [f"{index}.jpg" for index in range(12)]  # frame 2 is before 10
    for index, frame in enumerate(read.frames):
        np.testing.assert_allclose(frame.cam_from_world, cam_from_world(index % 3), atol=1e-9)
        np.testing.assert_array_equal(frame.intrinsics(32, 24), [[30, 0, 15], [0, 31, 12.5], [0, 0, 1]])
    record3d(tmp_path, 12, perFrameIntrinsicCoeffs=[[40 + index, 41, 16, 11] for index in range(12)])
    assert [frame.entry.fl_x for frame in read_capture(tmp_path).frames] == [40 + index for index in range(12)]


def test_long_recordings_are_thinned_evenly(tmp_path: Path) -> None:
    record3d(tmp_path, 301)
    read = read_capture(tmp_path)
    assert len(read.frames) == 150
    assert read.frames[-1].name == "300.jpg"
    assert read.notes == ("150 of 301 frames are used, evenly spread.",)


def test_what_is_no_capture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no capture"):
        read_capture(tmp_path)
    (tmp_path / "metadata.json").write_text('{"w": 1}')
    with pytest.raises(InputError, match=r"metadata\.json is broken"):
        read_capture(tmp_path)
    record3d(tmp_path, 2)
    for path in (tmp_path / "rgb").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="There is no rgb"):
        read_capture(tmp_path)
