"""Light and truth of worlds that can be worked out by hand, and laws of rendered pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from tiny_world import DARK, TINY, camera, facing_square, make_world, plain_tiles
from twins.shading import shade_by_numpy, texture_place, texture_steps

from gs_stereo.errors import InputError
from gs_stereo.geometry.disparity import warp_right_to_left
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.types import Camera, StereoRig
from gs_stereo.worlds.cameras import camera_rays
from gs_stereo.worlds.light.lamp import LampLight, Light, Tiled, lamp_world
from gs_stereo.worlds.pairs.compose import Composition, compose
from gs_stereo.worlds.pairs.config import SceneKind
from gs_stereo.worlds.pairs.pair import RenderedPair, draw_baseline, render_pair
from gs_stereo.worlds.raycast import RayHits
from gs_stereo.worlds.render import render, stereo_truth
from gs_stereo.worlds.rooms.plain_room import living_room
from gs_stereo.worlds.rooms.walk import training_cameras
from gs_stereo.worlds.shapes import quads
from gs_stereo.worlds.textures.tiles import boxed
from gs_stereo.worlds.world import SurfaceClass, World

GREY = (128 / 255) ** 2.2


def seen(world: World) -> np.ndarray:
    return render(world, camera()).light


def test_light_from_all_around_is_the_texture_times_the_light() -> None:
    light = Light(place=(0, 0, 1), far=True, lamp=(0, 0, 0), sky=(1.0, 0.5, 0.2), floor=(1.0, 0.5, 0.2))
    found = seen(make_world([facing_square(4.0)], light))
    np.testing.assert_allclose(found, np.broadcast_to(GREY * np.array([1.0, 0.5, 0.2]), found.shape), rtol=1e-4)


def test_a_far_lamp_gives_lambert_light() -> None:
    way = np.array([0.0, -0.8, 0.6])  # towards the lamp; the square's normal is -y
    light = Light(place=tuple(way), far=True, lamp=(2.0, 2.0, 2.0), sky=(0, 0, 0), floor=(0, 0, 0))
    np.testing.assert_allclose(seen(make_world([facing_square(4.0)], light)), GREY * 2.0 * 0.8, rtol=1e-4)


def test_a_near_lamp_falls_off_and_a_board_casts_a_shadow() -> None:
    light = Light(place=(0, 0, 0), far=False, lamp=(1, 1, 1), sky=(0, 0, 0), floor=(0, 0, 0), reach_m=2.0)
    wall = seen(make_world([facing_square(4.0)], light))
    assert wall[36, 48, 0] == pytest.approx(GREY / (1 + 4), rel=1e-2)
    assert wall[0, 0, 0] < 0.9 * wall[36, 48, 0]
    aside = replace(light, place=(1.0, 0.0, 0.0))
    board = facing_square(2.0, half=0.2)
    shadowed = seen(make_world([facing_square(4.0), board], aside))
    # The lamp at x = 1, the board at x = 0 half way: its shadow is at x = -1 on the wall, 20 px left of the middle.
    assert shadowed[36, 28].max() == 0
    assert shadowed[36, 68].min() > 0


def test_glowing_surfaces_ignore_the_light() -> None:
    np.testing.assert_allclose(seen(make_world([facing_square(4.0)], glows=True)), GREY, rtol=1e-4)


def test_highlights_add_light_where_the_lamp_is_mirrored() -> None:
    light = Light(place=(0, -1.0, 0), far=True, lamp=(1, 1, 1), sky=(0, 0, 0), floor=(0, 0, 0))
    matt = seen(make_world([facing_square(4.0)], light))
    glossy = seen(make_world([facing_square(4.0)], light, highlight=0.5, shininess=50.0))
    added = (glossy - matt)[..., 0]
    assert added[36, 48] == pytest.approx(0.5, rel=0.05)
    assert added[0, 0] < 0.1
    assert (added >= 0).all()


def test_texture_steps_are_finite_differences() -> None:
    """On a slanted plane the analytic footprint is the difference of neighbouring rays' texture places."""
    plane = quads(np.array([[(-9.0, 3.0, -9), (9, 6.0, -9), (9, 8.0, 9), (-9, 5.0, 9)]]))
    world, view = make_world([plane]), camera()
    light = cast(LampLight, world.light)
    step = 0.02  # px; smaller ones drown in the rounding of float32
    centres = pixel_centres(view.width, view.height).reshape(-1, 2)[::37]
    places, triangles = [], []
    for offset in ((0, 0), (step, 0), (0, step)):
        rays = camera_rays(view, centres + offset)
        hits = world.caster.cast(rays.rows)
        places.append(np.stack(texture_place(light, hits)).astype(np.float64))
        triangles.append(hits.triangle)
        if offset == (0, 0):
            way = np.ascontiguousarray(rays.rows[:, 3:].T)
            face = light.normal[:, hits.triangle]
            facing = (face * way).sum(axis=0)
            steps = texture_steps(light, hits, way, face, facing, rays)
    for found, moved, triangle in zip(steps, places[1:], triangles[1:], strict=True):
        same = triangle == triangles[0]
        assert same.mean() > 0.9
        np.testing.assert_allclose(found[:, same], ((moved - places[0]) / step)[:, same], rtol=0.02, atol=2e-4)


