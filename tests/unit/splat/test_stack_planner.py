"""Where stacks stand: spread over the groups of orientation and over the hull, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from plane_rasterizer import plane_scene, turned, view_at

from gs_stereo.errors import InputError
from gs_stereo.geometry.view_selection import axis_angles, camera_centres
from gs_stereo.splat.pair_planner import plan_pairs
from gs_stereo.splat.pairs_config import PairsConfig
from gs_stereo.splat.stack_planner import spread_cameras, stack_centres, stack_places

WALK = [view_at(0.1 * number, name=f"{number:02d}.jpg") for number in range(40)]


def test_every_group_of_orientation_gets_its_share_and_its_stacks_stand_far_apart():
    back = [replace(turned(view, 180), name=f"back {view.name}") for view in WALK[:10]]
    chosen = spread_cameras([*WALK, *back], 5, np.random.default_rng(0))
    assert [view.name.startswith("back") for view in chosen] == [False] * 4 + [True]
    places = np.sort(camera_centres(chosen[:4])[:, 0])
    np.testing.assert_allclose(places, [0.45, 1.45, 2.45, 3.45], atol=0.25)
    assert len(spread_cameras(WALK[:3], 5, np.random.default_rng(0))) == 3
    same_place = [replace(WALK[0], name=str(number)) for number in range(4)]
    assert len({view.name for view in spread_cameras(same_place, 3, np.random.default_rng(0))}) == 3


def test_centres_stay_in_the_hull_and_look_as_the_photos_do():
    centres = stack_centres(WALK[:12], PairsConfig(stack_views=5), 8, 1)
    assert [view.name for view in centres] == [f"stack_{number:05d}" for number in range(8)]
    x, y, z = camera_centres(centres).T
    assert (x >= 0).all()
    assert (x <= 1.1).all()
    np.testing.assert_allclose([y, z], 0, atol=1e-9)
    assert axis_angles([WALK[0], *centres])[0].max() < 0.1
    assert len(stack_centres(WALK[:1], PairsConfig(stack_views=5), 8, 1)) == 1


def test_places_rise_unevenly_from_end_to_end_through_the_middle():
    for views in (3, 5, 6, 7):
        places = np.array(stack_places(views, np.random.default_rng(views)))
        assert places[[0, -1]].tolist() == [-1, 1]
        assert (places == 0).sum() == 1
        assert (np.diff(places) > 0.1 / views).all()


def test_plans_are_the_same_for_a_seed_and_differ_in_focal_length():
    scene, config = plane_scene([f"{number}.jpg" for number in range(6)]), PairsConfig(stack_views=5, width=32)
    plans, again = plan_pairs(scene, config, 3), plan_pairs(scene, config, 3)
    assert len(plans) == 20
    assert [plan.sample_id for plan in plans] == [plan.sample_id for plan in again]
    for plan, other in zip(plans, again, strict=True):
        np.testing.assert_array_equal(plan.left.intrinsics, other.left.intrinsics)
        assert plan.extra_offsets == other.extra_offsets
    with pytest.raises(InputError, match=r"3600x2700 with 7 views is too large: .* render pairs with less --width"):
        plan_pairs(scene, PairsConfig(stack_views=7, width=3600), 3)
    focal = np.array([plan.left.focal_px for plan in plans]) / 30
    assert 0.9 <= focal.min() < 0.95 < 1.05 < focal.max() <= 1.1
