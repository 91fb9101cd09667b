"""The parts of the sample renderer: settings, paints, patches, light, atlas, and the Open3D adapter."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gs_stereo.config import parse_config
from gs_stereo.errors import ConfigError, PluginError
from gs_stereo.worlds import raycast
from gs_stereo.worlds.light.baked import Lamp, Lighting, bake
from gs_stereo.worlds.mesh import join
from gs_stereo.worlds.patches import Painted, box, lathe, quad, rod, sphere
from gs_stereo.worlds.rooms.config import SampleConfig
from gs_stereo.worlds.rooms.hard_room import KINDS, hard_room
from gs_stereo.worlds.rooms.plain_room import living_room
from gs_stereo.worlds.rooms.walk import held_out_cameras, training_cameras
from gs_stereo.worlds.textures.atlas import pack
from gs_stereo.worlds.textures.canvas import Canvas
from gs_stereo.worlds.textures.paints import flat, plaster

GREY = Painted(flat((0.5, 0.5, 0.5)))


@pytest.mark.parametrize(
    "values",
    [{"baselines_m": (0.0001,)}, {"baselines_m": (0.1, 0.1)}, {"views": 2}, {"width": 0}, {"supersampling": 9}],
)
def test_wrong_settings_are_named(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        parse_config(SampleConfig, values, where="a test")


def test_settings_import_nothing_heavy():
    root = Path(__file__).parents[3]
    code = (
        "import sys, gs_stereo.worlds.rooms.config; print([m for m in ('open3d', 'cv2', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_shared_library_is_one_sentence(monkeypatch):
    raycast.load_open3d.cache_clear()
    monkeypatch.setitem(sys.modules, "open3d", None)
    try:
        with pytest.raises(PluginError, match=r"libusb-1\.0\.so\.0 with `apt-get install libusb-1\.0-0`\.$"):
            raycast.load_open3d()
    finally:
        raycast.load_open3d.cache_clear()


@pytest.mark.parametrize(
    "room", [living_room(), *(hard_room(seed) for seed in range(len(KINDS)))], ids=["plain", *KINDS]
)
def test_patches_are_sound(room):
    for patch in room.patches:
        assert np.isfinite(patch.points).all()
        np.testing.assert_allclose(np.linalg.norm(patch.normals, axis=-1), 1.0, atol=1e-6)
        shape = (24, 20)
        colours = patch.finish.paint(Canvas(np.random.default_rng(0), shape, patch.size_m))
        assert colours.shape == (*shape, 3)
        assert np.isfinite(colours).all()


@pytest.mark.parametrize(
    "patches",
    [box((0, 0, 0), (1, 2, 3), GREY, 30.0), [sphere((0, 0, 0), 1.0, GREY)], [rod((0, 0, -1), (0, 0.2, 1), 0.1, GREY)]],
    ids=["box", "sphere", "rod"],
)
def test_normals_point_outwards(patches):
    for patch in patches:
        axis = np.array([0, 0.1, 1.0]) if patch.points.shape[0] == 2 and len(patches) == 1 else None
        outwards = (
            patch.points - (patch.points @ axis)[..., None] * axis / (axis @ axis) if axis is not None else patch.points
        )
        assert ((outwards * patch.normals).sum(-1) > 0).all()


def test_a_lathe_closes_exactly():
    body = lathe([(0.1, 1.0), (0.3, 0.5), (0.2, 0.0)], (1.0, 2.0, 0.0), GREY)
    np.testing.assert_array_equal(body.points[:, 0], body.points[:, -1])


def test_ray_hits_lead_back_to_the_patch():
    patches = [quad((-1, 2, 1), (2, 0, 0), (0, 0, -2), GREY), quad((-1, 5, 1), (2, 0, 0), (0, 0, -2), GREY)]
    mesh = join([patch.piece for patch in patches])
    caster = raycast.RayCaster(mesh.vertices, mesh.triangles)
    rays = np.array([[0.3, 0, 0.2, 0, 1, 0], [0.3, 3, 0.2, 0, 1, 0], [0, 0, 0, 0, -1, 0]], np.float32)
    hits = caster.cast(rays)
    np.testing.assert_allclose(hits.t, [2.0, 2.0, np.inf])
    np.testing.assert_array_equal(mesh.piece[hits.triangle[:2]], [0, 1])
    assert hits.triangle[2] == -1
    corners, (second, third) = mesh.uv[hits.triangle[0]], hits.uv[0]
    np.testing.assert_allclose(
        (1 - second - third) * corners[0] + second * corners[1] + third * corners[2], [0.65, 0.4], rtol=1e-5
    )
    np.testing.assert_array_equal(caster.blocked(rays, 0.0, 1.99), [False, False, False])
    np.testing.assert_array_equal(caster.blocked(rays, 0.0, 2.01), [True, True, False])


def test_a_lamp_lights_by_distance_and_angle_and_casts_a_shadow():
    lamp = Lamp(corner=(-0.05, -0.05, 2.0), edge_a=(0, 0.1, 0), edge_b=(0.1, 0, 0), power=(1.0, 1.0, 1.0))
    floor = quad((-2, 2, 0), (4, 0, 0), (0, -4, 0), GREY)
    shade = quad((0.4, 0.4, 1.0), (0.6, 0, 0), (0, -0.8, 0), GREY)
    lighting = Lighting(lamps=(lamp,), ambient=(0.0, 0.0, 0.0))
    mesh = join([floor.piece, shade.piece])
    light = bake([floor, shade], mesh, raycast.RayCaster(mesh.vertices, mesh.triangles), lighting, np.full((2, 3), 0.2))
    rows, columns = light[0].shape[:2]

    def at(x: float, y: float) -> float:
        return float(light[0][int((2 - y) / 4 * rows), int((x + 2) / 4 * columns), 0])

    for x in (0.0, -0.7, -1.5):
        assert at(x, 0.0) == pytest.approx(4.0 / (4.0 + x * x) ** 2, rel=0.06)
    assert at(1.4, 0.0) == 0.0


def test_the_atlas_gives_back_its_charts_at_every_level():
    rng = np.random.default_rng(0)
    charts = [np.full((37, 22, 3), 0.25, np.float32), rng.uniform(0, 1, (64, 50, 3)).astype(np.float32)]
    atlas = pack(charts)
    for level in range(3):
        places = atlas.origins[0] + np.array([[0.0, 0.0], [22.0, 37.0], [11.0, 5.0]])
        np.testing.assert_allclose(atlas.sample(places, np.full(3, level)), 0.25, rtol=1e-6)
    centres = atlas.origins[1] + np.array([[0.5, 0.5], [49.5, 63.5], [7.5, 31.5]])
    wanted = charts[1][[0, 63, 31], [0, 49, 7]]
    np.testing.assert_allclose(atlas.sample(centres, np.zeros(3, np.int64)), wanted, rtol=1e-5)
    middle = atlas.origins[1] + np.array([[24.0, 32.0]])
    np.testing.assert_allclose(
        atlas.sample(middle, np.ones(1, np.int64))[0], charts[1][30:34, 22:26].mean((0, 1)), rtol=1e-4
    )


def test_paints_depend_on_the_seed_only():
    paint = plaster((0.5, 0.5, 0.5))
    first, again, other = (paint(Canvas(np.random.default_rng(seed), (40, 30), (0.4, 0.3))) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_the_walk_is_an_arc_that_looks_at_the_scene():
    room = living_room()
    cameras = [*training_cameras(room, 24, (640, 480), 0), *held_out_cameras(room, 4, (640, 480), 0)]
    for camera in cameras:
        rotation = camera.cam_from_world[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        towards = np.asarray(room.walk.target) - camera.centre_in_world
        assert rotation[2] @ towards / np.linalg.norm(towards) > 0.99
        assert rotation[1, 2] < -0.8
    steps = [np.linalg.norm(a.centre_in_world - b.centre_in_world) for a, b in pairwise(cameras[:12])]
    assert max(steps) < 0.5
