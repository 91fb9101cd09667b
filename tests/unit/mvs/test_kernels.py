"""The native kernels of the multi-view sweep against their numpy twins."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from builders import camera_at

from gs_stereo.errors import InputError
from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.mvs.kernels import NativeKernel
from gs_stereo.mvs.problem import Problem, make_problem, reference_px, scaled
from gs_stereo.mvs.reference import ReferenceKernel
from gs_stereo.mvs.views import PosedImage

INTRINSICS = np.array([[40.0, 0, 25.0], [0, 42.0, 18.0], [0, 0, 1]])


def noise_image(seed: int, width: int = 50, height: int = 36) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(values, (5, 5), 1.0))


def posed(seed: int, rotation_deg: tuple[float, float, float], centre: tuple[float, float, float]) -> PosedImage:
    look = {"focal_px": (40.0, 42.0), "turn_deg": rotation_deg}
    camera = camera_at(str(seed), *centre, size=(50, 36), **look)
    return PosedImage(camera=camera, image=noise_image(seed))


@pytest.fixture(scope="module")
def problem() -> Problem:
    left = posed(0, (0, 0, 0), (0, 0, 0))
    poses = (
        ((2, -3, 5), (0.3, 0.1, 0.0)),
        ((0, 0, 0), (-0.4, 0, 0)),
        ((1, 8, -2), (0.2, -0.3, 0.4)),
        ((0, 175, 0), (0, 0, 9)),
    )
    views = [posed(k + 1, rotation, centre) for k, (rotation, centre) in enumerate(poses)]
    return make_problem(left, views, MultiViewConfig(window_radius_px=4, window_step_px=2, threads=2))


def random_planes(count: int) -> np.ndarray:
    rng = np.random.default_rng(9)
    return np.stack([rng.uniform(0.1, 1.5, count), *rng.uniform(-0.02, 0.02, (2, count))]).astype(np.float32)


def test_patch_costs_equal_the_reference(problem: Problem) -> None:
    """float32 against float64; a sample may fall on another side of a pixel's border, which bilinear values forgive."""
    pixels = np.arange(50 * 36, dtype=np.int32)
    planes = random_planes(len(pixels))
    native = NativeKernel().patch_costs(problem, pixels, planes)
    reference = ReferenceKernel().patch_costs(problem, pixels, planes)
    seen = np.isfinite(reference.by_view)
    assert (seen == np.isfinite(native.by_view)).mean() > 0.999
    assert 0.2 < seen.mean() < 0.95  # the test sees both visible and invisible views
    both = seen & np.isfinite(native.by_view)
    np.testing.assert_allclose(native.by_view[both], reference.by_view[both], atol=1e-3)
    assert np.median(np.abs(native.by_view[both] - reference.by_view[both])) < 5e-5
    same = (seen == np.isfinite(native.by_view)).all(axis=0)
    np.testing.assert_allclose(native.cost[same], reference.cost[same], atol=1e-3)


def test_a_view_behind_the_camera_is_not_seen(problem: Problem) -> None:
    pixels = np.array([18 * 50 + 25], np.int32)
    near = np.array([[1.0], [0.0], [0.0]], np.float32)  # z = 1 lies in front of the view that looks back from z = 9
    far = np.array([[0.05], [0.0], [0.0]], np.float32)  # z = 20 lies behind it
    kernel = NativeKernel()
    assert np.isfinite(kernel.patch_costs(problem, pixels, near).by_view[3, 0])
    assert np.isnan(kernel.patch_costs(problem, pixels, far).by_view[3, 0])


def test_identical_images_match_perfectly_and_only_at_the_right_place() -> None:
    left = posed(0, (0, 0, 0), (0, 0, 0))
    offset, inverse_depth = 0.5, 0.2  # a shift of 40 * 0.5 * 0.2 = 4 px
    image = np.roll(left.image, -4, axis=1)
    view = PosedImage(camera=left.camera.shifted(offset), image=image)
    problem = make_problem(
        left, [view, view], MultiViewConfig(window_radius_px=3, window_step_px=1, noise_levels=0.05, threads=1)
    )
    pixels = (np.arange(5, 31)[:, None] * 50 + np.arange(10, 40)).ravel().astype(np.int32)
    right_plane = np.tile(np.array([[inverse_depth], [0], [0]], np.float32), len(pixels))
    wrong_plane = right_plane + np.array([[0.05], [0], [0]], np.float32)
    kernel = NativeKernel()
    assert kernel.patch_costs(problem, pixels, right_plane).cost.max() < 1e-3
    assert np.median(kernel.patch_costs(problem, pixels, wrong_plane).cost) > 0.1


