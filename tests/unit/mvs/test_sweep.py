"""The multi-view sweep on an analytic scene: a slanted wall behind a nearer board, both textured, with exact depth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builders import camera_at

from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.mvs.config import MultiViewConfig, SweepConfig
from gs_stereo.mvs.sweep import sweep, sweep_near
from gs_stereo.mvs.views import InverseDepthPrior, PosedImage
from gs_stereo.types import Camera

WIDTH, HEIGHT, FOCAL = 160, 120, 140.0
INVERSE_DEPTHS = np.linspace(1 / 5.0, 1 / 0.8, 64)
CONFIG = MultiViewConfig(threads=2)
BASELINE = 0.1


def camera(centre: tuple[float, float, float], rotation_deg: tuple[float, float, float] = (0, 0, 0)) -> Camera:
    return camera_at(str(centre), *centre, size=(WIDTH, HEIGHT), focal_px=FOCAL, turn_deg=rotation_deg)


def paint(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (512, 512, 3)).astype(np.float32)
    smooth = sum(cv2.GaussianBlur(noise, (0, 0), s) * s for s in (1.5, 3.0, 6.0))
    return np.asarray((smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255, np.float32)


PAINTS = (paint(1), paint(2))


def render(cam: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Image (3x3 rays a pixel) and exact z of the wall z = 3 + 0.3 x + 0.2 y and the board z = 1.5, |x|, |y| < 0.35."""
    fine = cam.resized(3 * WIDTH, 3 * HEIGHT)
    colour, _ = _cast(fine)
    return np.rint(cv2.resize(colour, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)).astype(np.uint8), _cast(cam)[1]


def _cast(cam: Camera) -> tuple[np.ndarray, np.ndarray]:
    xy = pixel_centres(cam.width, cam.height)
    rays = np.concatenate(
        [(xy - cam.intrinsics[:2, 2]) / cam.intrinsics[[0, 1], [0, 1]], np.ones((*xy.shape[:2], 1))], -1
    )
    ways, eye = rays @ cam.cam_from_world[:3, :3], cam.centre_in_world
    normal = np.array([-0.3, -0.2, 1.0])
    wall = (3.0 - eye @ normal) / (ways @ normal)
    board = (1.5 - eye[2]) / ways[..., 2]
    on_board = (np.abs(eye[:2] + board[..., None] * ways[..., :2]) < 0.35).all(axis=-1)
    z = np.where(on_board, board, wall)
    at = ((eye + z[..., None] * ways)[..., :2] * 90 + 256).astype(np.float32)
    picture = [cv2.remap(p, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP) for p in PAINTS]
    return np.where(on_board[..., None], picture[1], picture[0]), z


def posed(cam: Camera) -> PosedImage:
    return PosedImage(camera=cam, image=render(cam)[0])


LEFT = camera((0, 0, 0))
TRUE_Z = render(LEFT)[1]


@pytest.fixture(scope="module")
def stack() -> list[PosedImage]:
    return [posed(LEFT.shifted(offset)) for offset in (-0.2, -0.1, 0.1, 0.2)]


@pytest.fixture(scope="module")
def photos() -> list[PosedImage]:
    poses = (((-0.3, 0.05, 0.02), (1, -4, 2)), ((0.25, -0.1, 0), (-2, 3, -1)), ((0.05, 0.3, 0), (4, 0, 0)),
             ((-0.1, -0.25, 0.1), (-4, -1, 3)), ((0.4, 0.15, -0.05), (1, 6, 0)))  # fmt: skip
    return [posed(camera(centre, rotation)) for centre, rotation in poses]


def errors_px(inverse_depth: np.ndarray, baseline: float = BASELINE) -> np.ndarray:
    return np.asarray(np.abs(inverse_depth - 1 / TRUE_Z) * FOCAL * baseline)


def prior_of(inverse_depth: np.ndarray, sigma: float = 0.03) -> InverseDepthPrior:
    known = np.where(np.isfinite(inverse_depth), sigma, np.nan)
    return InverseDepthPrior(inverse_depth=inverse_depth.astype(np.float32), sigma=known.astype(np.float32))


def test_a_sweep_over_all_depths_finds_them(photos: list[PosedImage], stack: list[PosedImage]) -> None:
    for views in (photos, stack):
        found = sweep(posed(LEFT), views, INVERSE_DEPTHS, SweepConfig())
        error = errors_px(found)
        assert np.isfinite(error).mean() > 0.97
        assert np.nanmedian(error) < 0.05
        assert np.nanmean(error > 0.5) < 0.03


def test_what_no_view_sees_has_no_depth(photos: list[PosedImage]) -> None:
    away = posed(camera((0.3, 0, 0), (0, 170, 0)))
    assert np.isnan(sweep(posed(LEFT), [away], INVERSE_DEPTHS, SweepConfig())).all()
    aside = posed(LEFT.shifted(0.4))
    found = sweep(posed(LEFT), [aside], INVERSE_DEPTHS, SweepConfig())
    assert np.isfinite(found[:, 80:]).mean() > 0.9
    assert np.isfinite(found[:, :10]).mean() < 0.1


