"""Points of a scene in its cameras."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from builders import camera_at, make_points, make_scene

from gs_stereo.geometry.projection import project_seen


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
