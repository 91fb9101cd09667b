"""The multi-view sweep on an analytic scene: a slanted wall behind a nearer board, both textured, with exact depth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builders import camera_at

from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import pixel_centres
from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.mvs.sweep import sweep, sweep_near
from gs_stereo.mvs.views import DepthRange, InverseDepthPrior, PosedImage, RectifiedStack
from gs_stereo.types import Camera

WIDTH, HEIGHT, FOCAL = 160, 120, 140.0
RANGE = DepthRange(near=0.8, far=5.0)
CONFIG = MultiViewConfig(planes=64, threads=2)
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
def stack() -> RectifiedStack:
    offsets = (-0.2, -0.1, 0.1, 0.2)
    return RectifiedStack(left=posed(LEFT), views=tuple(render(LEFT.shifted(b))[0] for b in offsets), offsets=offsets)


@pytest.fixture(scope="module")
def photos() -> list[PosedImage]:
    poses = (((-0.3, 0.05, 0.02), (1, -4, 2)), ((0.25, -0.1, 0), (-2, 3, -1)), ((0.05, 0.3, 0), (4, 0, 0)),
             ((-0.1, -0.25, 0.1), (-4, -1, 3)), ((0.4, 0.15, -0.05), (1, 6, 0)))  # fmt: skip
    return [posed(camera(centre, rotation)) for centre, rotation in poses]


def errors_px(inverse_depth: np.ndarray, baseline: float = BASELINE) -> np.ndarray:
    return np.asarray(np.abs(inverse_depth - 1 / TRUE_Z) * FOCAL * baseline)


def test_a_rectified_stack_gives_sub_pixel_disparity(stack: RectifiedStack) -> None:
    result = sweep(stack.left, stack.posed_views(), RANGE, CONFIG)
    error = errors_px(result.inverse_depth)
    assert np.isfinite(error).mean() > 0.99
    assert np.nanmedian(error) < 0.03
    assert np.nanmean(error > 0.5) < 0.05
    sure = result.cost < np.nanpercentile(result.cost, 90)
    assert np.nanmean(error[sure] > 0.5) < 0.5 * np.nanmean(error > 0.5) + 1e-4


def test_photos_around_the_view_give_sharper_depth_than_their_prior(photos: list[PosedImage]) -> None:
    rng = np.random.default_rng(0)
    wrong = 1 / TRUE_Z * (1 + 0.03 * cv2.GaussianBlur(rng.normal(size=TRUE_Z.shape), (0, 0), 4) * 8)
    wrong[rng.random(TRUE_Z.shape) < 0.05] *= 1.6
    wrong[:10, :10] = np.nan
    prior = InverseDepthPrior(
        inverse_depth=wrong.astype(np.float32),
        sigma=np.full(TRUE_Z.shape, 0.03, np.float32) + 0 * wrong.astype(np.float32),
    )
    result = sweep(posed(LEFT), photos, RANGE, CONFIG, prior=prior)
    before, after = errors_px(wrong), errors_px(result.inverse_depth)
    assert np.nanmedian(after) < 0.02 < np.nanmedian(before)
    assert np.nanmean(after > 0.5) < 0.03
    assert result.supporting_views[40:80, 60:100].min() >= 3


def test_it_needs_no_prior(photos: list[PosedImage]) -> None:
    after = errors_px(sweep(posed(LEFT), photos, RANGE, CONFIG).inverse_depth)
    assert np.nanmedian(after) < 0.02
    assert np.nanmean(after > 0.5) < 0.04


def test_a_sweep_near_a_prior_corrects_it_and_finds_what_is_pixels_away(photos: list[PosedImage]) -> None:
    wrong = (1 / TRUE_Z * 1.01).astype(np.float32)
    wrong[30:50, 20:40] *= 1.1
    prior = InverseDepthPrior(inverse_depth=wrong, sigma=np.full(TRUE_Z.shape, 0.03, np.float32))
    result = sweep_near(posed(LEFT), photos, prior, CONFIG)
    before, after = errors_px(wrong), errors_px(result.inverse_depth)
    assert np.nanmedian(after) < 0.02 < np.nanmedian(before)
    patch = np.s_[32:48, 22:38]
    assert np.median(before[patch]) > 0.4
    assert np.nanmedian(after[patch]) < 0.03
    assert np.isnan(result.ambiguity).all()


def test_a_sweep_near_nothing_is_refused(photos: list[PosedImage]) -> None:
    empty = np.full(TRUE_Z.shape, np.nan, np.float32)
    with pytest.raises(InputError, match="empty"):
        sweep_near(posed(LEFT), photos, InverseDepthPrior(inverse_depth=empty, sigma=empty), CONFIG)
    with pytest.raises(InputError, match="size of the left image"):
        sweep_near(posed(LEFT), photos, InverseDepthPrior(inverse_depth=empty[1:], sigma=empty[1:]), CONFIG)


def test_the_same_input_gives_the_same_bytes_with_any_number_of_threads(stack: RectifiedStack) -> None:
    answers = [
        sweep(stack.left, stack.posed_views(), RANGE, CONFIG.model_copy(update={"threads": n})).inverse_depth
        for n in (1, 2)
    ]
    np.testing.assert_array_equal(answers[0], answers[1])


def test_inputs_are_not_changed(stack: RectifiedStack) -> None:
    copies = [stack.left.image.copy(), *(view.copy() for view in stack.views)]
    sweep(stack.left, stack.posed_views(), RANGE, CONFIG)
    for copy, image in zip(copies, [stack.left.image, *stack.views], strict=True):
        np.testing.assert_array_equal(copy, image)


def test_without_texture_the_prior_decides() -> None:
    gray = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    left = PosedImage(camera=LEFT, image=gray)
    views = [PosedImage(camera=LEFT.shifted(b), image=gray) for b in (-0.1, 0.1)]
    prior = InverseDepthPrior.from_depth(np.full((HEIGHT, WIDTH), 2.0), np.full((HEIGHT, WIDTH), 0.05))
    result = sweep(left, views, RANGE, CONFIG, prior=prior)
    np.testing.assert_allclose(result.inverse_depth[20:-20, 30:-30], 0.5, atol=0.01)
    assert result.cost.min() > 0.9
    assert result.supporting_views.max() == 0


def test_wrong_inputs_are_named(stack: RectifiedStack) -> None:
    left = stack.left
    with pytest.raises(InputError, match="as many offsets as views"):
        RectifiedStack(left=left, views=stack.views, offsets=(0.1,)).posed_views()
    with pytest.raises(InputError, match="not zero"):
        RectifiedStack(left=left, views=stack.views[:1], offsets=(0.0,)).posed_views()
    with pytest.raises(InputError, match="its camera needs"):
        PosedImage(camera=LEFT, image=left.image[:-1])
    with pytest.raises(InputError, match="near < far"):
        DepthRange(near=2.0, far=1.0)
    small = InverseDepthPrior(inverse_depth=np.ones((3, 3)), sigma=np.ones((3, 3)))
    views = stack.posed_views()
    with pytest.raises(InputError, match="size of the left image"):
        sweep(left, views, RANGE, CONFIG, prior=small)
