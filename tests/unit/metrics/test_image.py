"""PSNR and SSIM."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gs_stereo.errors import InputError
from gs_stereo.metrics.image import psnr, ssim


def _images(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    first = random.uniform(0, 1, (19, 23, 3))
    return first, np.clip(first + random.normal(0, 0.1, first.shape), 0, 1)


def test_psnr_of_a_constant_error() -> None:
    assert psnr(np.full((4, 5, 3), 0.5), np.full((4, 5, 3), 0.6)) == pytest.approx(20.0)
    assert psnr(np.zeros((2, 2, 3)), np.zeros((2, 2, 3))) == math.inf


def test_ssim_is_the_one_of_the_loss() -> None:
    from gs_stereo.splat.losses import l1_dssim

    first, second = _images()
    tensors = [torch.from_numpy(image).permute(2, 0, 1)[None].float() for image in (first, second)]
    assert ssim(first, second) == pytest.approx(1 - l1_dssim(tensors[0], tensors[1], 1.0).item(), abs=2e-6)


def test_ssim_is_one_only_for_equal_images() -> None:
    first, second = _images()
    assert ssim(first, first) == pytest.approx(1.0)
    assert ssim(first, second) < 0.99
    assert ssim(first, second) == pytest.approx(ssim(second, first))


def test_images_of_different_shape_are_refused() -> None:
    with pytest.raises(InputError, match="cannot be compared"):
        psnr(np.zeros((2, 2, 3)), np.zeros((2, 3, 3)))
