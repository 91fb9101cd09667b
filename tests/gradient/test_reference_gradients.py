"""The twin's autograd gradients against central differences, in float64: what the native gradients rest on."""

from __future__ import annotations

import pytest
import torch
from builders import random_scene, trainable
from twins.rasterizer import ReferenceRasterizer

from gs_stereo.splat.raster.protocol import RenderExtras, RenderSettings, ScreenGradients
from gs_stereo.types.gaussians import Gaussians

COUNT, WIDTH, HEIGHT = 6, 7, 5


@pytest.mark.parametrize("antialiased", [True, False])
def test_finite_differences(antialiased: bool) -> None:
    gaussians, camera = random_scene(COUNT, WIDTH, HEIGHT, sigma_px=2.0, seed=4, dtype=torch.float64)
    names = list(gaussians.tensors())
    settings = RenderSettings(antialiased=antialiased, background=(0.1, 0.6, 0.3))
    pose = torch.from_numpy(camera.cam_from_world)[None]
    features = torch.rand(COUNT, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def images(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        scene = Gaussians(**dict(zip(names, inputs, strict=False)))
        extras = RenderExtras(features=inputs[-2], cam_from_world=inputs[-1])
        out = ReferenceRasterizer().render(scene, [camera], settings, extras)
        assert out.features is not None
        return out.rgb, out.alpha, out.z_sum, out.z2_sum, out.features

    leaves = [*trainable(gaussians, torch.float64).tensors().values()]
    inputs = [*leaves, features.requires_grad_(), pose.requires_grad_()]
    assert torch.autograd.gradcheck(images, inputs, eps=1e-6, atol=1e-5, rtol=1e-4)


def test_screen_gradients_are_those_of_moved_centres() -> None:
    """Moving the principal point moves every projected centre alike, so it sees the sum of the signed gradients."""
    gaussians, camera = random_scene(COUNT, WIDTH, HEIGHT, seed=4, dtype=torch.float64)
    # Frustum clamping looks at the principal point too: keep every Gaussian well inside.
    sink = ScreenGradients()

    def loss(dx: float, dy: float, extras: RenderExtras = RenderExtras()) -> torch.Tensor:
        moved = camera.intrinsics.copy()
        moved[:2, 2] += dx, dy
        view = type(camera)(
            name="moved", width=WIDTH, height=HEIGHT, intrinsics=moved, cam_from_world=camera.cam_from_world
        )
        out = ReferenceRasterizer().render(trainable(gaussians, torch.float64), [view], RenderSettings(), extras)
        return out.rgb.square().sum()

    loss(0, 0, RenderExtras(screen_gradients=sink)).backward()
    step = 1e-5
    by_x = (loss(step, 0) - loss(-step, 0)) / (2 * step)
    by_y = (loss(0, step) - loss(0, -step)) / (2 * step)
    assert sink.signed is not None
    assert sink.absolute is not None
    torch.testing.assert_close(sink.signed.sum((0, 1)), torch.stack([by_x, by_y]).detach(), rtol=1e-5, atol=1e-6)
    assert (sink.absolute >= sink.signed.abs() - 1e-12).all()
