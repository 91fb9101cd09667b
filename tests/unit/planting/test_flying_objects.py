"""Objects that fly through rendered pairs: what both eyes are shown agrees with the exact disparity."""

import numpy as np
import pytest

from gs_stereo.planting.pairs import PairWithObjects, with_flying_objects
from gs_stereo.types import DepthMaps, StereoPair, StereoRig
from tests.builders import camera_at

WIDTH, HEIGHT, FOCAL_PX, WALL_M, BASELINE_M = 128, 96, 100.0, 4.0, 0.2
WALL_PX = FOCAL_PX * BASELINE_M / WALL_M


def wall_pair() -> StereoPair:
    """A gray wall that faces the camera: the same image in both eyes."""
    depth = np.full((HEIGHT, WIDTH), WALL_M, np.float32)
    maps = DepthMaps(expected=depth, median=depth, variance=np.zeros_like(depth), alpha=np.ones_like(depth))
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    rig = StereoRig(left=camera_at("a.jpg", focal_px=FOCAL_PX, size=(WIDTH, HEIGHT)), baseline=BASELINE_M)
    return StereoPair(
        sample_id="a", view_id="a.jpg", rig=rig, left=image, right=image, left_depth=maps, right_depth=maps
    )


@pytest.fixture(scope="module")
def drawn() -> PairWithObjects:
    return with_flying_objects(wall_pair(), 8, seed=3, textures_seed=0)


def test_objects_stand_before_the_wall_and_leave_the_rest_alone(drawn: PairWithObjects) -> None:
    objects = drawn.pair.objects
    assert objects is not None
    shown = np.isfinite(objects.disparity)
    assert drawn.count >= 4
    assert 0.03 < shown.mean() < 0.4
    assert (objects.disparity[shown] > WALL_PX).all()
    np.testing.assert_array_equal(drawn.pair.left, wall_pair().left)  # labels are made of the scene alone
    same = (drawn.left == drawn.pair.left).all(axis=-1)
    assert same[~shown].mean() > 0.8


def test_the_right_eye_sees_an_object_where_its_disparity_says(drawn: PairWithObjects) -> None:
    objects = drawn.pair.objects
    assert objects is not None
    rows, columns = np.nonzero(np.isfinite(objects.disparity) & ~objects.unseen & ~objects.doubtful)
    x_right = columns - objects.disparity[rows, columns]
    inside = x_right >= 0
    whole, part = np.floor(x_right[inside]).astype(int), (x_right[inside] % 1)[:, None]
    row, right = rows[inside], drawn.right.astype(float)
    seen = (1 - part) * right[row, whole] + part * right[row, np.minimum(whole + 1, WIDTH - 1)]
    left = drawn.left[row, columns[inside]].astype(float)
    assert np.median(np.abs(seen - left)) < 3
    assert np.median(np.abs(right[row, columns[inside]] - left)) > 6  # as if it had no disparity


def test_what_objects_hide_lies_left_of_them(drawn: PairWithObjects) -> None:
    objects = drawn.pair.objects
    assert objects is not None
    hidden = objects.unseen & np.isnan(objects.disparity)
    assert hidden.any()
    for row, column in zip(*np.nonzero(hidden), strict=True):
        reach = objects.disparity[row, column:]
        assert (np.isfinite(reach)).any()  # what hides it stands further right in the left image


def test_the_same_seed_draws_the_same_objects_and_another_seed_others(drawn: PairWithObjects) -> None:
    again = with_flying_objects(wall_pair(), 8, seed=3, textures_seed=0)
    np.testing.assert_array_equal(again.left, drawn.left)
    other = with_flying_objects(wall_pair(), 8, seed=4, textures_seed=0)
    assert (other.left != drawn.left).any()


def test_a_pair_without_sure_depth_gets_none() -> None:
    pair = wall_pair()
    nothing = np.zeros((HEIGHT, WIDTH), np.float32)
    maps = DepthMaps(expected=nothing, median=np.full_like(nothing, np.nan), variance=nothing, alpha=nothing)
    blind = StereoPair(**{**vars(pair), "left_depth": maps, "right_depth": maps})
    drawn = with_flying_objects(blind, 8, seed=3, textures_seed=0)
    assert drawn.count == 0
    assert drawn.pair.objects is None
    np.testing.assert_array_equal(drawn.left, pair.left)
