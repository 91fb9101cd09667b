"""Rough depth of photos by comparing them, and guesses where that is not sure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import HEIGHT, WIDTH, camera_at, textured_wall

from gs_stereo.mvs.config import SweepConfig
from gs_stereo.mvs.first_depth import FirstDepth, completed, first_depths
from gs_stereo.mvs.views import PosedImage

_CONFIG = SweepConfig()
_NEAR, _FAR = 2.0, 8.0


def test_it_finds_the_wall() -> None:
    scene, photos = textured_wall()
    swept = first_depths(scene, photos, _CONFIG)
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
    assert first_depths(blind, photos, _CONFIG) == {}


def test_what_a_single_neighbour_sees_is_found_too() -> None:
    scene, photos = textured_wall()
    first = first_depths(scene, photos, _CONFIG)["0.png"].depth
    only_the_second_view_sees = first[4:-4, 12:18]
    assert np.isfinite(only_the_second_view_sees).mean() > 0.7


def test_surfaces_far_behind_the_points_are_in_range() -> None:
    scene, photos = textured_wall()
    near = replace(scene.points, xyz_in_world=scene.points.xyz_in_world * [0.45, 0.45, 0.45])
    swept = first_depths(replace(scene, points=near), photos, _CONFIG)
    found = np.concatenate([view.depth[np.isfinite(view.depth)] for view in swept.values()])
    assert np.median(np.abs(found - 2.0)) < 0.05


def test_photos_of_nothing_common_confirm_almost_nothing() -> None:
    scene, _ = textured_wall()
    random = np.random.default_rng(0)
    noise = {camera.name: random.integers(0, 256, (64, 96, 3), np.uint8) for camera in scene.cameras}
    swept = first_depths(scene, noise.__getitem__, _CONFIG)
    assert np.mean([np.isfinite(view.depth).mean() for view in swept.values()]) < 0.1


def test_the_number_of_threads_does_not_matter() -> None:
    scene, photos = textured_wall()
    threads = torch.get_num_threads()
    runs = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            runs.append(first_depths(scene, photos, _CONFIG))
    finally:
        torch.set_num_threads(threads)
    for name, view in runs[0].items():
        assert np.array_equal(view.guess, runs[1][name].guess)


def _view(depth: np.ndarray, name: str = "a", x: float = 0.0) -> FirstDepth:
    halves = (np.where(np.arange(WIDTH) < WIDTH // 2, 51, 204) * np.ones((HEIGHT, 1))).astype(np.uint8)
    return FirstDepth(
        view=PosedImage(camera=camera_at(name, x), image=np.repeat(halves[..., None], 3, axis=2)),
        inverse_depths=np.linspace(1 / 10.0, 1 / 1.25, 64),
        depth=depth,
        guess=np.full_like(depth, np.nan),
    )


def _walls() -> np.ndarray:
    return np.where(np.arange(WIDTH) < WIDTH // 2, _NEAR, _FAR) * np.ones((HEIGHT, 1))


def test_sure_pixels_keep_their_depth() -> None:
    view = _view(_walls())
    assert np.array_equal(completed(view, [], _CONFIG).guess, view.depth)


def test_depth_spreads_to_the_photos_edge() -> None:
    depth = _walls()
    depth[:, WIDTH // 4 : 3 * WIDTH // 4] = np.nan
    found = completed(_view(depth), [], _CONFIG)
    assert found.guess == pytest.approx(_walls(), rel=0.1)
    assert np.array_equal(found.depth, depth, equal_nan=True)


def test_what_another_view_is_sure_of_is_carried_over() -> None:
    depth = np.full((HEIGHT, WIDTH), _NEAR)
    depth[:, WIDTH // 2 :] = np.nan
    other = _view(np.full((HEIGHT, WIDTH), _FAR), "b", 0.3)
    alone = completed(_view(depth), [], _CONFIG)
    helped = completed(_view(depth), [other], _CONFIG)
    assert np.nanmedian(alone.guess[:, WIDTH // 2 :]) == pytest.approx(_NEAR, rel=0.1)
    assert np.nanmedian(helped.guess[:, WIDTH // 2 :]) == pytest.approx(_FAR, rel=0.01)


def test_the_nearer_of_two_carried_surfaces_hides_the_other() -> None:
    unknown = np.full((HEIGHT, WIDTH), np.nan)
    others = [_view(np.full((HEIGHT, WIDTH), depth), f"{depth}") for depth in (_FAR, _NEAR)]
    for order in (others, others[::-1]):
        assert completed(_view(unknown), order, _CONFIG).guess == pytest.approx(
            np.full((HEIGHT, WIDTH), _NEAR), rel=0.01
        )


def test_a_view_that_knows_nothing_gets_a_depth_of_its_planes() -> None:
    view = _view(np.full((HEIGHT, WIDTH), np.nan))
    behind = _view(np.full((HEIGHT, WIDTH), _NEAR), "b", 1e6)
    guess = completed(view, [behind], _CONFIG).guess
    assert np.isfinite(guess).all()
    assert ((guess > 1.24) & (guess < 10.01)).all()
