"""Surface hypotheses and colours across photos, on planes that are known in closed form."""

from __future__ import annotations

import numpy as np
from builders import camera_at

from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.geometry.projection import project, unproject_depth_map
from gs_stereo.labels.colours import colour_difference
from gs_stereo.labels.surfaces import blank_regions, surface_hypotheses
from gs_stereo.mvs.views import PosedImage

HEIGHT, WIDTH = 96, 128
Y, X = np.mgrid[:HEIGHT, :WIDTH]
WALL = 0.3 + 0.0004 * X - 0.0003 * Y  # inverse depth
NOTHING_SURE = np.zeros((HEIGHT, WIDTH), bool)


def painted(*patches: tuple[np.ndarray, int]) -> np.ndarray:
    """A gray wall with patches of other levels."""
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    for where, level in patches:
        image[where] = level
    return image


def test_a_region_goes_on_behind_a_thin_rod_and_ends_at_an_edge() -> None:
    rod, board = np.abs(X - 40) < 1, X > 90
    labels = blank_regions(painted((rod, 20), (board, 200)))
    assert labels[50, 20] == labels[50, 60] > 0
    assert labels[50, 110] not in (0, labels[50, 60])
    assert labels[50, 40] == 0


def test_a_plane_is_found_among_wrong_depths_and_says_how_many_they_are() -> None:
    rng = np.random.default_rng(0)
    wrong = (X > 30) & (X < 60) & (Y > 20) & (Y < 70)
    known = np.where(wrong, 1.5 * WALL, WALL * (1 + 0.003 * rng.standard_normal(WALL.shape)))
    known[rng.random(WALL.shape) < 0.2] = np.nan
    found = surface_hypotheses(painted(), known, NOTHING_SURE)
    np.testing.assert_allclose(found.inverse_depth, WALL, rtol=0.01)
    share = wrong.mean()
    assert abs(found.unsupported[0, 0] - share) < 0.04
    assert 0.002 < found.spread[0, 0] < 0.004
    assert not found.hole.any()


def test_pixels_that_photos_confirm_outvote_others() -> None:
    sure = Y > 60
    known = np.where(sure, WALL, 1.3 * WALL)
    found = surface_hypotheses(painted(), known, sure)
    np.testing.assert_allclose(found.inverse_depth[sure], WALL[sure], rtol=1e-6)
    assert found.unsupported[90, 5] < 0.5


def test_a_wall_goes_on_over_the_mirror_that_it_surrounds() -> None:
    mirror = (X > 40) & (X < 80) & (Y > 30) & (Y < 60)
    image = painted((mirror, 180))
    image[mirror & ((X // 4 + Y // 4) % 2 == 0)] = 60  # what it reflects
    found = surface_hypotheses(image, np.where(mirror, 0.5 * WALL, WALL), NOTHING_SURE)
    inner = (X > 43) & (X < 77) & (Y > 33) & (Y < 57)
    np.testing.assert_allclose(found.inverse_depth[inner], WALL[inner], rtol=1e-3)
    assert found.hole[inner].all()
    assert not found.hole[~mirror].any()


def test_legs_of_a_table_do_not_close_what_is_between_them() -> None:
    under = (X > 20) & (X < 100) & (Y > 40)
    legs = under & ((X < 26) | (X > 94))
    between = under & ~legs
    wide = Y <= 40
    known = np.where(wide | legs, WALL, 0.5 * WALL)
    found = surface_hypotheses(painted((between, 60)), known, NOTHING_SURE)
    assert not found.hole.any()


def test_photos_agree_on_the_colour_of_a_surface_and_not_on_that_of_a_reflection() -> None:
    left = camera_at("left", size=(WIDTH, HEIGHT), focal_px=100.0)
    cameras = [left.shifted(offset) for offset in (-0.4, -0.2, 0.2, 0.4)]
    depth = np.full((HEIGHT, WIDTH), 4.0)

    def photo(camera, reflected_from: float) -> PosedImage:
        """A wall of soft stripes; reflected_from: share of a second pattern that moves as if it were at depth 8."""
        x, _ = np.moveaxis(pixel_centres(WIDTH, HEIGHT), -1, 0)
        centre = camera.centre_in_world[0]
        waves = [np.sin(0.2 * (x + 100.0 * centre / z)) for z in (4.0, 8.0)]
        level = 120 + 60 * ((1 - reflected_from) * waves[0] + reflected_from * waves[1])
        return PosedImage(camera=camera, image=np.repeat(level[..., None], 3, axis=2).astype(np.uint8))

    inner = np.s_[:, 20:-20]
    seen = {
        (share, factor): np.nanmedian(
            colour_difference(photo(left, share), [photo(c, share) for c in cameras], factor / depth)[inner]
        )
        for share, factor in ((0.0, 1.0), (0.0, 0.5), (0.5, 1.0))
    }
    assert seen[0.0, 1.0] < 1.5
    assert min(seen[0.0, 0.5], seen[0.5, 1.0]) > 5 * seen[0.0, 1.0]
    away = project(cameras[0], unproject_depth_map(left, depth))[0][..., 0]
    alone = colour_difference(photo(left, 0.0), [photo(cameras[0], 0.0)], 1 / depth)
    assert np.isnan(alone).all(), "one photo is no witness"
    assert away.min() < WIDTH
