"""The native kernels of the multi-view sweep against their numpy twins."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from builders import camera_at
from twins import multiview as twin

from gs_stereo.errors import InputError
from gs_stereo.mvs.config import MultiViewConfig, SweepConfig
from gs_stereo.mvs.kernels import aggregate
from gs_stereo.mvs.problem import MISSING_COST, Problem, Window, make_problem, reference_px
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
    return make_problem(left, views, noise_levels=1.0, threads=2)


WINDOW = Window.of(MultiViewConfig(window_radius_px=4, window_step_px=2))
PLANES = np.linspace(0.1, 1.5, 9)
JUMPS = SweepConfig(small_jump=0.1, large_jump=0.9, edge_levels=30.0)


def random_planes(count: int) -> np.ndarray:
    rng = np.random.default_rng(9)
    return np.stack([rng.uniform(0.1, 1.5, count), *rng.uniform(-0.02, 0.02, (2, count))]).astype(np.float32)


def test_patch_costs_equal_the_reference(problem: Problem) -> None:
    """float32 against float64; a sample may fall on another side of a pixel's border, which bilinear values forgive."""
    pixels = np.arange(50 * 36, dtype=np.int32)
    planes = random_planes(len(pixels))
    native = problem.patch_costs(WINDOW, pixels, planes)
    reference = twin.patch_costs(problem, WINDOW, pixels, planes)
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
    assert np.isfinite(problem.patch_costs(WINDOW, pixels, near).by_view[3, 0])
    assert np.isnan(problem.patch_costs(WINDOW, pixels, far).by_view[3, 0])


@pytest.mark.parametrize("window_px", [3, 5])
def test_plane_costs_equal_the_reference(problem: Problem, window_px: int) -> None:
    """float32 against float64; a pixel may fall on another side of a view's border, where it has the missing cost."""
    native = problem.plane_costs(PLANES, window_px)
    reference = twin.plane_costs(problem, PLANES, window_px)
    close = np.abs(native - reference) < 1e-3
    assert close.mean() > 0.999
    assert np.median(np.abs(native - reference)) < 1e-5
    assert 0.05 < (reference == MISSING_COST).mean() < 0.95  # the test sees both visible and invisible pixels


def test_identical_images_match_perfectly_and_only_at_the_right_place() -> None:
    left = posed(0, (0, 0, 0), (0, 0, 0))
    offset, inverse_depth = 0.5, 0.2  # a shift of 40 * 0.5 * 0.2 = 4 px
    image = np.roll(left.image, -4, axis=1)
    view = PosedImage(camera=left.camera.shifted(offset), image=image)
    problem = make_problem(left, [view, view], noise_levels=0.05, threads=1)
    window = Window.of(MultiViewConfig(window_radius_px=3, window_step_px=1))
    pixels = (np.arange(5, 31)[:, None] * 50 + np.arange(10, 40)).ravel().astype(np.int32)
    right_plane = np.tile(np.array([[inverse_depth], [0], [0]], np.float32), len(pixels))
    wrong_plane = right_plane + np.array([[0.05], [0], [0]], np.float32)
    assert problem.patch_costs(window, pixels, right_plane).cost.max() < 1e-3
    assert np.median(problem.patch_costs(window, pixels, wrong_plane).cost) > 0.1
    by_plane = problem.plane_costs(np.array([inverse_depth, inverse_depth + 0.05]), 7)[5:31, 10:40]
    assert by_plane[..., 0].max() < 1e-3
    assert np.median(by_plane[..., 1]) > 0.1


def test_threads_do_not_change_a_bit(problem: Problem) -> None:
    pixels = np.arange(50 * 36, dtype=np.int32)
    planes = random_planes(len(pixels))
    few, many = (replace(problem, threads=n) for n in (1, 3))
    for first, second in (
        (few.patch_costs(WINDOW, pixels, planes).cost, many.patch_costs(WINDOW, pixels, planes).cost),
        (few.plane_costs(PLANES, 3), many.plane_costs(PLANES, 3)),
        *[(aggregate(few.plane_costs(PLANES, 3), few.gray, JUMPS, n) for n in (1, 3))],
    ):
        np.testing.assert_array_equal(first, second)


def test_aggregate_equals_the_reference() -> None:
    rng = np.random.default_rng(1)
    volume = rng.uniform(size=(9, 13, 7)).astype(np.float32)
    gray = rng.integers(0, 256, (9, 13), dtype=np.uint8)
    native = aggregate(volume, gray, JUMPS, 2)
    reference = twin.aggregate(volume, gray, JUMPS)
    np.testing.assert_allclose(native, reference, rtol=1e-5)
    assert np.abs(native - 8 * volume).max() > 0.1  # it does more than add


