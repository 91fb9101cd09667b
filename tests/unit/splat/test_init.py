"""The first Gaussians, the scene extent and the plane sweep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import camera_at, make_points, textured_wall, tiny_scene

from gs_stereo.errors import InputError
from gs_stereo.mvs.first_depth import first_depths
from gs_stereo.splat.config import FitConfig, InitConfig
from gs_stereo.splat.init import (
    initial_gaussians,
    interpolate_depth,
    neighbour_distance,
    scene_extent,
)
from gs_stereo.types import SparseScene


def test_extent_is_the_camera_radius_with_a_margin() -> None:
    cameras = (camera_at("a", -2.0), camera_at("b", 0.0), camera_at("c", 2.0))
    scene = SparseScene(cameras=cameras, points=make_points(np.array([[0, 0, 5.0]])))
    assert scene_extent(scene) == pytest.approx(2.2)


def test_extent_of_coinciding_cameras_comes_from_the_depth() -> None:
    scene = SparseScene(cameras=(camera_at("a", 0.0),) * 2, points=make_points(np.array([[0, 0, 5.0]] * 3)))
    assert scene_extent(scene) == pytest.approx(0.5)
    assert scene_extent(replace(scene, points=make_points(np.zeros((0, 3))))) == pytest.approx(0.1)


def test_neighbour_distance_is_the_mean_of_three() -> None:
    xyz = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3], [50, 0, 0.0]])
    assert neighbour_distance(xyz)[0] == pytest.approx(2.0)


def test_neighbour_distance_equals_brute_force() -> None:
    xyz = np.random.default_rng(0).normal(size=(300, 3)) + 100
    distance = np.sort(np.linalg.norm(xyz[:, None] - xyz[None], axis=-1), axis=1)[:, 1:4].mean(axis=1)
    assert neighbour_distance(xyz) == pytest.approx(distance, rel=1e-3)


def test_coinciding_points_get_a_positive_size() -> None:
    assert (neighbour_distance(np.zeros((40, 3))) > 0).all()
    mixed = np.concatenate([np.zeros((9, 3)), np.random.default_rng(0).normal(size=(20, 3))])
    assert (neighbour_distance(mixed) > 0).all()


def test_interpolated_depth_is_exact_at_points_and_between_equal_ones() -> None:
    xy = np.array([[0, 0], [100, 0], [0, 100], [100, 100.0]])
    depth = interpolate_depth(np.array([[0.0, 0.0], [50, 50]]), xy, np.array([2.0, 4, 4, 4]))
    assert depth[0] == pytest.approx(2.0, rel=1e-3)
    assert 1 / depth[1] == pytest.approx((1 / 2 + 3 / 4) / 4)


def test_colours_and_opacity_of_the_first_gaussians() -> None:
    scene, photos = tiny_scene(4)
    config = FitConfig(sh_degree=2, init=InitConfig(pixels=0, opacity=0.3))
    gaussians = initial_gaussians(scene, photos, {}, config, 0)
    assert len(gaussians) == len(scene.points)
    assert gaussians.sh.shape[1] == 1  # the others join when the fit uses them
    assert gaussians.opacities.tolist() == pytest.approx([0.3] * len(gaussians))
    colours = gaussians.sh[:, 0] * 0.28209479 + 0.5
    assert torch.allclose(colours * 255, torch.from_numpy(scene.points.rgb).float(), atol=1e-3)


@pytest.mark.parametrize("plane_sweep", [True, False])
def test_pixels_are_added_deterministically_with_their_colours(plane_sweep: bool) -> None:
    scene, photos = textured_wall()
    config = FitConfig(init=InitConfig(pixels=300))
    swept = first_depths(scene, photos, config.sweep) if plane_sweep else {}
    first, again = (initial_gaussians(scene, photos, swept, config, 7) for _ in range(2))
    other = initial_gaussians(scene, photos, swept, config, 8)
    assert len(first) == len(scene.points) + 300
    assert torch.equal(first.means, again.means)
    assert not torch.equal(first.means, other.means)
    assert ((first.means[len(scene.points) :, 2] - 2.0).abs() < 0.1).float().mean() > 0.95


def test_a_scene_almost_without_points_is_refused() -> None:
    scene, photos = tiny_scene(4)
    empty = replace(scene, points=make_points(np.zeros((2, 3))), visible_points=())
    with pytest.raises(InputError, match="2 3D points"):
        initial_gaussians(empty, photos, {}, FitConfig(), 0)
