"""Sharpness on images whose blur is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gs_stereo.imaging.sharpness import contrast, edge_width_px2, extra_blur_px, fine_detail, frame_sharpness

HEIGHT, WIDTH = 120, 160


def step_edge(sigma_px: float, turned: bool = False) -> np.ndarray:
    image = np.full((HEIGHT, WIDTH, 3), 40, np.float32)
    image[:, WIDTH // 2 :] = 200
    image = cv2.GaussianBlur(image, (0, 0), sigma_px)
    image = image[:, : WIDTH - WIDTH % 2]
    return np.ascontiguousarray(image.transpose(1, 0, 2) if turned else image).astype(np.uint8)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("sigma", [2.0, 3.5])
def test_the_width_of_a_blurred_step_is_its_sigma(sigma: float, turned: bool) -> None:
    assert edge_width_px2(step_edge(sigma, turned)) == pytest.approx(sigma**2, rel=0.15)


def test_the_width_does_not_depend_on_the_contrast() -> None:
    sharp = step_edge(1.5)
    assert edge_width_px2((sharp // 3 + 60).astype(np.uint8)) == pytest.approx(edge_width_px2(sharp), rel=0.1)


def test_blurring_adds_its_variance() -> None:
    once = step_edge(1.5)
    twice = cv2.GaussianBlur(once, (0, 0), 2.0)
    assert extra_blur_px(edge_width_px2(twice), edge_width_px2(once)) == pytest.approx(2.0, rel=0.15)


def test_blur_of_one_direction_is_seen() -> None:
    noise = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH + 40, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    image = np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)[:, :WIDTH]
    moving = cv2.blur(image, (9, 1))
    assert edge_width_px2(moving) > edge_width_px2(image) + 1


def test_a_blank_image_has_no_edges_and_no_contrast() -> None:
    blank = np.full((HEIGHT, WIDTH, 3), 7, np.uint8)
    assert np.isnan(edge_width_px2(blank))
    assert np.isnan(extra_blur_px(float("nan"), 0.0))
    assert contrast(blank) == 0


def test_fine_detail_falls_with_blur_and_is_zero_for_a_flat_image():
    noise = np.random.default_rng(0).integers(0, 256, size=(60, 80, 3)).astype(np.uint8)
    levels = [fine_detail(cv2.GaussianBlur(noise, (0, 0), sigma)) for sigma in (0.5, 1.0, 2.0, 4.0)]
    assert fine_detail(noise) > levels[0] > levels[1] > levels[2] > levels[3] > 0
    assert fine_detail(np.full((20, 20, 3), 77, dtype=np.uint8)) < 1e-6


def test_frames_are_ranked_by_their_blur_at_one_size() -> None:
    noise = np.random.default_rng(1).integers(0, 256, size=(90, 120, 3)).astype(np.uint8)
    large = cv2.resize(noise, (1280, 960), interpolation=cv2.INTER_LINEAR)
    levels = [frame_sharpness(cv2.GaussianBlur(large, (0, 0), sigma)) for sigma in (1.0, 4.0, 16.0)]
    assert levels[0] > levels[1] > levels[2] > 0
    assert frame_sharpness(cv2.resize(large, (640, 480), interpolation=cv2.INTER_AREA)) == frame_sharpness(large)