def test_too_many_views_and_too_large_windows_are_refused() -> None:
    left, view = posed(0, (0, 0, 0), (0, 0, 0)), posed(1, (0, 0, 0), (1, 0, 0))
    for views in ([], [view] * 63):
        with pytest.raises(InputError, match="1 to 62 views"):
            make_problem(left, views, noise_levels=1.0, threads=1)
    with pytest.raises(InputError, match="window_step_px"):
        Window.of(MultiViewConfig(window_radius_px=9, window_step_px=1))


def test_what_would_read_or_write_outside_an_array_is_refused(problem: Problem) -> None:
    first, plane = np.zeros(1, np.int32), np.zeros((3, 1), np.float32)
    for pixel in (-1, 50 * 36):
        with pytest.raises(InputError, match="A pixel lies outside the image of 50 x 36"):
            problem.patch_costs(WINDOW, np.array([pixel], np.int32), plane)
    with pytest.raises(InputError, match="Patches.planes must be contiguous float32 of shape"):
        problem.patch_costs(WINDOW, np.zeros(2, np.int32), plane)
    with pytest.raises(InputError, match="Sweep.rgb must be"):
        replace(problem, gray=problem.gray[:, ::2]).patch_costs(WINDOW, first, plane)
    with pytest.raises(InputError, match="the kernel takes 1 to 62"):
        replace(problem, views=()).patch_costs(WINDOW, first, plane)
    with pytest.raises(InputError, match="The mean of 1 views"):
        problem.patch_costs(replace(WINDOW, best_views=1), first, plane)
    with pytest.raises(InputError, match="windows of radius 17"):
        problem.plane_costs(PLANES, 35)
    with pytest.raises(InputError, match="0 planes"):
        problem.plane_costs(PLANES[:0], 3)
    with pytest.raises(InputError, match="Volume.gray must be"):
        aggregate(np.zeros((9, 13, 7), np.float32), np.zeros((9, 12), np.uint8), JUMPS, 1)
    with pytest.raises(InputError, match="cannot be aggregated"):
        aggregate(np.zeros((9, 0, 7), np.float32), np.zeros((9, 0), np.uint8), JUMPS, 1)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_planes_that_are_no_numbers_lead_to_no_address(problem: Problem, wrong: float) -> None:
    pixels = np.arange(50 * 36, dtype=np.int32)
    for row in range(3):
        planes = random_planes(len(pixels))
        seen = np.isfinite(problem.patch_costs(WINDOW, pixels, planes).by_view)
        planes[row, ::2] = wrong
        costs = problem.patch_costs(WINDOW, pixels, planes)
        assert np.isfinite(costs.cost).all()
        assert (np.isfinite(costs.by_view) == seen)[:, 1::2].all()
        asked = costs.by_view[:, ::2]
        assert (asked[np.isfinite(asked)] <= 2).all() if row else np.isnan(asked).all()
    assert (problem.plane_costs(np.array([wrong, 0.5]), 3)[..., 0] == MISSING_COST).all()


def test_a_pixel_unlike_all_samples_of_its_window_does_not_match() -> None:
    """The weights of its window are too small for a float."""
    left = posed(0, (0, 0, 0), (0, 0, 0))
    image = np.zeros_like(left.image)
    image[18, 25] = 255
    problem = make_problem(replace(left, image=image), [posed(1, (0, 0, 0), (0.1, 0, 0))] * 2, 1.0, threads=1)
    window = Window.of(MultiViewConfig())  # no sample lies on the centre
    costs = problem.patch_costs(window, np.array([18 * 50 + 25], np.int32), np.array([[0.5], [0], [0]], np.float32))
    assert np.isnan(costs.by_view).all()
    assert costs.cost == MISSING_COST


def test_reference_px_is_focal_times_baseline_for_a_stack() -> None:
    left = posed(0, (0, 0, 0), (0, 0, 0))
    views = [PosedImage(camera=left.camera.shifted(b), image=left.image) for b in (-0.2, 0.3, 0.4)]
    problem = make_problem(left, views, noise_levels=1.0, threads=1)
    assert reference_px(problem, 0.5) == pytest.approx(40 * 0.3)


def test_shrunk_views_keep_their_field_of_view() -> None:
    view = posed(0, (0, 0, 0), (0, 0, 0))
    half = view.shrunk(25)
    assert half.image.shape == (18, 25, 3)
    np.testing.assert_allclose(half.camera.intrinsics[:2, 2], [12.5, 9.0])
    assert view.shrunk(50) is view
