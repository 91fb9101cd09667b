"""Work near the origin: far scenes are moved, near ones stay to the last bit, and cameras see the same."""

from __future__ import annotations

import numpy as np
import pytest
from builders import textured_wall

from gs_stereo.geometry.local_frame import NO_ORIGIN, local_origin, scene_around
from gs_stereo.geometry.projection import project

UTM = (450000.0, 5600000.0, 120.0)
RING = np.random.default_rng(0).normal(size=(12, 3))


@pytest.mark.parametrize("unit", [1e-3, 1.0, 50.0])
def test_cameras_far_away_get_an_origin_among_them(unit: float) -> None:
    for place in (UTM, (3.9e6, 7e5, 4.9e6)):  # a map, and earth-centred
        origin = np.array(local_origin(RING * unit + place))
        assert np.abs(origin - place).max() < 20 * unit
        assert local_origin(RING * unit + place - origin) == NO_ORIGIN
        as_float32 = (RING * unit + place - origin).astype(np.float32)
        np.testing.assert_allclose(as_float32, RING * unit + place - origin, atol=1e-5 * unit)


def test_usual_scenes_stay_where_they_are() -> None:
    for centres in (RING + np.array([3.0, 0, 20.0]), RING * 0.1, np.zeros((0, 3)), np.ones((1, 3)), np.ones((5, 3))):
        assert local_origin(centres) == NO_ORIGIN
    scene, _ = textured_wall()
    assert scene_around(scene, NO_ORIGIN) is scene


def test_a_moved_scene_looks_the_same() -> None:
    scene, _ = textured_wall()
    moved = scene_around(scene, UTM)
    for before, after in zip(scene.cameras, moved.cameras, strict=True):
        expected = project(before, scene.points.xyz_in_world)[0]
        np.testing.assert_allclose(project(after, moved.points.xyz_in_world)[0], expected, atol=1e-5)
