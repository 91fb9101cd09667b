"""Poses in another convention than was assumed: noticed, named, and put right when told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gs_stereo.errors import InputError
from gs_stereo.geometry.rotations import matrix_from_quaternion
from gs_stereo.io.colmap import read_model, write_model
from gs_stereo.io.colmap_model import ColmapPoints, posed_image
from gs_stereo.sfm.config import Convention, ImportConfig
from gs_stereo.sfm.conventions import CONVENTIONS, MatchedPair, converted, fit_of_matches
from gs_stereo.sfm.importers import import_colmap, import_transforms
from gs_stereo.sfm.publish import ReconstructionResult

OURS: Convention = "cam_from_world_opencv"
GL = np.diag([1.0, -1.0, -1.0, 1.0])


def written_as(cam_from_world: np.ndarray, convention: Convention) -> np.ndarray:
    """The matrix that a file in this convention holds."""
    inverse = np.linalg.inv(cam_from_world)
    return {
        "world_from_cam_opengl": inverse @ GL,
        "world_from_cam_opencv": inverse,
        "cam_from_world_opengl": GL @ cam_from_world,
        "cam_from_world_opencv": cam_from_world,
    }[convention]


def ring(count: int) -> dict[str, np.ndarray]:
    """Cameras on an arc around the origin, 4 units away."""
    poses = {}
    for number in range(count):
        half = 0.25 * number - 0.6
        pose = np.eye(4)
        pose[:3, :3] = matrix_from_quaternion(np.array([np.cos(half), 0.03 * number, np.sin(half), 0.02]))
        pose[:3, 3] = [0.1 * number, 0.05, 4.0]
        poses[f"{number}.jpg"] = pose
    return poses


def matches(poses: dict[str, np.ndarray]) -> Iterator[MatchedPair]:
    xyz = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    rays = {}
    for name, pose in poses.items():
        x = xyz @ pose[:3, :3].T + pose[:3, 3]
        rays[name] = x[:, :2] / x[:, 2:]
    for a, b in combinations(poses, 2):
        yield MatchedPair(names=(a, b), rays_a=rays[a], rays_b=rays[b])


def test_what_is_written_is_what_is_read_back() -> None:
    for truly in CONVENTIONS:
        for pose in ring(3).values():
            np.testing.assert_allclose(converted(written_as(pose, truly), OURS, truly), pose, atol=1e-12)


@pytest.mark.parametrize("truly", CONVENTIONS)
@pytest.mark.parametrize("read_as", CONVENTIONS)
def test_the_convention_that_fits_is_found(read_as: Convention, truly: Convention) -> None:
    poses = ring(5)
    taken = {name: converted(written_as(pose, truly), OURS, read_as) for name, pose in poses.items()}
    fit = fit_of_matches(matches(poses), taken, read_as)
    assert fit.shares is not None
    assert fit.shares[truly] == 1.0
    assert all(fit.shares[other] < 0.4 for other in CONVENTIONS if other != truly)
    problem = fit.problem()
    assert (problem is None) == (read_as == truly)
    if problem is not None:
        assert f"--set poses={truly}" in problem


@pytest.mark.parametrize("motion", ["forward", "aside", "turn"])
def test_right_poses_pass_whatever_the_motion(motion: str) -> None:
    poses = ring(1) | ring(4)
    for number, (name, pose) in enumerate(poses.items()):
        pose[:3, :3] = np.eye(3)
        pose[:3, 3] = {"forward": [0, 0, 4 - 0.8 * number], "aside": [0.5 * number, 0, 4]}.get(motion, [0, 0, 4])
        if motion == "turn":
            poses[name][:3, :3] = matrix_from_quaternion(np.array([1.0, 0.0, 0.1 * number, 0.03 * number]))
    fit = fit_of_matches(matches(poses), poses, OURS)
    assert fit.shares is not None
    assert fit.shares[OURS] == 1.0
    assert fit.problem() is None
    assert fit.doubts() == ()


def test_poses_of_other_photos_are_refused_and_too_few_matches_are_no_evidence() -> None:
    poses = ring(6)
    # As the poses of an arc in a wild order are.
    mixed = dict(zip(poses, [list(poses.values())[k] for k in (3, 0, 5, 2, 4, 1)], strict=True))
    random = np.random.default_rng(1)
    for pose in mixed.values():
        pose[:3, :3] = matrix_from_quaternion(random.normal(size=4))
    problem = fit_of_matches(matches(ring(6)), mixed, OURS).problem()
    assert problem is not None
    assert "belongs to its photo" in problem
    few = [replace(pair, rays_a=pair.rays_a[:9], rays_b=pair.rays_b[:9]) for pair in matches(ring(3))]
    assert fit_of_matches(few, mixed, OURS).problem() is None


def poses_file(folder: Path, capture: Any, convention: Convention) -> Path:
    frames = [
        {"file_path": c.name, "transform_matrix": written_as(c.cam_from_world, convention).tolist()}
        for c in capture.cameras
    ]
    k = capture.cameras[0].intrinsics
    lens = {"fl_x": k[0, 0], "fl_y": k[1, 1], "cx": k[0, 2], "cy": k[1, 2], "w": 320, "h": 240}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))
    return folder / "transforms.json"


@pytest.fixture(scope="module")
def right(make_capture: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReconstructionResult]:
    """A capture that was imported as it is."""
    folder = tmp_path_factory.mktemp("right")
    path = poses_file(folder, make_capture(folder, 5), "world_from_cam_opengl")
    return folder / "out", import_transforms(path, folder / "out", ImportConfig())


SLOW_CONVENTIONS = ("cam_from_world_opengl", "cam_from_world_opencv")


@pytest.mark.parametrize(
    "truly", ["world_from_cam_opencv", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_CONVENTIONS)]
)
def test_a_transforms_file_in_another_convention_is_refused_and_can_be_read_as_such(
    make_capture: Any, tmp_path: Path, truly: Convention
) -> None:
    capture = make_capture(tmp_path, 5)
    path = poses_file(tmp_path, capture, truly)
    with pytest.raises(InputError, match=f"read as .*--set poses={truly}"):
        import_transforms(path, tmp_path / "out", ImportConfig())
    result = import_transforms(path, tmp_path / "out", ImportConfig(poses=truly))
    for found, given in zip(result.scene.cameras, capture.cameras, strict=True):
        np.testing.assert_allclose(found.cam_from_world, given.cam_from_world, atol=1e-12)
    assert len(result.scene.points.xyz_in_world) > 200


def without_tracks(points: ColmapPoints, count: int) -> ColmapPoints:
    """The first points, as converters write them: nobody sees them."""
    return ColmapPoints(
        ids=points.ids[:count],
        xyz_in_world=points.xyz_in_world[:count],
        rgb=points.rgb[:count],
        error_px=points.error_px[:count],
        track_start=np.zeros(count + 1, dtype=np.int64),
        track=np.empty((0, 2), dtype=np.int64),
    )


@pytest.mark.parametrize("points", ["with tracks", "without tracks", pytest.param("none", marks=pytest.mark.slow)])
def test_inverted_poses_of_a_colmap_model_are_refused(
    right: tuple[Path, ReconstructionResult], tmp_path: Path, points: str
) -> None:
    folder, result = right
    model = read_model(folder / "sparse")
    nothing = np.empty((0, 2)), np.empty(0, dtype=np.int64)
    for image_id, image in model.images.items():
        seen = (image.points_xy, image.point_ids) if points == "with tracks" else nothing
        inverse = np.linalg.inv(image.cam_from_world)
        model.images[image_id] = posed_image(image.name, image.camera_id, inverse, *seen)
    if points != "with tracks":
        model = replace(model, points=without_tracks(model.points, 40 if points == "without tracks" else 0))
    write_model(tmp_path / "model", model)
    with pytest.raises(InputError, match="--set poses=world_from_cam_opencv"):
        import_colmap(tmp_path / "model", folder / "images", tmp_path / "out", ImportConfig())
    config = ImportConfig(poses="world_from_cam_opencv")
    found = import_colmap(tmp_path / "model", folder / "images", tmp_path / "out", config)
    np.testing.assert_allclose(
        [camera.cam_from_world for camera in found.scene.cameras],
        [camera.cam_from_world for camera in result.scene.cameras],
        atol=1e-9,
    )
