"""Objects in photos, and what a pair should say of them, on a blank ball before a wall."""

from dataclasses import replace

import numpy as np
import pytest

from gs_stereo.imaging.light import light_from_srgb, srgb_from_light
from gs_stereo.planting.objects import PlantedObject, planted_world
from gs_stereo.planting.photo import Look, blank_share, plant
from gs_stereo.planting.plan import SeenView
from gs_stereo.planting.truth import NO_OBJECT, PlantedTruth, truth_before
from gs_stereo.types import StereoRig
from gs_stereo.worlds.world import World
from tests.builders import camera_at, noise

WIDTH, HEIGHT, FOCAL_PX = 160, 120, 120.0
BOARD_M, WALL_M, BASELINE_M = 2.0, 4.0, 0.2
CAMERA = camera_at("a.jpg", focal_px=FOCAL_PX, size=(WIDTH, HEIGHT))
RIG = StereoRig(left=CAMERA, baseline=BASELINE_M)
PLAIN_LOOK = Look(gain=np.ones(3), sigma_px=0.0, noise=0.0, jpeg=False)
NO_TURN = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@pytest.fixture(scope="module")
def world() -> World:
    """A board that faces the camera, its front 2 m away."""
    board = PlantedObject(kind="blank", centre=(0.0, 0.0, BOARD_M), radius=0.4, line_width=0.01, turn=NO_TURN, seed=1)
    return planted_world([board], [np.full((64, 64, 3), 200, np.uint8)], np.array([0.0, -1.0, 0.0]), 0)


def wall(depth: float = WALL_M) -> np.ndarray:
    return np.full((HEIGHT, WIDTH), depth)


def seen(depth: np.ndarray, sure: bool = True) -> SeenView:
    return SeenView(camera=CAMERA, depth=depth, sure=np.full(depth.shape, sure), near=depth if sure else 0 * depth)


def truth_of(world: World, real: SeenView) -> PlantedTruth:
    return truth_before(world, RIG, real, replace(real, camera=RIG.right))


def test_an_object_is_drawn_before_a_wall_and_not_behind_one(world: World) -> None:
    photo = noise((HEIGHT, WIDTH), 4)
    rng = np.random.default_rng(0)
    before = plant(photo, CAMERA, world, wall(), PLAIN_LOOK, rng)
    assert before.share[60, 80] == 1.0
    assert (before.image[60, 80] != photo[60, 80]).any()
    untouched = before.share == 0
    assert 0.5 < untouched.mean() < 0.99
    np.testing.assert_array_equal(before.image[untouched], photo[untouched])
    behind = plant(photo, CAMERA, world, wall(1.0), PLAIN_LOOK, rng)
    np.testing.assert_array_equal(behind.image, photo)


def test_an_object_has_the_exposure_of_its_photo(world: World) -> None:
    rng = np.random.default_rng(0)
    photo = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    usual, dark = (
        plant(photo, CAMERA, world, wall(), replace(PLAIN_LOOK, gain=np.full(3, gain)), rng) for gain in (1.0, 0.5)
    )
    lights = [light_from_srgb(planted.image / 255)[60, 80] for planted in (usual, dark)]
    np.testing.assert_allclose(lights[1], 0.5 * lights[0], rtol=0.03)


def test_the_look_of_a_photo_is_found_again() -> None:
    rng = np.random.default_rng(5)
    scene = np.kron(rng.integers(40, 200, (12, 16, 1)), np.ones((20, 20, 3)))
    rendered = scene.astype(np.uint8)
    exposed = 255 * srgb_from_light(0.6 * light_from_srgb(rendered / 255))
    photo = np.clip(np.rint(exposed + rng.normal(0, 3.0, scene.shape)), 0, 255).astype(np.uint8)
    look = Look.of(photo, rendered, jpeg=False)
    np.testing.assert_allclose(look.gain, 0.6, rtol=0.03)
    assert 1.0 < look.noise < 4.0  # gray is quieter than each channel
    assert look.sigma_px < 1.0


def test_jpeg_changes_whole_blocks_about_the_object_and_no_more(world: World) -> None:
    photo = noise((HEIGHT, WIDTH), 4)
    planted = plant(photo, CAMERA, world, wall(), replace(PLAIN_LOOK, jpeg=True), np.random.default_rng(0))
    np.testing.assert_array_equal(planted.image[:8], photo[:8])
    assert planted.image.shape == photo.shape


def test_blank_pixels_are_counted() -> None:
    half = np.concatenate([np.full((60, 160, 3), 100, np.uint8), noise((60, 160), 2)])
    assert blank_share(half) == pytest.approx(0.5, abs=0.1)


def test_disparity_and_hidden_pixels_are_those_of_the_formula(world: World) -> None:
    truth = truth_of(world, seen(wall()))
    front = BOARD_M - 0.06 / np.linalg.norm((1.0, 0.7, 0.06)) * 0.4  # half of its thickness
    expected = FOCAL_PX * BASELINE_M / front
    assert truth.disparity[60, 80] == pytest.approx(expected, rel=1e-5)
    assert truth.seen_by_both[60, 80]
    assert np.isnan(truth.disparity[60, 5])
    assert truth.owner[60, 5] == NO_OBJECT
    width = truth.hidden[60].sum()
    assert width == pytest.approx(expected - FOCAL_PX * BASELINE_M / WALL_M, abs=2)
    first = np.flatnonzero(truth.owner[60] == 0)[0]
    assert truth.hidden[60, first - 1]  # what the right eye misses lies at the left of the object
    assert not truth.hidden[60, first:].any()
    assert truth.around[truth.hidden].all()


def test_what_a_nearer_real_surface_hides_and_what_is_in_doubt_is_not_counted(world: World) -> None:
    for real in (seen(wall(1.0)), seen(wall(BOARD_M * 1.01)), seen(wall(), sure=False)):
        assert not truth_of(world, real).seen_by_both.any()
    nothing_behind = truth_of(world, seen(np.full((HEIGHT, WIDTH), np.nan), sure=False))
    assert nothing_behind.seen_by_both[60, 80]
    assert not nothing_behind.hidden.any()


def test_a_real_surface_before_the_right_eye_alone_hides_the_object_from_it(world: World) -> None:
    truth = truth_before(world, RIG, seen(wall()), replace(seen(wall(1.0)), camera=RIG.right))
    assert (truth.owner == 0).any()
    assert not truth.seen_by_both.any()


def test_edges_are_a_band_within_the_outline(world: World) -> None:
    truth = truth_of(world, seen(wall()))
    row = truth.edge[60] & (truth.owner[60] == 0)
    assert 4 <= row.sum() <= 9
    assert not truth.edge[60, 80]
