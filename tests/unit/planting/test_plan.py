"""Where objects are planted."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from gs_stereo.errors import StageError
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.geometry.projection import project
from gs_stereo.planting.config import PlantConfig
from gs_stereo.planting.objects import planted_world
from gs_stereo.planting.plan import SeenView, lit_as_around, plan_objects
from gs_stereo.worlds.cameras import camera_rays
from tests.builders import camera_at

WALL_M = 4.0


def walls(depth: float = WALL_M, views: int = 5) -> list[SeenView]:
    """Cameras side by side that look at one wall."""
    cameras = [camera_at(f"{number}.jpg", 0.15 * number, focal_px=90.0, size=(120, 90)) for number in range(views)]
    wall = np.full((90, 120), depth)
    return [SeenView(camera=camera, depth=wall, sure=np.ones((90, 120), bool), near=wall) for camera in cameras]


def test_objects_stand_before_the_wall_apart_from_each_other_and_cover_no_more_than_they_may() -> None:
    views = walls()
    plan = plan_objects(views, PlantConfig(objects=12), blank_share=0.1, seed=3)
    assert len(plan.objects) >= 4
    assert {item.kind for item in plan.objects} >= {"plain", "thin"}
    for item in plan.objects:
        assert item.centre[2] - 0.05 * item.radius < WALL_M  # at most half of it in the wall
    for one, other in combinations(plan.objects, 2):
        assert np.linalg.norm(np.subtract(one.centre, other.centre)) >= one.radius + other.radius
    photo = np.full((90, 120, 3), 128, np.uint8)
    world = planted_world(plan.objects, [photo], np.array(plan.up), plan.seed)
    camera = views[2].camera
    hits = world.caster.cast(camera_rays(camera, pixel_centres(120, 90).reshape(-1, 2)).rows)
    share = float((world.mesh.piece[hits.triangle] < len(plan.objects)).mean())
    assert 0.0 < share <= PlantConfig().max_covered


def test_every_object_is_seen_by_three_photos() -> None:
    views = walls()
    for item in plan_objects(views, PlantConfig(objects=12), blank_share=0.0, seed=0).objects:
        places = [project(view.camera, np.array(item.centre)) for view in views]
        inside = [0 <= xy[0] <= 120 and 0 <= xy[1] <= 90 for xy, depth in places if depth > 0]
        assert sum(inside) >= 3


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    plans = [plan_objects(walls(), PlantConfig(objects=6), blank_share=0.0, seed=seed) for seed in (1, 1, 2)]
    assert plans[0] == plans[1]
    assert plans[0].objects != plans[2].objects


def test_up_is_against_the_y_axes_of_the_cameras() -> None:
    plan = plan_objects(walls(), PlantConfig(objects=4), blank_share=0.0, seed=0)
    np.testing.assert_allclose(plan.up, (0, -1, 0), atol=1e-12)


def test_where_nothing_sure_is_known_there_is_no_room() -> None:
    doubted = [replace(view, sure=np.zeros_like(view.sure), near=np.zeros_like(view.near)) for view in walls()]
    with pytest.raises(StageError, match="no room"):
        plan_objects(doubted, PlantConfig(objects=4), blank_share=0.0, seed=0)


def test_objects_in_the_dark_are_dark_and_none_glares() -> None:
    views = walls()
    plan = plan_objects(views, PlantConfig(objects=12), blank_share=0.0, seed=3)
    cameras = {view.camera.name: view.camera for view in views}
    half_dark = np.full((90, 120, 3), 200, np.uint8)
    half_dark[:, :60] = 40
    lit = lit_as_around(plan, cameras, dict.fromkeys(cameras, half_dark))
    assert {item.brightness for item in lit.objects} >= {0.2, 1.0}
    places = {item.brightness: project(views[2].camera, np.array(item.centre))[0][0] for item in lit.objects}
    assert places[0.2] < 60 < places[1.0]
    photo = np.full((90, 120, 3), 200, np.uint8)
    dark, bright = (
        planted_world([replace(plan.objects[0], brightness=value)], [photo], np.array(plan.up), plan.seed)
        for value in (0.2, 1.0)
    )
    texels = [world.light.tiles.texels.astype(float).mean() for world in (dark, bright)]
    assert texels[0] < 0.9 * texels[1]


def test_before_a_surface_in_doubt_objects_float_where_it_cannot_be() -> None:
    views = [
        replace(view, sure=np.zeros_like(view.sure), near=np.full_like(view.near, 0.7 * WALL_M)) for view in walls()
    ]
    plan = plan_objects(views, PlantConfig(objects=12), blank_share=0.0, seed=0)
    assert len(plan.objects) >= 4
    assert all(item.centre[2] + 0.9 * item.radius < 0.7 * WALL_M for item in plan.objects)


def test_objects_are_seen_by_about_as_many_photos_as_what_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine cameras far apart: near them an object would be seen by three, the wall behind it by most."""
    views = [
        replace(view, camera=camera_at(view.camera.name, 0.6 * number, focal_px=90.0, size=(120, 90)))
        for number, view in enumerate(walls(views=9))
    ]

    def least_seen() -> float:
        shares = []
        for item in plan_objects(views, PlantConfig(objects=40, max_gap=0.89), blank_share=0.0, seed=0).objects:
            centre = np.array(item.centre)
            behind = np.array([centre[0], centre[1], WALL_M])
            seen = [
                [bool(0 <= xy[0] <= 120 and 0 <= xy[1] <= 90) for xy, _ in (project(view.camera, x) for view in views)]
                for x in (centre, behind)
            ]
            shares.append(sum(seen[0]) / sum(seen[1]))
        return min(shares)

    with_rule = least_seen()
    monkeypatch.setattr("gs_stereo.planting.plan._AS_SEEN_AS_BEHIND", 0.0)
    assert least_seen() < 0.4 < with_rule
