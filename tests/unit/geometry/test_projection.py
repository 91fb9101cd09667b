"""Points of a scene in its cameras."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from builders import camera_at, make_points, make_scene

from gs_stereo.geometry.projection import project, project_seen, reprojected, unproject_depth_map


def test_a_depth_map_reprojected_is_its_points_projected() -> None:
    other = camera_at("a", 0.3, -0.2, 0.1, size=(20, 14), focal_px=(15.0, 17.0), turn_deg=(4, -170, 7))
    camera = camera_at("b", -0.4, 0.1, -3.0, size=(24, 10), focal_px=(19.0, 18.0), turn_deg=(0, 185, -5))
    depth = np.random.default_rng(0).uniform(0.5, 6.0, (14, 20))
    depth[2, 3:9] = np.nan
    image_xy, z = reprojected(camera, other, depth)
    wanted_xy, wanted_z = project(camera, unproject_depth_map(other, depth))
    np.testing.assert_allclose(z, wanted_z, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(image_xy, wanted_xy, rtol=1e-9, atol=1e-6)
    assert np.isnan(z).sum() == 6
    assert 0.1 < (z > 0).mean() < 0.9, "some points lie behind the camera"


def test_a_camera_sees_its_points_or_all_that_fall_into_its_image() -> None:
    points = make_points(np.array([[0, 0, 2.0], [0.1, 0, 4.0], [0, 0, -2.0], [9.0, 0, 2.0]]))
    scene = make_scene((camera_at("a"), camera_at("b")), points)
    scene = replace(scene, visible_points=())
    image_xy, depth = project_seen(scene, 0)
    assert depth.tolist() == [2.0, 4.0], "not what lies behind the camera or beside its image"
    assert image_xy.shape == (2, 2)
    some = replace(scene, visible_points=(np.array([1, 3]), np.zeros(0, np.int64)))
    assert project_seen(some, 0)[1].tolist() == [4.0]
    assert len(project_seen(some, 1)[1]) == 0