def test_far_texture_is_its_mean_and_does_not_alias() -> None:
    tiles = plain_tiles(side=64)
    checker = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    box = boxed(np.repeat(checker[..., None], 3, axis=2), tiles.layout)
    world = make_world([facing_square(40.0, 60.0)], tiles=replace(tiles, texels=box), glows=True)
    light = seen(world)  # one texel is 1/32 px
    assert light.std() < 0.01
    assert light.mean() == pytest.approx(0.5**2.2, rel=0.1)


@pytest.mark.parametrize(("kind", "seed"), [("room", 5), ("outdoors", 6), ("tabletop", 7), ("flying", 8)])
def test_native_shading_equals_its_twin(kind: SceneKind, seed: int) -> None:
    """They differ by rounding, of which a texel's byte is the coarsest: one step of it at most, seldom."""
    scene = compose(np.random.default_rng(seed), TINY, kind, 0)
    world = scene.world
    light = cast(LampLight, world.light)
    light.material[1, ::2], light.material[3, ::2] = 0.7, 0.2  # half of the pieces shine
    rays = camera_rays(scene.camera, pixel_centres(96, 72).reshape(-1, 2))
    hits = world.caster.cast(rays.rows)
    native, twin = light.shade(world, rays, hits), shade_by_numpy(world, rays, hits)
    np.testing.assert_array_equal(native.lit, twin.lit)
    assert twin.light.std() > 0.02
    np.testing.assert_allclose(native.light, twin.light, rtol=0.05, atol=0.01)
    assert np.abs(native.light - twin.light).mean() < 1e-3 * twin.light.mean() + 1e-3


def test_what_would_read_outside_a_table_is_refused() -> None:
    world = make_world([facing_square(4.0)])
    light = cast(LampLight, world.light)
    rays = camera_rays(camera(), np.array([[48.0, 36.0]]))
    hits = world.caster.cast(rays.rows)

    def refused(message: str, light: LampLight = light, hits: RayHits = hits) -> None:
        with pytest.raises(InputError, match=message):
            light.shade(world, rays, hits)

    for triangle in (-1, len(light.piece)):
        refused("A ray hits no triangle", hits=replace(hits, triangle=np.full(1, triangle, np.int32)))
    refused("Rays.triangle must be", hits=replace(hits, triangle=hits.triangle.astype(np.int64)))
    refused("A triangle belongs to no piece", replace(light, piece=light.piece + np.int32(9)))
    refused("A piece has no texture", replace(light, material=light.material - np.float32(1)))
    refused("A texture lies outside", replace(light, tiles=replace(light.tiles, origins=light.tiles.origins + 9)))
    refused("World.slope must be", replace(light, slope=np.ascontiguousarray(light.slope[:5])))


def board_before_wall() -> tuple[World, StereoRig]:
    world = make_world([facing_square(8.0), facing_square(4.0, half=0.6)], glows=True)
    return world, StereoRig(left=camera(), baseline=0.4)


