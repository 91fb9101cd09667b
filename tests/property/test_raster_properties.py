"""Laws of rendering that hold for any scene, checked on the CPU rasterizer."""

from __future__ import annotations

from dataclasses import replace

import torch
from builders import random_scene, relative_l2, trainable
from hypothesis import given, settings
from hypothesis import strategies as st
from twins.rasterizer import ReferenceRasterizer

from gs_stereo.splat.raster.cpu import CpuRasterizer
from gs_stereo.splat.raster.protocol import RenderSettings

SIZES = st.integers(1, 40)
COUNTS = st.integers(0, 60)
SEEDS = st.integers(0, 10_000)
SIGMAS = st.sampled_from([0.05, 0.7, 2.0, 8.0, 100.0])


@settings(max_examples=40)
@given(SIZES, SIZES, COUNTS, SIGMAS, SEEDS)
def test_equals_the_twin(width: int, height: int, count: int, sigma: float, seed: int) -> None:
    gaussians, camera = random_scene(count, width, height, sigma, seed)
    ours = CpuRasterizer().render(gaussians, [camera], RenderSettings())
    twin = ReferenceRasterizer().render(gaussians, [camera], RenderSettings())
    # A pixel on the threshold may differ by one Gaussian of alpha 1/255.
    assert float((ours.alpha - twin.alpha).abs().max()) < 0.006
    assert relative_l2(ours.alpha, twin.alpha) < 2e-3


@settings(max_examples=25)
@given(SIZES, SIZES, st.integers(1, 60), SEEDS)
def test_order_of_the_gaussians_does_not_matter(width: int, height: int, count: int, seed: int) -> None:
    gaussians, camera = random_scene(count, width, height, 2.0, seed)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    first = CpuRasterizer().render(gaussians, [camera], RenderSettings())
    second = CpuRasterizer().render(gaussians.select(order), [camera], RenderSettings())
    assert torch.equal(first.rgb, second.rgb)
    assert torch.equal(first.radii_px[:, order], second.radii_px)


@settings(max_examples=25)
@given(SIZES, SIZES, COUNTS, SIGMAS, SEEDS)
def test_background_shows_where_light_passes(width: int, height: int, count: int, sigma: float, seed: int) -> None:
    gaussians, camera = random_scene(count, width, height, sigma, seed)
    black = CpuRasterizer().render(gaussians, [camera], RenderSettings())
    grey = CpuRasterizer().render(gaussians, [camera], RenderSettings(background=(0.5, 0.5, 0.5)))
    torch.testing.assert_close(
        grey.rgb - black.rgb, (0.5 * (1 - black.alpha))[:, None].expand_as(black.rgb), atol=1e-5, rtol=0
    )


@settings(max_examples=15)
@given(SIZES, SIZES, SEEDS)
def test_nothing_in_view_is_empty(width: int, height: int, seed: int) -> None:
    gaussians, camera = random_scene(20, width, height, 2.0, seed)
    behind = replace(gaussians, means=gaussians.means - 20 * torch.from_numpy(camera.cam_from_world[2, :3]).float())
    for scene in (behind, gaussians.select(torch.zeros(20, dtype=torch.bool))):
        leaves = trainable(scene, torch.float32)
        out = CpuRasterizer().render(leaves, [camera], RenderSettings(background=(0.2, 0.4, 0.6)))
        assert out.alpha.abs().max() == 0
        assert not out.visible.any()
        assert out.median_depth.isnan().all()
        assert out.expected_depth.isnan().all()
        torch.testing.assert_close(out.rgb[0, :, 0, 0].detach(), torch.tensor([0.2, 0.4, 0.6]))
        (out.rgb.sum() + out.z_sum.sum()).backward()
        assert all(tensor.grad is not None and not tensor.grad.any() for tensor in leaves.tensors().values())


@settings(max_examples=15)
@given(st.integers(4, 40), st.integers(4, 40), st.integers(1, 60), SEEDS)
def test_moving_camera_and_scene_together_changes_nothing(width: int, height: int, count: int, seed: int) -> None:
    gaussians, camera = random_scene(count, width, height, 3.0, seed)
    offset = torch.randn(3, generator=torch.Generator().manual_seed(seed))
    moved = camera.cam_from_world.copy()
    moved[:3, 3] -= moved[:3, :3] @ offset.double().numpy()
    first = CpuRasterizer().render(gaussians, [camera], RenderSettings())
    second = CpuRasterizer().render(
        replace(gaussians, means=gaussians.means + offset), [replace(camera, cam_from_world=moved)], RenderSettings()
    )
    assert relative_l2(second.rgb, first.rgb) < 5e-3
