"""Rough depth of photos by comparing them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from builders import textured_wall

from gs_stereo.mvs.plane_sweep import swept_depths


def test_it_finds_the_wall() -> None:
    scene, photos = textured_wall()
    swept = swept_depths(scene, photos)
    assert list(swept) == [camera.name for camera in scene.cameras]
    for view in swept.values():
        known = np.isfinite(view.depth)
        assert known.mean() > 0.75
        assert np.median(np.abs(view.depth[known] - 2.0)) < 0.02
        assert np.isfinite(view.guess).all()
        assert np.array_equal(view.guess[known], view.depth[known])


def test_it_needs_shared_points() -> None:
    scene, photos = textured_wall()
    blind = replace(scene, visible_points=tuple(np.zeros(0, np.int64) for _ in scene.cameras))
    assert swept_depths(blind, photos) == {}


def test_what_a_single_neighbour_sees_is_found_too() -> None:
    scene, photos = textured_wall()
    first = swept_depths(scene, photos)["0.png"].depth
    only_the_second_view_sees = first[4:-4, 12:18]
    assert np.isfinite(only_the_second_view_sees).mean() > 0.7


def test_surfaces_far_behind_the_points_are_in_range() -> None:
    scene, photos = textured_wall()
    near = replace(scene.points, xyz_in_world=scene.points.xyz_in_world * [0.45, 0.45, 0.45])
    swept = swept_depths(replace(scene, points=near), photos)
    found = np.concatenate([view.depth[np.isfinite(view.depth)] for view in swept.values()])
    assert np.median(np.abs(found - 2.0)) < 0.05


def test_photos_of_nothing_common_confirm_almost_nothing() -> None:
    scene, _ = textured_wall()
    random = np.random.default_rng(0)
    noise = {camera.name: random.integers(0, 256, (64, 96, 3), np.uint8) for camera in scene.cameras}
    swept = swept_depths(scene, noise.__getitem__)
    assert np.mean([np.isfinite(view.depth).mean() for view in swept.values()]) < 0.1


def test_the_number_of_threads_does_not_matter() -> None:
    scene, photos = textured_wall()
    threads = torch.get_num_threads()
    runs = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            runs.append(swept_depths(scene, photos))
    finally:
        torch.set_num_threads(threads)
    for name, view in runs[0].items():
        assert np.array_equal(view.guess, runs[1][name].guess)
