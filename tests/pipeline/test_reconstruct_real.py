"""Structure from motion on real captures; skipped where they are not on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gs_stereo.imaging.images import read_photo
from gs_stereo.io.colmap import read_model, sparse_scene_from_model
from gs_stereo.io.reconstruction import image_path
from gs_stereo.io.transforms import read_transforms
from gs_stereo.sfm.config import ImportConfig, ReconstructConfig
from gs_stereo.sfm.importers import import_colmap
from gs_stereo.sfm.reconstruct import reconstruct

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def need(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{folder} is not on this machine")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_kermit_registers_completely_and_twice_the_same(tmp_path: Path) -> None:
    photos = need(DATA / "captures" / "kermit" / "images")
    first = reconstruct(photos, tmp_path / "a", ReconstructConfig(), seed=0)
    reconstruct(photos, tmp_path / "b", ReconstructConfig(), seed=0)
    assert first.summary.sentence().startswith("11 of 11 photos registered")
    assert first.summary.models == (11,)
    assert first.summary.mean_reprojection_error_px < 0.6
    assert content(tmp_path / "a") == content(tmp_path / "b")
    depth = [
        (first.scene.points.xyz_in_world[seen] @ camera.cam_from_world[2, :3]) + camera.cam_from_world[2, 3]
        for camera, seen in zip(first.scene.cameras, first.scene.visible_points, strict=True)
    ]
    assert np.median(np.concatenate(depth)) == pytest.approx(1.0, rel=1e-3)


def test_room_a_is_imported_without_any_change(tmp_path: Path) -> None:
    room = need(DATA / "exact_gt" / "room_a")
    result = import_colmap(room, room / "images", tmp_path, ImportConfig(metres_per_unit=1.0))
    given = sparse_scene_from_model(read_model(room))
    poses = json.loads((room / "poses.json").read_text(encoding="utf-8"))
    assert (len(result.scene.cameras), len(result.scene.points)) == (24, 7682)
    for camera, expected in zip(result.scene.cameras, given.cameras, strict=True):
        np.testing.assert_array_equal(camera.cam_from_world, expected.cam_from_world)
        assert camera.focal_px == poses["fx"]
    np.testing.assert_array_equal(result.scene.points.xyz_in_world, given.points.xyz_in_world)
    first = result.scene.cameras[0]
    np.testing.assert_array_equal(read_photo(image_path(tmp_path, first)), read_photo(room / "images" / first.name))


def test_fox_transforms_are_read_as_given() -> None:
    path = need(DATA / "captures" / "fox") / "transforms.json"
    given = {
        Path(frame["file_path"]).name: np.array(frame["transform_matrix"])
        for frame in json.loads(path.read_text(encoding="utf-8"))["frames"]
    }
    frames = read_transforms(path).frames
    assert (len(frames), sum(frame.path is not None for frame in frames)) == (67, 50)
    for frame in frames:
        world_from_gl = np.linalg.inv(frame.cam_from_world) @ np.diag([1.0, -1.0, -1.0, 1.0])
        np.testing.assert_allclose(world_from_gl[:3, 3], given[frame.name][:3, 3], atol=1e-12)
        np.testing.assert_allclose(world_from_gl, given[frame.name], atol=1e-6)
