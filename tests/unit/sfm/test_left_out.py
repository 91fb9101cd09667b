"""Poses found again without the photo that they belong to."""

from dataclasses import replace

import numpy as np
import pytest

from gs_stereo.geometry.rotations import matrix_from_axis_angle, quaternion_from_matrix
from gs_stereo.io.colmap import model_from_sparse_scene
from gs_stereo.io.colmap_model import ColmapModel
from gs_stereo.sfm.left_out import left_out_poses
from gs_stereo.types import Camera
from tests.builders import camera_at, make_points, make_scene

FOCAL_PX, PHOTOS, POINTS = 200.0, 5, 60


def cameras() -> list[Camera]:
    return [
        camera_at(f"{number}.jpg", 0.4 * number - 0.8, 0.1 * (number % 2), focal_px=FOCAL_PX, size=(200, 160))
        for number in range(PHOTOS)
    ]


def model(noise_px: float = 0.0, points: int = POINTS) -> ColmapModel:
    """Photos side by side that all see all points."""
    rng = np.random.default_rng(2)
    xyz = rng.uniform((-1, -1, 3), (1, 1, 5), (points, 3))
    everything = tuple(np.arange(points) for _ in range(PHOTOS))
    scene = make_scene(cameras(), make_points(xyz, track_length=PHOTOS), visible_points=everything)
    exact = model_from_sparse_scene(scene)
    images = {
        number: replace(image, points_xy=image.points_xy + rng.normal(0, noise_px, image.points_xy.shape))
        for number, image in exact.images.items()
    }
    return replace(exact, images=images)


def turned(found: ColmapModel, name: str, degrees: float) -> ColmapModel:
    """One photo turned about its own centre."""
    number = next(key for key, image in found.images.items() if image.name == name)
    image = found.images[number]
    pose = image.cam_from_world
    centre = -pose[:3, :3].T @ pose[:3, 3]
    rotation = matrix_from_axis_angle(np.deg2rad([0.0, degrees, 0.0])) @ pose[:3, :3]
    wrong = replace(image, qvec_wxyz=quaternion_from_matrix(rotation), tvec=-rotation @ centre)
    return replace(found, images={**found.images, number: wrong})


def test_exact_poses_do_not_move() -> None:
    found = left_out_poses(model())
    assert found is not None
    assert found.photos == PHOTOS
    assert found.worst_px < 1e-3
    assert found.centre_share < 1e-5


def test_noise_of_the_observations_moves_them_little() -> None:
    found = left_out_poses(model(noise_px=0.3))
    assert found is not None
    assert 0 < found.shift_px < 0.3


@pytest.mark.parametrize("degrees", [0.3, 2.0])
def test_a_turned_photo_is_named_with_how_far_it_is_off(degrees: float) -> None:
    found = left_out_poses(turned(model(noise_px=0.1), "2.jpg", degrees))
    assert found is not None
    assert found.worst == "2.jpg"
    expected_px = FOCAL_PX * np.deg2rad(degrees)
    assert 0.7 * expected_px < found.worst_px < 1.5 * expected_px
    assert found.shift_px < found.worst_px


def test_wrong_matches_are_not_taken_for_a_wrong_pose() -> None:
    exact = model(noise_px=0.1)
    image = exact.images[1]
    shuffled = image.points_xy.copy()
    shuffled[:6] += 30.0
    found = left_out_poses(replace(exact, images={**exact.images, 1: replace(image, points_xy=shuffled)}))
    assert found is not None
    assert found.worst_px < 1.0


def test_too_few_common_points_say_nothing() -> None:
    assert left_out_poses(model(points=8)) is None
    two = model()
    assert left_out_poses(replace(two, images={key: two.images[key] for key in (1, 2)})) is None
    assert left_out_poses(replace(two, images={})) is None
