"""Rendering pairs: rectification, baselines, refusals, on a plane whose depth is known exactly."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from builders import make_gaussians
from plane_rasterizer import PlaneRasterizer, no_gaussians, plane_scene, turned, view_at

from gs_stereo.config import parse_config
from gs_stereo.datasets.schema import check_sample, sample_of
from gs_stereo.errors import ConfigError, StageError
from gs_stereo.geometry.disparity import disparity_from_depth, warp_right_to_left
from gs_stereo.geometry.projection import project
from gs_stereo.splat.guards import Capture
from gs_stereo.splat.pair_planner import plan_pairs
from gs_stereo.splat.pairs import SplatRenderer, choose_baseline, render_planned_pair, render_stereo_pair
from gs_stereo.splat.pairs_config import PairsConfig
from gs_stereo.splat.raster.protocol import RenderSettings
from gs_stereo.types import DepthMaps, StereoLabel, StereoPair, StereoRig
from gs_stereo.types.gaussians import Gaussians


def renderer(rasterizer=None) -> SplatRenderer:
    return SplatRenderer(
        rasterizer=rasterizer or PlaneRasterizer(), gaussians=no_gaussians(), settings=RenderSettings()
    )


def photos_of(scene, rasterizer=None):
    source = renderer(rasterizer)
    photos = {camera.name: source.render([camera])[0].image for camera in scene.cameras}
    return lambda name: photos[name]


def test_one_world_point_lies_on_one_row_and_its_disparity_is_f_b_over_z():
    rig = StereoRig(left=turned(view_at(0.3, -0.2, 0.1), 17.0), baseline=0.37)
    points = np.random.default_rng(0).uniform([-1, -1, 3], [1, 1, 6], size=(200, 3))
    left_xy, depth = project(rig.left, points)
    right_xy, right_depth = project(rig.right, points)
    np.testing.assert_allclose(right_xy[:, 1], left_xy[:, 1], atol=1e-9)
    np.testing.assert_allclose(left_xy[:, 0] - right_xy[:, 0], rig.focal_times_baseline / depth, atol=1e-9)
    np.testing.assert_allclose(right_depth, depth, atol=1e-12)


def test_rendered_pair_agrees_with_the_plane():
    rig = StereoRig(left=turned(view_at(), 10.0), baseline=0.25)
    pair = render_stereo_pair(renderer(), rig, sample_id="s", view_id="v", extra_offsets=(0.25, -0.5))
    assert pair.left.shape == (48, 64, 3)
    assert pair.left.dtype == np.uint8
    assert pair.left.min() == 0
    assert pair.left.max() == 255
    assert pair.left_depth.median.dtype == np.float32
    assert np.isfinite(pair.left_depth.expected).all()
    np.testing.assert_allclose(pair.left_depth.expected, pair.left_depth.median, rtol=1e-6)
    disparity = disparity_from_depth(pair.left_depth.median, rig.focal_times_baseline)
    # The right depth at the matching column is the left depth: the plane is one surface in both eyes.
    rows, columns = np.arange(48)[:, None], np.arange(64) - disparity
    inner = (columns >= 0) & (columns <= 63)
    low = np.clip(np.floor(columns).astype(int), 0, 62)
    share = columns - low
    right = pair.right_depth.median[rows, low] * (1 - share) + pair.right_depth.median[rows, low + 1] * share
    np.testing.assert_allclose(right[inner], pair.left_depth.median[inner], rtol=1e-4)
    # An extra view at the baseline's own offset is the right eye; the other one is not.
    np.testing.assert_array_equal(pair.extra_views[0], pair.right)
    assert (pair.extra_views[1] != pair.right).any()
    assert pair.extra_offsets == (0.25, -0.5)


def test_rendering_records_no_gradients():
    class Recording(PlaneRasterizer):
        def render(self, *arguments, **options):
            assert not torch.is_grad_enabled()
            return super().render(*arguments, **options)

    renderer(Recording()).render([view_at()])


def test_pixels_that_hit_nothing_have_nan_depth_and_zero_alpha():
    view = renderer(PlaneRasterizer(half_width=1.0)).render([view_at()])[0]
    empty = view.depth.alpha == 0
    assert 0 < empty.sum() < empty.size
    for values in (view.depth.expected, view.depth.median, view.depth.variance):
        np.testing.assert_array_equal(np.isnan(values), empty)


def _depth(median: np.ndarray) -> DepthMaps:
    values = np.asarray(median, dtype=np.float32).reshape(1, -1)
    return DepthMaps(expected=values, median=values, variance=values * 0, alpha=np.ones_like(values))


def test_chosen_baseline_gives_the_median_disparity():
    depth = _depth(np.random.default_rng(1).uniform(2, 9, size=999))
    camera = view_at()
    baseline = choose_baseline(camera, depth, target_disparity_px=4.0)
    assert np.median(camera.focal_px * baseline / depth.median) == pytest.approx(4.0, rel=1e-6)


def test_chosen_baseline_yields_to_near_surfaces():
    depth = _depth([1.0] * 20 + [10.0] * 80)
    camera = view_at()
    baseline = choose_baseline(camera, depth, target_disparity_px=4.0, max_disparity_px=16.0)
    disparity = camera.focal_px * baseline / depth.median
    assert np.percentile(disparity, 95) == pytest.approx(16.0)
    assert np.median(disparity) < 4.0


def test_chosen_baseline_ignores_unknown_depth_and_fails_without_any():
    camera = view_at()
    some = choose_baseline(camera, _depth([np.nan, 2.0, 2.0, np.nan]), target_disparity_px=4.0)
    assert some == pytest.approx(4.0 * 2.0 / camera.focal_px)
    with pytest.raises(StageError, match="no surface"):
        choose_baseline(camera, _depth([np.nan, np.nan]), target_disparity_px=4.0)


@pytest.mark.parametrize(("settings", "target"), [({}, 0.06 * 64), ({"target_disparity_px": 7.0}, 7.0)])
def test_target_disparity_is_reached(settings, target):
    scene = plane_scene(["a.jpg", "b.jpg", "c.jpg"])
    config = parse_config(PairsConfig, settings, where="test")
    capture = Capture(scene=scene, photos=photos_of(scene))
    for plan in plan_pairs(scene, config, 0):
        outcome = render_planned_pair(plan, renderer(), capture, config)
        assert outcome.refusal is None
        assert outcome.pair is not None
        disparity = disparity_from_depth(outcome.pair.left_depth.median, outcome.pair.rig.focal_times_baseline)
        assert np.nanmedian(disparity) == pytest.approx(target, rel=0.02)
        assert outcome.measures.median_disparity_px == pytest.approx(target, rel=0.02)
        assert outcome.measures.baseline == outcome.pair.rig.baseline


def test_train_views_keep_the_pose_bytes_and_the_file_name():
    scene = plane_scene(["a.jpg", "über/b.jpg"])
    config = PairsConfig(baselines=(0.1, 0.2))
    capture = Capture(scene=scene)
    for plan, camera in zip(plan_pairs(scene, config, 0), np.repeat(scene.cameras, 2), strict=True):
        pair = render_planned_pair(plan, renderer(), capture, config).pair
        assert pair is not None
        assert pair.rig.left.cam_from_world.tobytes() == camera.cam_from_world.tobytes()
        assert pair.rig.left.intrinsics.tobytes() == camera.intrinsics.tobytes()
        assert pair.view_id == camera.name
        assert pair.sample_id == plan.sample_id


def test_extra_offsets_are_multiples_of_the_baseline():
    scene = plane_scene(["a.jpg"])
    config = PairsConfig(baselines=(0.2,), extra_offsets=(0.5, 2.0))
    outcome = render_planned_pair(plan_pairs(scene, config, 0)[0], renderer(), Capture(scene=scene), config)
    assert outcome.pair is not None
    assert outcome.pair.extra_offsets == (0.1, 0.4)
    expected = renderer().render([scene.cameras[0].shifted(0.4)])[0].image
    np.testing.assert_array_equal(outcome.pair.extra_views[1], expected)


def test_a_stack_has_depth_in_every_view_and_holds_both_eyes():
    scene = plane_scene(["a.jpg", "b.jpg", "c.jpg"])
    config = PairsConfig(stack_views=5, view_count=2)
    plans = plan_pairs(scene, config, 0)
    for plan in plans:
        pair = render_planned_pair(plan, renderer(), Capture(scene=scene), config).pair
        assert pair is not None
        focal, offsets = pair.rig.left.focal_px, np.array(pair.extra_offsets)
        assert offsets[[0, 2]] == pytest.approx([-pair.rig.baseline, 0])
        assert offsets[4] == pair.rig.baseline
        assert np.median(pair.left_depth.median) * config.stack_reach == pytest.approx(pair.rig.baseline, rel=0.01)
        np.testing.assert_array_equal(pair.extra_views[2], pair.left)
        np.testing.assert_array_equal(pair.extra_views[4], pair.right)
        sample = sample_of(pair, plane_label(pair))
        check_sample(sample)
        assert sample.view_depth is not None
        # Every view sees the one plane: any of them, warped by its own depth, is any other.
        for source, target in ((0, 4), (3, 1)):
            disparity = focal * (offsets[target] - offsets[source]) / sample.view_depth[source].astype(np.float64)
            warped = warp_right_to_left(pair.extra_views[target].astype(np.float64), disparity)
            seen = np.isfinite(warped).all(axis=-1)
            assert seen.mean() > 0.7
            assert np.abs(warped - pair.extra_views[source])[seen].mean() < 4


def plane_label(pair: StereoPair) -> StereoLabel:
    disparity = disparity_from_depth(pair.left_depth.median, pair.rig.focal_times_baseline)
    zeros = np.zeros(disparity.shape)
    return StereoLabel(disparity=disparity, confidence=zeros.astype(np.uint8), flags=zeros.astype(np.uint16))


def test_a_stack_is_refused_for_its_far_end_and_has_no_depth_where_it_is_not_sure():
    scene = plane_scene(["a.jpg"])
    wide = PairsConfig(stack_views=3, stack_reach=0.5, max_disparity_share=1.0, stack_focal_jitter=0)
    outcome = render_planned_pair(plan_pairs(scene, wide, 0)[0], renderer(), Capture(scene=scene), wide)
    assert (outcome.pair, outcome.refusal) == (None, "baseline_too_wide")
    strict = PairsConfig(stack_views=3, stack_seen_share=1.0, stack_focal_jitter=0)
    outcome = render_planned_pair(plan_pairs(scene, strict, 0)[0], renderer(), Capture(scene=scene), strict)
    assert (outcome.pair, outcome.refusal) == (None, "unseen_surface")
    loose = {"stack_views": 3, "stack_seen_share": 0, "guards": {"max_ambiguous_share": 1}}
    config = parse_config(PairsConfig, loose, where="test")
    foggy = renderer(PlaneRasterizer(mean_shift=0.5))
    pair = render_planned_pair(plan_pairs(scene, config, 0)[0], foggy, Capture(scene=scene), config).pair
    assert pair is not None
    assert np.isnan(pair.extra_depth).all()


def test_a_refused_left_eye_costs_one_rendering_and_is_told():
    scene = plane_scene(["a.jpg"])
    rasterizer = PlaneRasterizer(half_width=0.5)
    config = PairsConfig()
    outcome = render_planned_pair(plan_pairs(scene, config, 0)[0], renderer(rasterizer), Capture(scene=scene), config)
    assert (outcome.pair, outcome.refusal) == (None, "low_alpha")
    assert outcome.measures.right is None
    assert rasterizer.calls == 1


def test_a_view_of_nothing_is_refused_even_without_guards():
    scene = plane_scene(["a.jpg"])
    config = parse_config(PairsConfig, {"guards": {"enabled": False}}, where="test")
    source = renderer(PlaneRasterizer(half_width=-1.0))
    outcome = render_planned_pair(plan_pairs(scene, config, 0)[0], source, Capture(scene=scene), config)
    assert outcome.refusal == "no_depth"


def test_a_baseline_beyond_the_capture_is_refused():
    scene = plane_scene(["a.jpg", "b.jpg"])
    config = PairsConfig(baselines=(0.5, 3.0))
    outcomes = [
        render_planned_pair(plan, renderer(), Capture(scene=scene), config) for plan in plan_pairs(scene, config, 0)
    ]
    assert [outcome.refusal for outcome in outcomes] == [None, "baseline_too_wide", None, "baseline_too_wide"]
    assert all(outcome.measures.right is not None for outcome in outcomes)


@pytest.mark.parametrize(
    "settings",
    [
        {"baselines": [0.1], "target_disparity_px": 4.0},
        {"baselines": [0.0]},
        {"baselines": [-0.1]},
        {"baselines": [float("nan")]},
        {"baselines": [0.1, 0.1]},
        {"target_disparity_px": -3},
        {"target_disparity_px": [4, 4]},
        {"target_disparity_px": [4, float("inf")]},
        {"extra_offsets": [float("inf")]},
        {"stack_views": 2},
        {"stack_views": 5, "baselines": [0.1]},
        {"stack_views": 5, "views": "perturb"},
        {"views": "file"},
        {"views_file": "x.json"},
        {"views": "sideways"},
        {"guards": {"min_alpha": 3}},
    ],
)
def test_contradicting_settings_are_configuration_errors(settings):
    with pytest.raises(ConfigError):
        parse_config(PairsConfig, settings, where="test")


def _cloud() -> Gaussians:
    """A wall of small Gaussians at z = 4, in five colours."""
    rng = np.random.default_rng(2)
    means = np.column_stack([rng.uniform(-3, 3, size=(900, 2)), rng.normal(4.0, 0.02, size=900)])
    return make_gaussians(means, scale=0.15, opacity_logit=4.0, sh=rng.uniform(-1, 1, size=(900, 1, 3)))


def _real_rasterizers():
    from twins.rasterizer import ReferenceRasterizer

    yield "reference", ReferenceRasterizer
    if find_spec("gs_stereo.splat.raster.cpu"):
        from gs_stereo.splat.raster.cpu import CpuRasterizer

        yield "cpu", CpuRasterizer


@pytest.mark.parametrize(("name", "rasterizer"), list(_real_rasterizers()))
def test_a_real_rasterizer_gives_pairs_that_warp_into_each_other(name, rasterizer):
    scene = plane_scene(["a", "b"])
    source = SplatRenderer(rasterizer=rasterizer(), gaussians=_cloud(), settings=RenderSettings())
    config = parse_config(PairsConfig, {"target_disparity_px": 3.0, "extra_offsets": [1.0], "width": 32}, where="test")
    outcome = render_planned_pair(plan_pairs(scene, config, 0)[1], source, Capture(scene=scene), config)
    pair = outcome.pair
    assert pair is not None, outcome
    np.testing.assert_allclose(pair.extra_views[0], pair.right, atol=1)
    disparity = disparity_from_depth(pair.left_depth.median, pair.rig.focal_times_baseline)
    assert np.nanmedian(disparity) == pytest.approx(3.0, rel=0.02)
    warped = warp_right_to_left(pair.right.astype(np.float64), disparity.astype(np.float64))
    error = np.nanmean(np.abs(warped - pair.left))
    shifted = np.nanmean(np.abs(warped[:, 1:] - pair.left[:, :-1]))
    assert error < 0.5 * shifted, (error, shifted)
    again = render_planned_pair(plan_pairs(scene, config, 0)[1], source, Capture(scene=scene), config).pair
    assert again is not None
    assert again.left.tobytes() == pair.left.tobytes()
    assert again.right_depth.median.tobytes() == pair.right_depth.median.tobytes()