def test_threads_do_not_change_a_bit(problem: Problem) -> None:
    pixels = np.arange(50 * 36, dtype=np.int32)
    planes = random_planes(len(pixels))
    answers = [NativeKernel().patch_costs(replace(problem, threads=n), pixels, planes) for n in (1, 3)]
    np.testing.assert_array_equal(answers[0].cost, answers[1].cost)
    volume = np.random.default_rng(0).uniform(size=(36, 50, 12)).astype(np.float32)
    totals = [NativeKernel().aggregate(volume, problem.gray, (0.1, 0.8, 10.0), n) for n in (1, 3)]
    np.testing.assert_array_equal(totals[0], totals[1])


def test_aggregate_equals_the_reference() -> None:
    rng = np.random.default_rng(1)
    volume = rng.uniform(size=(9, 13, 7)).astype(np.float32)
    gray = rng.integers(0, 256, (9, 13), dtype=np.uint8)
    native = NativeKernel().aggregate(volume, gray, (0.1, 0.9, 30.0), 2)
    reference = ReferenceKernel().aggregate(volume, gray, (0.1, 0.9, 30.0), 1)
    np.testing.assert_allclose(native, reference, rtol=1e-5)
    assert np.abs(native - 8 * volume).max() > 0.1  # it does more than add


def test_too_many_views_and_too_large_windows_are_refused() -> None:
    left, view = posed(0, (0, 0, 0), (0, 0, 0)), posed(1, (0, 0, 0), (1, 0, 0))
    with pytest.raises(InputError, match="1 to 62 views"):
        make_problem(left, [], MultiViewConfig())
    with pytest.raises(InputError, match="1 to 62 views"):
        make_problem(left, [view] * 63, MultiViewConfig())
    with pytest.raises(InputError, match="window_step_px"):
        make_problem(left, [view], MultiViewConfig(window_radius_px=9, window_step_px=1))


def test_what_would_read_or_write_outside_an_array_is_refused(problem: Problem) -> None:
    kernel, plane = NativeKernel(), np.zeros((3, 1), np.float32)
    for pixel in (-1, 50 * 36):
        with pytest.raises(InputError, match="A pixel lies outside the image of 50 x 36"):
            kernel.patch_costs(problem, np.array([pixel], np.int32), plane)
    with pytest.raises(InputError, match="Patches.planes must be contiguous float32 of shape"):
        kernel.patch_costs(problem, np.zeros(2, np.int32), plane)
    with pytest.raises(InputError, match="Sweep.rgb must be"):
        NativeKernel().patch_costs(replace(problem, gray=problem.gray[:, ::2]), np.zeros(1, np.int32), plane)
    with pytest.raises(InputError, match="the kernel takes 1 to 62"):
        NativeKernel().patch_costs(replace(problem, views=()), np.zeros(1, np.int32), plane)
    with pytest.raises(InputError, match="The mean of 1 views"):
        NativeKernel().patch_costs(replace(problem, best_views=1), np.zeros(1, np.int32), plane)
    with pytest.raises(InputError, match="Volume.gray must be"):
        kernel.aggregate(np.zeros((9, 13, 7), np.float32), np.zeros((9, 12), np.uint8), (0.1, 0.9, 30.0), 1)
    with pytest.raises(InputError, match="cannot be aggregated"):
        kernel.aggregate(np.zeros((9, 0, 7), np.float32), np.zeros((9, 0), np.uint8), (0.1, 0.9, 30.0), 1)


def test_a_plane_that_is_no_number_reads_inside_the_views(problem: Problem) -> None:
    pixels, planes = np.full(5, 18 * 50 + 25, np.int32), np.tile(np.array([[0.5], [0], [0]], np.float32), 5)
    planes[1] = [np.nan, np.inf, -np.inf, 1e38, 0]
    planes[2] = [0, 0, 1e38, 1e38, np.nan]
    NativeKernel().patch_costs(problem, pixels, planes)


def test_reference_px_is_focal_times_baseline_for_a_stack() -> None:
    left = posed(0, (0, 0, 0), (0, 0, 0))
    views = [PosedImage(camera=left.camera.shifted(b), image=left.image) for b in (-0.2, 0.3, 0.4)]
    problem = make_problem(left, views, MultiViewConfig())
    assert reference_px(problem, 0.5) == pytest.approx(40 * 0.3)


def test_scaled_views_keep_their_field_of_view() -> None:
    half = scaled(posed(0, (0, 0, 0), (0, 0, 0)), 0.5)
    assert half.image.shape == (18, 25, 3)
    np.testing.assert_allclose(half.camera.intrinsics[:2, 2], [12.5, 9.0])
