"""Poses are refined to matches, and only kept where matches that were held out agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gs_stereo.geometry.projection import transform
from gs_stereo.geometry.rotations import matrix_from_axis_angle
from gs_stereo.io.reconstruction import load_summary
from gs_stereo.sfm.config import ImportConfig
from gs_stereo.sfm.conventions import MatchedPair, match_errors_rad
from gs_stereo.sfm.refinement import Judgement, held_out_matches, judged, laid_over


def turned(pose: np.ndarray, degrees: float, direction: np.ndarray) -> np.ndarray:
    turn = np.eye(4)
    turn[:3, :3] = matrix_from_axis_angle(np.radians(degrees) * direction / np.linalg.norm(direction))
    return turn @ pose


def some_poses(count: int = 6) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    poses = {}
    for index in range(count):
        pose = turned(np.eye(4), 20.0, random.normal(size=3))
        pose[:3, 3] = random.normal(size=3)
        poses[f"{index}.png"] = pose
    return poses


def pair_of(poses: dict[str, np.ndarray], names: tuple[str, str], xyz: np.ndarray) -> MatchedPair:
    rays = []
    for name in names:
        seen = xyz @ poses[name][:3, :3].T + poses[name][:3, 3]
        rays.append(seen[:, :2] / seen[:, 2:])
    return MatchedPair(names=names, rays_a=rays[0], rays_b=rays[1])


def test_features_that_matches_connect_are_held_out_together() -> None:
    """Of 50 points, each seen in three images; the third one is matched with the second one only."""
    same = np.column_stack([np.arange(50), np.arange(50)])
    first, second = held_out_matches([(4, 7), (7, 9)], [same, same])
    np.testing.assert_array_equal(first, second)
    assert first.sum() == 10
    lone = held_out_matches([(4, 7)], [np.array([[3, 0], [2, 1]])])
    assert [len(each) for each in lone] == [2]


def test_adjusted_poses_come_back_to_the_given_frame() -> None:
    given = some_poses()
    world = np.eye(4)
    world[:3, :3] = matrix_from_axis_angle(np.array([0.3, -0.2, 0.5]))
    world[:3, 3] = 1.0, 2.0, 3.0
    elsewhere = {}
    for name, pose in given.items():
        moved = pose @ world
        moved[:3, 3] *= 2.5
        elsewhere[name] = moved
    back = laid_over(elsewhere, given)
    for name, pose in given.items():
        np.testing.assert_allclose(back[name], pose, atol=1e-12)


@pytest.mark.parametrize(
    ("degrees", "refused"), [(0.5, None), (0.0, "do not agree better"), (7.0, "would turn by 7.0")]
)
def test_held_out_matches_and_caps_decide(degrees: float, refused: str | None) -> None:
    names = ("a.png", "b.png")
    truth = {"a.png": np.eye(4), "b.png": np.eye(4)}
    truth["b.png"][0, 3] = -0.5
    xyz = np.random.default_rng(1).uniform([-1, -1, 3], [1, 1, 5], (80, 3))
    noisy = pair_of(truth, names, xyz)
    noisy = replace(noisy, rays_b=noisy.rays_b + np.random.default_rng(2).normal(0, 5e-4, noisy.rays_b.shape))
    given = {**truth, "b.png": turned(truth["b.png"], degrees, np.array([1.0, 0.0, 0.0]))}
    before, after = (Judgement(poses=poses, matches=[noisy]) for poses in (given, truth))
    found = judged(before, after, focal_px=500.0, depth=4.0, focal_ratio=1.0)
    assert found.accepted == (refused is None)
    assert refused is None or refused in str(found.refused)
    assert found.held_out_matches == 80
    assert found.largest_turn_deg == pytest.approx(degrees, abs=1e-4)
    assert found.farthest == "b.png" or degrees == 0
    assert found.error_after_px == pytest.approx(500 * match_errors_rad([noisy], truth).mean())
    assert 0.1 < found.error_after_px < 0.4


def relative_errors_deg(found: Any, truth: Any) -> np.ndarray:
    """Turns of neighbours against each other, for the frame as a whole is only as good as the given poses."""
    errors = []
    for one, two, a, b in zip(found, found[1:], truth, truth[1:], strict=False):
        wrong = (two.cam_from_world @ one.world_from_cam)[:3, :3] @ (b.cam_from_world @ a.world_from_cam)[:3, :3].T
        errors.append(np.degrees(np.arccos(np.clip((np.trace(wrong) - 1) / 2, -1, 1))))
    return np.array(errors)


def test_poses_of_a_phone_are_refined_and_exact_ones_are_not(capture: Any, tmp_path: Path) -> None:
    from test_importers import write_images, write_transforms

    from gs_stereo.sfm.importers import import_transforms

    random = np.random.default_rng(3)
    shaken = [
        replace(camera, cam_from_world=turned(camera.cam_from_world, 0.4, random.normal(size=3)))
        for camera in capture.cameras
    ]
    write_images(tmp_path, capture)
    path = write_transforms(tmp_path, replace(capture, cameras=tuple(shaken)))
    result = import_transforms(path, tmp_path / "out", ImportConfig())
    refinement = load_summary(tmp_path / "out").refinement
    assert refinement is not None
    assert refinement.accepted
    assert refinement.sentence() in result.summary.notes
    assert refinement.error_after_px < 0.5 * refinement.error_before_px
    assert result.summary.mean_reprojection_error_px < 0.6
    left = relative_errors_deg(result.scene.cameras, capture.cameras)
    assert left.max() < 0.4 * relative_errors_deg(shaken, capture.cameras).max()
    kept = import_transforms(path, tmp_path / "off", ImportConfig(refine="off"))
    assert kept.summary.refinement is None
    for found, given in zip(kept.scene.cameras, shaken, strict=True):
        np.testing.assert_allclose(found.cam_from_world, given.cam_from_world, atol=1e-12)

    exact = import_transforms(write_transforms(tmp_path, capture), tmp_path / "exact", ImportConfig())
    assert exact.summary.refinement is not None
    assert not exact.summary.refinement.accepted
    for found, given in zip(exact.scene.cameras, capture.cameras, strict=True):
        np.testing.assert_allclose(found.cam_from_world, given.cam_from_world, atol=1e-12)


def test_a_model_with_measured_points_is_refined_on_request(capture: Any, tmp_path: Path) -> None:
    """Its focal length is 3 % too long as well. Its points are triangulated again; a predicted one moves."""
    from test_importers import truth_model

    from gs_stereo.io.colmap import write_model
    from gs_stereo.io.colmap_model import posed_image, with_tracks
    from gs_stereo.sfm.importers import import_colmap

    random, model = np.random.default_rng(5), truth_model(capture)
    images = {
        key: posed_image(
            image.name,
            image.camera_id,
            turned(image.cam_from_world, 0.4, random.normal(size=3)),
            image.points_xy,
            np.where(image.point_ids == 1, 1 if key == 1 else -1, image.point_ids),
        )
        for key, image in model.images.items()
    }
    cameras = {key: replace(camera, params=camera.params * [1.03, 1.03, 1, 1]) for key, camera in model.cameras.items()}
    shaken = replace(model, cameras=cameras, images=images, points=with_tracks(model.points, images))
    write_model(tmp_path / "model", shaken)
    config = ImportConfig(refine="on", refine_focal=True)
    result = import_colmap(tmp_path / "model", capture.folder, tmp_path / "out", config)
    refinement = result.summary.refinement
    assert refinement is not None
    assert refinement.accepted
    assert refinement.focal_ratio == pytest.approx(1 / 1.03, abs=0.015)
    assert result.scene.cameras[0].focal_px == pytest.approx(300, rel=0.015)
    assert len(result.scene.points.witnesses) > 100
    [row] = np.flatnonzero(result.scene.points.track_length == 1)
    now = transform(result.scene.cameras[0].cam_from_world, result.scene.points.xyz_in_world[row])
    before = transform(images[1].cam_from_world, model.points.xyz_in_world[model.points.ids == 1][0])
    np.testing.assert_allclose(now, before, atol=1e-9)
    given = [replace(c, cam_from_world=images[k + 1].cam_from_world) for k, c in enumerate(capture.cameras)]
    assert relative_errors_deg(result.scene.cameras, capture.cameras).max() < 0.2
    assert relative_errors_deg(given, capture.cameras).max() > 0.4