def test_refinement_sharpens_what_the_planes_give(photos: list[PosedImage]) -> None:
    found = sweep(posed(LEFT), photos, INVERSE_DEPTHS, SweepConfig())
    result = sweep_near(posed(LEFT), photos, prior_of(found), CONFIG)
    before, after = errors_px(found), errors_px(result.inverse_depth)
    assert np.nanmedian(after) < 0.9 * np.nanmedian(before)
    assert np.nanmedian(after) < 0.02


def test_photos_around_the_view_give_sharper_depth_than_their_prior(photos: list[PosedImage]) -> None:
    rng = np.random.default_rng(0)
    wrong = 1 / TRUE_Z * (1 + 0.03 * cv2.GaussianBlur(rng.normal(size=TRUE_Z.shape), (0, 0), 4) * 8)
    wrong[rng.random(TRUE_Z.shape) < 0.05] *= 1.6
    wrong[:10, :10] = np.nan
    result = sweep_near(posed(LEFT), photos, prior_of(wrong), CONFIG)
    before, after = errors_px(wrong), errors_px(result.inverse_depth)
    assert np.nanmedian(after) < 0.03 < np.nanmedian(before)
    assert np.nanmean(after > 0.5) < 0.5 * np.nanmean(before > 0.5)
    assert result.supporting_views[40:80, 60:100].min() >= 3


def test_a_sweep_near_a_prior_corrects_it_and_finds_what_is_pixels_away(photos: list[PosedImage]) -> None:
    wrong = (1 / TRUE_Z * 1.01).astype(np.float32)
    wrong[30:50, 20:40] *= 1.1
    result = sweep_near(posed(LEFT), photos, prior_of(wrong), CONFIG)
    before, after = errors_px(wrong), errors_px(result.inverse_depth)
    assert np.nanmedian(after) < 0.02 < np.nanmedian(before)
    patch = np.s_[32:48, 22:38]
    assert np.median(before[patch]) > 0.4
    assert np.nanmedian(after[patch]) < 0.03


def test_a_sweep_near_nothing_is_refused(photos: list[PosedImage]) -> None:
    empty = np.full(TRUE_Z.shape, np.nan, np.float32)
    with pytest.raises(InputError, match="empty"):
        sweep_near(posed(LEFT), photos, prior_of(empty), CONFIG)
    with pytest.raises(InputError, match="size of the left image"):
        sweep_near(posed(LEFT), photos, prior_of(empty[1:]), CONFIG)


def test_the_same_input_gives_the_same_bytes_with_any_number_of_threads(stack: list[PosedImage]) -> None:
    prior = prior_of(1.01 / TRUE_Z)
    near = [sweep_near(posed(LEFT), stack, prior, CONFIG.model_copy(update={"threads": n})) for n in (1, 2)]
    np.testing.assert_array_equal(near[0].inverse_depth, near[1].inverse_depth)
    np.testing.assert_array_equal(near[0].cost, near[1].cost)
    found = [sweep(posed(LEFT), stack, INVERSE_DEPTHS, SweepConfig(), threads=n) for n in (1, 2)]
    np.testing.assert_array_equal(found[0], found[1])


def test_inputs_are_not_changed(stack: list[PosedImage]) -> None:
    images, prior = [posed(LEFT), *stack], prior_of(1.01 / TRUE_Z)
    copies = [*(view.image.copy() for view in images), prior.inverse_depth.copy(), prior.sigma.copy()]
    sweep(images[0], stack, INVERSE_DEPTHS, SweepConfig())
    sweep_near(images[0], stack, prior, CONFIG)
    for copy, array in zip(copies, [*(v.image for v in images), prior.inverse_depth, prior.sigma], strict=True):
        np.testing.assert_array_equal(copy, array)


def test_without_texture_the_prior_decides() -> None:
    gray = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    left = PosedImage(camera=LEFT, image=gray)
    views = [PosedImage(camera=LEFT.shifted(b), image=gray) for b in (-0.1, 0.1)]
    prior = InverseDepthPrior.from_depth(np.full((HEIGHT, WIDTH), 2.0), np.full((HEIGHT, WIDTH), 0.05))
    result = sweep_near(left, views, prior, CONFIG)
    np.testing.assert_allclose(result.inverse_depth[20:-20, 30:-30], 0.5, atol=0.01)
    assert result.cost.min() > 0.9
    assert result.supporting_views.max() == 0


def test_wrong_inputs_are_named(stack: list[PosedImage]) -> None:
    with pytest.raises(InputError, match="its camera needs"):
        PosedImage(camera=LEFT, image=posed(LEFT).image[:-1])
    for planes in (INVERSE_DEPTHS[:2], INVERSE_DEPTHS[::-1], INVERSE_DEPTHS - 1):
        with pytest.raises(InputError, match="at least three planes"):
            sweep(posed(LEFT), stack, planes, SweepConfig())
    with pytest.raises(InputError, match="behind or at the left camera"):
        sweep_near(posed(LEFT), [posed(LEFT)], prior_of(1 / TRUE_Z), CONFIG)
