"""The native engine against the float64 twin, forward and backward, at every level that this machine can run.

Tolerances: float32 sums of tens of terms leave 1e-5 relative. A pixel whose alpha lies within rounding of 1/255 may
fall on either side, which changes it by up to 1/255 of a colour: images are compared by their 99.9 % quantile and
gradients by relative L2.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from builders import random_scene, relative_l2, trainable
from twins.rasterizer import ReferenceRasterizer

from gs_stereo.splat.engine import ENGINE
from gs_stereo.splat.raster.cpu import CpuRasterizer
from gs_stereo.splat.raster.protocol import (
    Rasterizer,
    RenderExtras,
    RenderOutput,
    RenderSettings,
    ScreenGradients,
)
from gs_stereo.types import Camera
from gs_stereo.types.gaussians import Gaussians

LEVELS = ENGINE.available_levels()
IMAGES = ("rgb", "alpha", "z_sum", "z2_sum", "features")
# width, height, Gaussians, sigma in pixels: odd sizes, one row, one column, one pixel, taller and wider than a tile
SIZES = [(40, 30, 300, 2.0), (37, 71, 400, 1.5), (1, 1, 20, 3.0), (1, 33, 60, 2.0), (65, 1, 100, 2.0), (9, 5, 60, 30.0)]


def render_and_differentiate(
    rasterizer: Rasterizer,
    gaussians: Gaussians,
    cameras: list[Camera],
    settings: RenderSettings,
    mask: torch.Tensor | None = None,
    feature_count: int = 0,
) -> tuple[RenderOutput, dict[str, torch.Tensor]]:
    """The output, and the gradients of a fixed random weighting of all its images."""
    dtype = torch.float64 if rasterizer.name == "reference" else torch.float32
    leaves = trainable(gaussians, dtype)
    generator = torch.Generator().manual_seed(1)
    features = torch.rand(len(gaussians), feature_count, generator=generator, dtype=torch.float64)
    features = features.to(dtype).requires_grad_()
    poses = torch.stack([torch.from_numpy(camera.cam_from_world) for camera in cameras]).requires_grad_()
    sink = ScreenGradients()
    extras = RenderExtras(
        features=features if feature_count else None, cam_from_world=poses, screen_gradients=sink, pixel_mask=mask
    )
    output = rasterizer.render(leaves, cameras, settings, extras)
    loss = torch.zeros((), dtype=torch.float64)
    for name in IMAGES:
        image = getattr(output, name)
        if image is not None:
            loss = loss + (torch.randn(image.shape, generator=generator, dtype=torch.float64) * image).sum()
    loss.backward()
    assert sink.signed is not None
    assert sink.absolute is not None
    assert poses.grad is not None
    gradients = {name: tensor.grad for name, tensor in leaves.tensors().items()}
    gradients |= {"pose": poses.grad[:, :3], "signed": sink.signed, "absolute": sink.absolute}
    if feature_count:
        gradients["features"] = features.grad
    return output, gradients


def assert_same(ours: tuple[RenderOutput, dict], twin: tuple[RenderOutput, dict], skip: tuple[str, ...] = ()) -> None:
    for name in (*IMAGES, "radii_px"):
        mine, expected = getattr(ours[0], name), getattr(twin[0], name)
        if expected is None or expected.numel() == 0:
            assert mine is None or mine.numel() == 0
            continue
        error = ((mine - expected).abs() / expected.abs().clamp_min(1.0)).detach()
        assert float(error.quantile(0.999)) < 1e-5, name
    median, expected = ours[0].median_depth.nan_to_num(-1), twin[0].median_depth.nan_to_num(-1)
    assert float(((median - expected).abs() > 1e-5).float().mean()) <= 0.002
    for name, gradient in ours[1].items():
        if name not in skip:
            assert gradient.isfinite().all(), name
            assert relative_l2(gradient, twin[1][name]) < 2e-4, name


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("width", "height", "count", "sigma"), SIZES)
@pytest.mark.parametrize("antialiased", [True, False])
def test_equal(level: str, width: int, height: int, count: int, sigma: float, antialiased: bool) -> None:
    gaussians, camera = random_scene(count, width, height, sigma)
    settings = RenderSettings(antialiased=antialiased, background=(0.2, 0.5, 0.9))
    ours = render_and_differentiate(CpuRasterizer(level=level), gaussians, [camera], settings)
    assert_same(ours, render_and_differentiate(ReferenceRasterizer(), gaussians, [camera], settings))


@pytest.mark.parametrize("level", LEVELS)
def test_two_cameras_mask_and_features(level: str) -> None:
    gaussians, camera = random_scene(250, 41, 35)
    cameras = [camera, replace(camera.shifted(0.3), name="other")]
    mask = torch.rand(2, 35, 41, generator=torch.Generator().manual_seed(2)) > 0.2
    settings = RenderSettings(background=(0.9, 0.1, 0.4))
    ours = render_and_differentiate(CpuRasterizer(level=level), gaussians, cameras, settings, mask, 5)
    twin = render_and_differentiate(ReferenceRasterizer(), gaussians, cameras, settings, mask, 5)
    assert_same(ours, twin, skip=("absolute",))  # with features it is an upper bound
    assert (ours[1]["absolute"] >= twin[1]["absolute"] - 1e-3).all()
    assert ours[0].rgb.permute(0, 2, 3, 1)[~mask].abs().max() == 0
    assert ours[0].alpha[~mask].abs().max() == 0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("used", [0, 1, 2, None])
@pytest.mark.parametrize("stored", [1, 4, 9, 16])
def test_sh_degrees(level: str, used: int | None, stored: int) -> None:
    gaussians, camera = random_scene(60, 20, 16)
    gaussians = replace(gaussians, sh=gaussians.sh[:, :stored].contiguous())
    settings = RenderSettings(sh_degree=used)
    ours = render_and_differentiate(CpuRasterizer(level=level), gaussians, [camera], settings)
    assert_same(ours, render_and_differentiate(ReferenceRasterizer(), gaussians, [camera], settings))


@pytest.mark.parametrize("moments", [0, 1, 2])
@pytest.mark.parametrize("median", [False, True])
def test_channels_not_asked_for_are_empty(moments: int, median: bool) -> None:
    gaussians, camera = random_scene(100, 33, 20)
    settings = RenderSettings(depth_moments=moments, median_depth=median)  # type: ignore[arg-type]
    full = CpuRasterizer().render(gaussians, [camera], RenderSettings())
    part = CpuRasterizer().render(gaussians, [camera], settings)
    for name, wanted in (("rgb", True), ("alpha", True), ("z_sum", moments > 0), ("z2_sum", moments > 1)):
        torch.testing.assert_close(getattr(part, name), getattr(full, name) if wanted else torch.empty(1, 0, 0))
    assert part.median_depth.numel() == (33 * 20 if median else 0)
    ours = render_and_differentiate(CpuRasterizer(), gaussians, [camera], settings)
    twin = render_and_differentiate(ReferenceRasterizer(), gaussians, [camera], settings)
    for name, gradient in ours[1].items():
        assert relative_l2(gradient, twin[1][name]) < 2e-4, name


def test_forward_only_is_the_same_image() -> None:
    gaussians, camera = random_scene(200, 50, 40)
    with torch.no_grad():
        forward = CpuRasterizer().render(trainable(gaussians, torch.float32), [camera], RenderSettings())
    recorded = CpuRasterizer().render(trainable(gaussians, torch.float32), [camera], RenderSettings())
    assert torch.equal(forward.rgb, recorded.rgb)
    assert not forward.rgb.requires_grad
    assert recorded.rgb.requires_grad


def test_two_renders_before_backward() -> None:
    gaussians, camera = random_scene(200, 50, 40)
    rasterizer, settings = CpuRasterizer(), RenderSettings()
    leaves = trainable(gaussians, torch.float32)
    other = camera.shifted(0.2)
    first, second = (rasterizer.render(leaves, [view], settings) for view in (camera, other))
    (first.rgb.sum() + 2 * second.rgb.sum()).backward()
    both = trainable(gaussians, torch.float32)
    (rasterizer.render(both, [camera, other], settings).rgb.sum((1, 2, 3)) @ torch.tensor([1.0, 2.0])).backward()
    for name, tensor in leaves.tensors().items():
        assert relative_l2(tensor.grad, both.tensors()[name].grad) < 1e-5, name
