"""Files of views by other programs: the same cameras from every kind, and one sentence for what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import camera_at, make_points, make_scene

from gs_stereo.core.records import write_record
from gs_stereo.errors import InputError
from gs_stereo.io.colmap import model_from_sparse_scene, write_model
from gs_stereo.io.colmap_text import write as write_text_model
from gs_stereo.io.view_files import read_view_file, view_file_parts
from gs_stereo.io.views import CameraRecord, ViewsFile
from gs_stereo.types import Camera

CAMERAS = [
    camera_at("a.png", 0.3, -0.2, 1.0, size=(64, 48), focal_px=50.0, turn_deg=(10.0, -20.0, 5.0)),
    camera_at("b.png", -0.4, 0.1, 0.5, size=(64, 48), focal_px=50.0, turn_deg=(0.0, 30.0, 0.0)),
]
OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


def write_ours(folder: Path) -> Path:
    write_record(folder / "views.json", ViewsFile(views=tuple(map(CameraRecord.of, CAMERAS))))
    return folder / "views.json"


def write_transforms(folder: Path) -> Path:
    frames = [
        {"file_path": camera.name, "transform_matrix": (camera.world_from_cam @ OPENGL_FROM_OPENCV).tolist()}
        for camera in CAMERAS
    ]
    document = {"w": 64, "h": 48, "fl_x": 50.0, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(document))
    return folder / "transforms.json"


def gaussian_splatting_entry(camera: Camera, number: int) -> dict[str, Any]:
    """As `camera_to_JSON` of the 3DGS reference code."""
    return {
        "id": number,
        "img_name": camera.name,
        "width": camera.width,
        "height": camera.height,
        "position": camera.centre_in_world.tolist(),
        "rotation": camera.world_from_cam[:3, :3].tolist(),
        "fy": camera.intrinsics[1, 1],
        "fx": camera.intrinsics[0, 0],
    }


def write_gaussian_splatting(folder: Path) -> Path:
    entries = [gaussian_splatting_entry(camera, number) for number, camera in enumerate(CAMERAS)]
    (folder / "cameras.json").write_text(json.dumps(entries))
    return folder / "cameras.json"


def write_colmap(folder: Path) -> Path:
    scene = make_scene(CAMERAS, make_points(np.array([[0.0, 0.0, 5.0]])))
    write_model(folder / "out/sparse/0", model_from_sparse_scene(scene))
    return folder / "out"


@pytest.mark.parametrize("write", [write_ours, write_transforms, write_gaussian_splatting, write_colmap])
def test_every_kind_gives_the_same_cameras(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path)
    views = read_view_file(path)
    assert [view.name for view in views] == ["a.png", "b.png"]
    for view, camera in zip(views, CAMERAS, strict=True):
        assert (view.width, view.height) == (64, 48)
        np.testing.assert_allclose(view.intrinsics, camera.intrinsics, atol=1e-9)
        np.testing.assert_allclose(view.cam_from_world, camera.cam_from_world, atol=1e-9)
    assert view_file_parts(path)
    assert all(part.is_file() for part in view_file_parts(path))


def test_a_view_of_a_lens_with_distortion_has_none(tmp_path: Path) -> None:
    write_text_model(tmp_path, model_from_sparse_scene(make_scene(CAMERAS, make_points(np.array([[0.0, 0.0, 5.0]])))))
    (tmp_path / "cameras.txt").write_text("1 SIMPLE_RADIAL 64 48 50 32 24 0.1\n")
    assert read_view_file(tmp_path)[0].intrinsics.tolist() == [[50, 0, 32], [0, 50, 24], [0, 0, 1]]


def test_photos_of_two_folders_with_one_name_are_told_apart(tmp_path: Path) -> None:
    entries = [gaussian_splatting_entry(camera, 0) | {"img_name": "same"} for camera in CAMERAS]
    (tmp_path / "cameras.json").write_text(json.dumps(entries))
    assert [view.name for view in read_view_file(tmp_path / "cameras.json")] == ["same-0", "same-1"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "holds no views"),
        ("7", "holds no views"),
        ('[{"img_name": "a"}]', "Entry 0 .* no camera of 3DGS"),
        ("[7]", "Entry 0"),
        ("{", "no JSON|broken"),
        ('{"a": 1}', "is missing"),
        (f'{{"frames": [{{"file_path": "a", "fl_x": 9, "transform_matrix": {np.eye(4).tolist()}}}]}}', "no size"),
    ],
)
def test_what_is_no_file_of_views_is_an_input_error(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=told):
        read_view_file(tmp_path / "x.json")


def test_a_pose_that_is_no_rotation_is_an_input_error(tmp_path: Path) -> None:
    entry = gaussian_splatting_entry(CAMERAS[0], 0) | {"rotation": [[2, 0, 0], [0, 1, 0], [0, 0, 1]]}
    (tmp_path / "cameras.json").write_text(json.dumps([entry]))
    with pytest.raises(InputError, match="must be a rotation"):
        read_view_file(tmp_path / "cameras.json")


def test_a_folder_without_a_model_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no COLMAP model"):
        read_view_file(tmp_path)
