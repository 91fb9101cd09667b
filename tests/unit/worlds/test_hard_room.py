"""Hard rooms: every kind can be walked through, seeds differ, and reflections blur with roughness."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_world import camera

from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.worlds.cameras import camera_rays
from gs_stereo.worlds.light.baked import Lamp, Lighting, baked_world
from gs_stereo.worlds.mesh import join
from gs_stereo.worlds.patches import Painted, quad
from gs_stereo.worlds.raycast import RayCaster
from gs_stereo.worlds.render import render
from gs_stereo.worlds.rooms.hard_room import KINDS, hard_room, kind_of
from gs_stereo.worlds.rooms.walk import held_out_cameras, training_cameras
from gs_stereo.worlds.textures.paints import flat
from gs_stereo.worlds.world import SurfaceClass

LIGHTING = Lighting(
    lamps=(Lamp(corner=(-1, 0, 3), edge_a=(0, 2, 0), edge_b=(2, 0, 0), power=(5.0, 5.0, 5.0)),), ambient=(0.5, 0.5, 0.5)
)


@pytest.mark.parametrize("seed", range(len(KINDS)), ids=KINDS)
def test_the_walker_keeps_clear_of_everything_and_sees_hard_things(seed):
    """By bare rays: baking the light takes seconds a room."""
    room = hard_room(seed)
    mesh = join([patch.piece for patch in room.patches])
    caster = RayCaster(mesh.vertices, mesh.triangles)
    kinds = np.array([patch.finish.kind for patch in room.patches])
    seen = []
    for view in (*training_cameras(room, 9, (48, 36), seed), *held_out_cameras(room, 2, (48, 36), seed)):
        assert caster.distance(view.centre_in_world.astype(np.float32)) > 0.15
        hits = caster.cast(camera_rays(view, pixel_centres(48, 36).reshape(-1, 2)).rows)
        assert np.isfinite(hits.t).all()
        seen.append(kinds[mesh.piece[hits.triangle]])
    shares = np.bincount(np.concatenate(seen), minlength=len(SurfaceClass)) / np.size(seen)
    assert shares[SurfaceClass.GLOSSY] + shares[SurfaceClass.TEXTURELESS] > 0.1
    assert shares[SurfaceClass.PLAIN] > 0.05
    assert (shares[SurfaceClass.SKY] > 0) == KINDS[kind_of(seed)].open_front


def test_seeds_give_other_rooms_and_the_same_again():
    first, again, other = (hard_room(seed) for seed in (2, 2, 9))
    assert kind_of(2) == kind_of(9)
    assert len(first.patches) == len(again.patches)
    for one, same in zip(first.patches, again.patches, strict=True):
        np.testing.assert_array_equal(one.points, same.points)
    assert not np.array_equal(first.patches[0].points, other.patches[0].points)


def _mirrored_edge(roughness: float, reflection: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> np.ndarray:
    """A row of a picture: a wall that mirrors another behind the viewer, half dark and half glowing."""
    wall = Painted(flat((0.01,) * 3), mirror=0.9, roughness=roughness, reflection=reflection, highlight=0.0)
    halves = [Painted(flat((level,) * 3), glow=5.0) for level in (0.01, 0.97)]
    patches = [
        quad((-4, 2, 3), (8, 0, 0), (0, 0, -6), wall),
        quad((4, -2, 3), (-4, 0, 0), (0, 0, -6), halves[0]),
        quad((0, -2, 3), (-4, 0, 0), (0, 0, -6), halves[1]),
    ]
    return render(baked_world(patches, LIGHTING, 0, 0.2), camera(), 2).light[36]


def test_roughness_blurs_a_reflection_and_metal_tints_it():
    sharp, rough, brass = _mirrored_edge(0.0), _mirrored_edge(0.1), _mirrored_edge(0.0, (1.0, 0.5, 0.25))

    def width(row: np.ndarray) -> int:
        level = row[:, 0] / row[:, 0].max()
        return int(((level > 0.15) & (level < 0.85)).sum())

    assert width(sharp) <= 2
    assert width(rough) >= 6
    np.testing.assert_allclose(brass[10] / sharp[10], (1.0, 0.5, 0.25), rtol=0.02)