def test_disparity_and_visibility_of_a_board_before_a_wall() -> None:
    """f b = 32 px m: 4 px on the wall, 8 px on the board of 24 px, which hides 4 px of wall at its left."""
    world, rig = board_before_wall()
    truth = stereo_truth(world, render(world, rig.left), rig.baseline)
    assert set(np.round(np.unique(truth.disparity), 4)) == {4.0, 8.0}
    board = np.zeros_like(truth.hidden)
    board[24:48, 36:60] = True
    np.testing.assert_array_equal(truth.disparity > 6, board)
    wanted = np.zeros_like(truth.hidden)
    wanted[24:48, 32:36] = True
    np.testing.assert_array_equal(truth.hidden, wanted)


def test_edges_are_smoothed() -> None:
    """A board whose border runs through the middle of pixels has a border of mixed light."""
    board = facing_square(4.0, half=0.6, centre=(0.02, 0.02))
    light = Light(place=(0, -1, 0), far=True, lamp=(0, 0, 0), sky=(1, 1, 1), floor=(1, 1, 1))
    pieces = [facing_square(8.0), board]
    assert np.ptp(seen(make_world(pieces, light))) < 1e-6  # the same light everywhere: no edge is invented
    finishes = [Tiled(tile=0, repeat_m=1.0), Tiled(tile=0, repeat_m=1.0, glows=True)]
    dark = lamp_world(pieces, finishes, plain_tiles(), replace(light, sky=(0, 0, 0), floor=(0, 0, 0)))
    mixed = seen(dark)[36, :, 0]
    inner = (mixed > 0.05 * GREY) & (mixed < 0.95 * GREY)
    assert 1 <= inner.sum() <= 4


@pytest.fixture(scope="module", params=["room", "outdoors", "tabletop", "flying"])
def rendered(request: pytest.FixtureRequest) -> tuple[Composition, RenderedPair]:
    rng = np.random.default_rng(11)
    scene = compose(rng, TINY, request.param, 0)
    return scene, render_pair(scene, rng, TINY)


def test_the_right_image_is_the_left_one_moved_by_the_disparity(rendered: tuple[Composition, RenderedPair]) -> None:
    _, pair = rendered
    right, truth = pair.right.light, pair.truth
    warped = warp_right_to_left(right, truth.disparity)
    visible = (truth.flags == 0) & np.isfinite(warped).all(axis=2)
    moved = warp_right_to_left(right, truth.disparity + 3)
    error, wrong = (np.nanmedian(np.abs(image - pair.left.light)[visible]) for image in (warped, moved))
    assert error < 0.5 * wrong
    assert visible.mean() > 0.4


def test_out_of_frame_is_left_of_the_right_image(rendered: tuple[Composition, RenderedPair]) -> None:
    _, pair = rendered
    columns = np.arange(96) + 0.5
    np.testing.assert_array_equal(pair.truth.out_of_frame, columns - pair.truth.disparity.astype(np.float64) < 0)


def test_hidden_agrees_with_the_right_depth_map(rendered: tuple[Composition, RenderedPair]) -> None:
    """Where the right eye's own pixels clearly show something nearer, or clearly the same, the flag says so."""
    _, pair = rendered
    right, truth = pair.rig.focal_times_baseline / pair.right.depth.astype(np.float64), pair.truth
    column = np.arange(96) - truth.disparity.astype(np.float64)
    inside = (column >= 1) & (column <= 94)
    index = np.clip(np.rint(column).astype(int), 1, 94)
    rows = np.arange(72)[:, None]
    around = np.stack([right[rows, index + step] for step in (-1, 0, 1)])
    nearer = inside & (around.min(axis=0) > truth.disparity + 1.0)
    same = inside & (np.abs(around - truth.disparity).max(axis=0) < 0.05)
    assert truth.hidden[nearer].mean() > 0.98 if nearer.any() else True
    assert truth.hidden[same].mean() < 0.02


def test_disparities_are_positive_and_bounded(rendered: tuple[Composition, RenderedPair]) -> None:
    scene, pair = rendered
    assert pair.rig.baseline > 0
    assert (pair.truth.disparity > 0).all()
    assert pair.truth.disparity.max() <= 1.36 * 0.25 * 96
    assert scene.world.caster.distance(pair.rig.right.centre_in_world.astype(np.float32)) > 0.05 * scene.near_m


