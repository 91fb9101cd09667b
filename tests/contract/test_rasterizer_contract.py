"""What every registered rasterizer keeps, whatever the device."""

from __future__ import annotations

import pytest
import torch
from builders import random_scene, relative_l2, trainable
from twins.rasterizer import ReferenceRasterizer

from gs_stereo.errors import InputError, PluginError
from gs_stereo.splat.raster.protocol import (
    RASTERIZERS,
    Rasterizer,
    RenderExtras,
    RenderSettings,
    ScreenGradients,
)
from gs_stereo.types import StereoRig

ON_CUDA = {"gsplat"}


def marked(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.cuda) if name in ON_CUDA else name


@pytest.fixture(params=["reference", *map(marked, RASTERIZERS.names())])
def rasterizer(request: pytest.FixtureRequest) -> Rasterizer:
    return ReferenceRasterizer() if request.param == "reference" else RASTERIZERS.load(request.param)()


def test_outputs(rasterizer: Rasterizer) -> None:
    gaussians, camera = random_scene(120, 33, 21)
    features = torch.rand(120, 4, device=rasterizer.device)
    out = rasterizer.render(
        gaussians.to(rasterizer.device),
        [camera, camera.shifted(0.2)],
        RenderSettings(),
        RenderExtras(features=features),
    )
    assert out.rgb.shape == (2, 3, 21, 33)
    assert out.alpha.shape == out.z_sum.shape == out.z2_sum.shape == out.median_depth.shape == (2, 21, 33)
    assert out.features is not None
    assert out.features.shape == (2, 4, 21, 33)
    assert out.radii_px.shape == out.visible.shape == (2, 120)
    assert ((out.alpha >= 0) & (out.alpha < 1)).all()
    assert ((out.expected_depth > 1.9) & (out.expected_depth < 8.1))[out.alpha > 0].all()
    assert out.median_depth.isnan()[out.alpha < 0.49].all()
    assert out.median_depth.isfinite()[out.alpha > 0.51].all()
    assert (out.depth_variance[out.alpha > 0] >= 0).all()


def test_gradients_reach_everything(rasterizer: Rasterizer) -> None:
    gaussians, camera = random_scene(120, 33, 21)
    leaves = trainable(gaussians.to(rasterizer.device), torch.float32)
    pose = torch.from_numpy(camera.cam_from_world).float()[None].to(rasterizer.device).requires_grad_()
    features = torch.rand(120, 4, device=rasterizer.device, requires_grad=True)
    sink = ScreenGradients()
    extras = RenderExtras(features=features, cam_from_world=pose, screen_gradients=sink)
    out = rasterizer.render(leaves, [camera], RenderSettings(), extras)
    assert out.features is not None
    (out.rgb.square().sum() + out.z_sum.sum() + out.z2_sum.sum() + out.features.sum()).backward()
    for name, tensor in {**leaves.tensors(), "pose": pose, "features": features}.items():
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name
        assert tensor.grad.abs().sum() > 0, name
    assert sink.signed is not None
    assert sink.absolute is not None
    assert sink.signed.shape == sink.absolute.shape == (1, 120, 2)


def test_images_equal_the_twin(rasterizer: Rasterizer) -> None:
    gaussians, camera = random_scene(200, 40, 30)
    settings = RenderSettings(background=(0.3, 0.2, 0.1))
    ours = rasterizer.render(gaussians.to(rasterizer.device), [camera], settings)
    twin = ReferenceRasterizer().render(gaussians, [camera], settings)
    for name in ("rgb", "alpha", "z_sum", "z2_sum"):
        assert relative_l2(getattr(ours, name).cpu(), getattr(twin, name)) < 1e-4, name


def test_inputs_stay_as_they_are(rasterizer: Rasterizer) -> None:
    gaussians, camera = random_scene(50, 20, 16)
    leaves = trainable(gaussians.to(rasterizer.device), torch.float32)
    rasterizer.render(leaves, [camera], RenderSettings()).rgb.sum().backward()
    for name, tensor in leaves.tensors().items():
        assert torch.equal(tensor.detach().cpu(), gaussians.tensors()[name]), name


def test_stereo(rasterizer: Rasterizer) -> None:
    gaussians, camera = random_scene(100, 30, 20)
    rig = StereoRig(left=camera, baseline=0.3)
    left, right = rasterizer.render_stereo(gaussians.to(rasterizer.device), rig, RenderSettings())
    assert left.rgb.shape == right.rgb.shape == (1, 3, 20, 30)
    assert not left.rgb.requires_grad
    alone = rasterizer.render(gaussians.to(rasterizer.device), [rig.right], RenderSettings())
    assert relative_l2(right.rgb.cpu(), alone.rgb.cpu()) < 1e-6


def test_not_finite_is_refused(rasterizer: Rasterizer) -> None:
    gaussians, camera = random_scene(20, 20, 16)
    gaussians.log_scales[3, 1] = torch.nan
    with pytest.raises(InputError, match="log_scales holds NaN"):
        rasterizer.render(gaussians.to(rasterizer.device), [camera], RenderSettings())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_gsplat_without_cuda_says_so() -> None:
    with pytest.raises(PluginError, match="needs a CUDA device"):
        RASTERIZERS.load("gsplat")()
