"""Measuring a splat against photos, and importing the package."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import tiny_scene, true_gaussians
from twins.rasterizer import ReferenceRasterizer

from gs_stereo.splat.evaluate import SplatQuality, evaluate_views
from gs_stereo.splat.sh import SH_CONSTANT, coefficient_count, dc_from_rgb, rgb_from_dc


def test_the_true_splat_shows_its_photos_up_to_rounding() -> None:
    scene, photos = tiny_scene(4)
    quality = evaluate_views(ReferenceRasterizer(), true_gaussians(), scene.cameras[:2], photos)
    assert [view.name for view in quality.views] == ["000.png", "001.png"]
    assert quality.psnr_db > 55
    assert quality.ssim > 0.999
    assert quality.psnr_db == pytest.approx(np.mean([view.psnr_db for view in quality.views]))


def test_a_wrong_splat_does_not() -> None:
    scene, photos = tiny_scene(4)
    assert evaluate_views(ReferenceRasterizer(), true_gaussians(seed=4), scene.cameras[:2], photos).psnr_db < 20


def test_what_is_brighter_than_white_counts_as_white() -> None:
    class TooBright(ReferenceRasterizer):
        def render(self, *arguments, **extras):
            found = super().render(*arguments, **extras)
            return replace(found, rgb=torch.full_like(found.rgb, 1.7))

    scene, photos = tiny_scene(2)
    white = evaluate_views(TooBright(), true_gaussians(), scene.cameras, lambda name: np.full_like(photos(name), 255))
    assert white.psnr_db == np.inf
    assert white.ssim == pytest.approx(1.0)


def test_no_views_have_no_quality() -> None:
    assert np.isnan(SplatQuality().psnr_db)
    assert np.isnan(SplatQuality().ssim)


def test_dc_is_the_colour_seen_from_everywhere() -> None:
    rgb = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(rgb_from_dc(dc_from_rgb(rgb)), rgb)
    assert pytest.approx(0.28209479177387814) == SH_CONSTANT
    assert [coefficient_count(degree) for degree in range(4)] == [1, 4, 9, 16]


def test_importing_the_package_and_its_settings_imports_no_torch() -> None:
    code = "import sys, gs_stereo.splat, gs_stereo.splat.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_names_of_the_package_are_attribute_errors() -> None:
    import gs_stereo.splat

    with pytest.raises(AttributeError, match="nosuch"):
        gs_stereo.splat.nosuch  # noqa: B018