def test_a_baseline_that_leads_into_a_wall_is_shortened() -> None:
    wall = quads(np.array([[(0.3, -9.0, -9), (0.3, 9, -9), (0.3, 9, 9), (0.3, -9, 9)]], float))
    scene = Composition(world=make_world([facing_square(8.0), wall]), camera=camera(), near_m=0.25)
    depth = np.full((72, 96), 4.0)
    wide = TINY.model_copy(update={"disparity_share_median": 0.25, "disparity_share_spread": 0.0})
    assert 0 < draw_baseline(scene, depth, np.random.default_rng(0), wide) < 0.2


def test_rays_that_hit_nothing_are_no_part_of_a_scene() -> None:
    """Every composed scene is closed: the sky catches what passes everything else."""
    scene = compose(np.random.default_rng(2), TINY, "outdoors", 0)
    rows = np.zeros((500, 6), np.float32)
    rows[:, :3] = scene.camera.centre_in_world
    rows[:, 3:] = np.random.default_rng(0).normal(size=(500, 3))
    hits = scene.world.caster.cast(rows)
    assert (hits.triangle >= 0).all()
    rays = replace(camera_rays(scene.camera, np.zeros((1, 2))), rows=rows)
    assert np.isfinite(scene.world.light.shade(scene.world, rays, hits).light).all()


@pytest.mark.parametrize("seed", range(6))
def test_the_lamp_of_a_room_hangs_between_its_walls(seed: int) -> None:
    scene = compose(np.random.default_rng(seed), TINY, "room", 0)
    light = cast(LampLight, scene.world.light)
    off = replace(scene.world, light=replace(light, light=replace(light.light, lamp=(0.0, 0.0, 0.0))))
    lit, unlit = (render(world, scene.camera).light for world in (scene.world, off))
    assert np.mean((lit > unlit + 1e-3).any(-1)) > 0.2


@pytest.fixture(scope="module")
def room_view() -> tuple[World, Camera]:
    room = living_room()
    return room.world(seed=0, detail=0.2), training_cameras(room, 3, (128, 96), seed=0)[1]


def test_light_models_and_samplings_go_together(room_view: tuple[World, Camera]) -> None:
    """Every world can be rendered with few rays or with many: the picture is nearly the same, the truth exactly."""
    scene = compose(np.random.default_rng(3), TINY, "tabletop", 0)
    for world, view in (room_view, (scene.world, scene.camera)):
        fast, fine = render(world, view), render(world, view, supersampling=4)
        np.testing.assert_array_equal(fast.depth, fine.depth)
        np.testing.assert_array_equal(fast.surface, fine.surface)
        error = np.abs(fast.image.astype(float) - fine.image).mean()
        assert error < 0.2 * fine.image.std()
        assert fine.image.std() > 15


def test_supersampled_pixels_are_means_over_their_area() -> None:
    """The border of a glowing board before a dark wall covers the right share of a pixel."""
    board = facing_square(4.0, half=0.6, centre=(0.0125, 0.0))  # its left border is a quarter of a pixel further right
    finishes = [Tiled(tile=0, repeat_m=1.0), Tiled(tile=0, repeat_m=1.0, glows=True)]
    world = lamp_world([facing_square(8.0), board], finishes, plain_tiles(), DARK)
    shares = render(world, camera(), supersampling=3).light[36, :, 0] / GREY
    assert shares[36] == pytest.approx(0.75, abs=1e-3)  # four rays a side at the border
    np.testing.assert_allclose(shares[[35, 37]], [0.0, 1.0], atol=1e-3)


def test_a_photo_is_exposed_light_as_srgb() -> None:
    world = replace(make_world([facing_square(4.0)], glows=True), exposure=0.5)
    value = 0.5 * GREY
    assert np.abs(render(world, camera()).image - 255 * (1.055 * value ** (1 / 2.4) - 0.055)).max() < 1


def test_the_class_of_a_surface_is_that_of_its_finish(room_view: tuple[World, Camera]) -> None:
    kinds = (SurfaceClass.TEXTURELESS, SurfaceClass.GLOSSY)
    finishes = [Tiled(kind=kind, tile=0, repeat_m=1.0) for kind in kinds]
    pieces = [facing_square(8.0), facing_square(4.0, half=0.6)]
    surface = render(lamp_world(pieces, finishes, plain_tiles(), DARK), camera()).surface
    assert (surface[0, 0], surface[36, 48]) == kinds
    assert set(np.unique(render(*room_view).surface)) == {SurfaceClass.PLAIN, SurfaceClass.THIN}
