"""Warp and inpaint: where pixels land, who wins, and whose colour a hole takes."""

from __future__ import annotations

import numpy as np
import pytest

from gs_stereo.errors import InputError
from gs_stereo.metrics.image import psnr
from gs_stereo.synthesis.protocol import SourceView, SynthesizerSettings
from gs_stereo.synthesis.stacks import views_of
from gs_stereo.synthesis.warp import WarpSynthesizer, filled_from_background, splatted, warped_by_depth
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.stack import sample_stack


def picture(height: int = 4, width: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("moved", [3, -3])
def test_a_plane_moves_as_a_whole(moved: int) -> None:
    image = picture()
    warped = splatted(image, np.full(image.shape[:2], float(moved)))
    seen = np.s_[:, :-3] if moved > 0 else np.s_[:, 3:]
    source = np.s_[:, 3:] if moved > 0 else np.s_[:, :-3]
    np.testing.assert_array_equal(warped.image[seen], image[source])
    assert not warped.hole[seen].any()
    assert warped.hole.sum() == 3 * 4
    border = image[:, -1:] if moved > 0 else image[:, :1]
    hole = np.s_[:, -3:] if moved > 0 else np.s_[:, :3]
    np.testing.assert_array_equal(filled_from_background(warped)[hole], np.repeat(border, 3, axis=1))


def test_half_a_pixel_is_the_mean_of_two() -> None:
    image = picture()
    warped = splatted(image, np.full(image.shape[:2], 0.5))
    np.testing.assert_allclose(warped.image[:, :-1], (image[:, 1:].astype(float) + image[:, :-1]) / 2)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_nearer_surface_wins_and_its_hole_belongs_to_the_farther_one(sign: int) -> None:
    image = np.zeros((2, 20, 3), np.uint8)
    image[:, :, 0] = 100
    image[:, 8:12] = (0, 200, 0)
    disparity = np.zeros((2, 20))
    disparity[:, 8:12] = 4.0 * sign
    warped = splatted(image, disparity)
    made = filled_from_background(warped)
    near = np.s_[:, 4:8] if sign > 0 else np.s_[:, 12:16]
    assert (made[near] == (0, 200, 0)).all()
    np.testing.assert_array_equal(np.nonzero(warped.hole[0])[0], np.arange(8, 12))
    assert (made[:, 8:12] == (100, 0, 0)).all()


def test_a_picture_that_moved_away_is_gray() -> None:
    image = picture()
    warped = splatted(image, np.full(image.shape[:2], 50.0))
    assert warped.hole.all()
    assert (filled_from_background(warped) == 128).all()


def test_with_exact_depth_it_comes_close_to_the_other_view() -> None:
    worlds = TrainingPairConfig(width=96, height=64, stack_views=3, textures=4, texture_px=64, camera_faults=False)
    sample = sample_stack(worlds, 1, 0)
    views = views_of(sample, None)
    assert sample.views is not None
    synthesizer = WarpSynthesizer(SynthesizerSettings())
    for target in (0, 2):
        source = SourceView(image=sample.views[1], intrinsics=sample.intrinsics, depth=views.depth[1])
        made = synthesizer.synthesize(source, float(views.offsets[target] - views.offsets[1]), 0)
        there = sample.views[target] / 255
        assert made.filled is not None
        assert 0 < made.filled.mean() < 0.3
        assert psnr(made.image / 255, there) > psnr(sample.views[1] / 255, there) + 4
    still = synthesizer.synthesize(source, 0.0, 0)
    np.testing.assert_array_equal(still.image, source.image)
    with pytest.raises(InputError, match="needs a depth map"):
        synthesizer.synthesize(SourceView(image=source.image, intrinsics=source.intrinsics), 0.1, 0)


def test_unknown_depth_is_background() -> None:
    depth = np.full((2, 20), 2.0)
    depth[0, 5:15] = 1.0
    sparse = depth.copy()
    sparse[:, 4::3] = np.nan
    sparse[0, 13:15] = np.nan
    view = SourceView(image=picture(2, 20), intrinsics=np.diag([10.0, 10.0, 1.0]), depth=None)
    made = warped_by_depth(view, sparse, 0.4)
    np.testing.assert_array_equal(made.image[1], warped_by_depth(view, depth, 0.4).image[1])
    assert (made.disparity[0, 11:13] == 2).all()  # beside the nearer surface it goes with the farther one
    assert made.hole[0, 9:11].all()
    nothing = warped_by_depth(view, np.full((2, 20), np.nan), 0.4)
    np.testing.assert_array_equal(nothing.image, view.image)
