"""What the native engine promises beyond the images: errors, repeatability, stereo, and how it is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import random_scene, relative_l2, trainable
from twins.rasterizer import ReferenceRasterizer

from gs_stereo.errors import ConfigError, InputError
from gs_stereo.native import library
from gs_stereo.splat.engine import ENGINE
from gs_stereo.splat.raster.cpu import CpuRasterizer
from gs_stereo.splat.raster.protocol import RenderExtras, RenderSettings, ScreenGradients
from gs_stereo.types import StereoRig

PARAMETERS = ("means", "quats_wxyz", "log_scales", "opacity_logits", "sh")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", PARAMETERS)
def test_not_finite_is_an_error_that_names_the_tensor(name: str, value: float) -> None:
    gaussians, camera = random_scene(1100, 20, 16)
    broken = getattr(gaussians, name).clone()
    broken.view(-1)[-1] = value  # the last value of the last Gaussian, which may well be culled
    with pytest.raises(InputError, match=f"^{name} holds NaN or infinity"):
        CpuRasterizer().render(replace(gaussians, **{name: broken}), [camera], RenderSettings())


def test_shapes_that_do_not_fit() -> None:
    gaussians, camera = random_scene(10, 20, 16)
    rasterizer, settings = CpuRasterizer(), RenderSettings()
    with pytest.raises(InputError, match="features has shape"):
        rasterizer.render(gaussians, [camera], settings, RenderExtras(features=torch.ones(9, 2)))
    with pytest.raises(InputError, match="sh has shape"):
        rasterizer.render(replace(gaussians, sh=gaussians.sh[:, :5]), [camera], settings)
    with pytest.raises(InputError, match="sizes"):
        rasterizer.render(gaussians, [camera, camera.resized(10, 8)], settings)
    with pytest.raises(InputError, match="sizes"):
        rasterizer.render(gaussians, [], settings)
    with pytest.raises(InputError, match="pixel_mask"):
        rasterizer.render(gaussians, [camera], settings, RenderExtras(pixel_mask=torch.ones(1, 2, 2, dtype=torch.bool)))
    with pytest.raises(InputError, match="Camera 'random' holds NaN"):
        rasterizer.render(gaussians, [replace(camera, cam_from_world=np.full((4, 4), np.nan))], settings)
    with pytest.raises(InputError, match="cannot work on"):
        CpuRasterizer(device="cuda")


def gradients(threads: int) -> list[torch.Tensor]:
    gaussians, camera = random_scene(9000, 150, 110, sigma_px=1.5)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        leaves = trainable(gaussians, torch.float32)
        pose = torch.from_numpy(camera.cam_from_world)[None].requires_grad_()
        sink = ScreenGradients()
        extras = RenderExtras(cam_from_world=pose, screen_gradients=sink)
        output = CpuRasterizer().render(leaves, [camera], RenderSettings(), extras)
        (output.rgb.square().sum() + output.z2_sum.sum()).backward()
    finally:
        torch.set_num_threads(before)
    assert pose.grad is not None
    assert sink.signed is not None
    assert sink.absolute is not None
    images = [output.rgb, output.alpha, output.z_sum, output.median_depth.nan_to_num()]
    return [*images, *(tensor.grad for tensor in leaves.tensors().values()), pose.grad, sink.signed, sink.absolute]


def test_bit_identical_at_any_number_of_threads() -> None:
    first = gradients(1)
    for threads in (1, 2, 3):
        for expected, actual in zip(first, gradients(threads), strict=True):
            assert torch.equal(expected, actual)


def test_absolute_gradients_are_left_out_on_request() -> None:
    gaussians, camera = random_scene(50, 20, 16)
    sink = ScreenGradients(want_absolute=False)
    output = CpuRasterizer().render(
        trainable(gaussians, torch.float32), [camera], RenderSettings(), RenderExtras(screen_gradients=sink)
    )
    output.rgb.sum().backward()
    assert sink.signed is not None
    assert sink.absolute is None


def test_stereo_equals_two_views() -> None:
    gaussians, camera = random_scene(400, 60, 45)
    rig = StereoRig(left=camera, baseline=0.4)
    rasterizer, settings = CpuRasterizer(), RenderSettings(background=(0.1, 0.2, 0.3))
    eyes = rasterizer.render_stereo(gaussians, rig, settings)
    apart = rasterizer.render(gaussians, [rig.left, rig.right], settings)
    for index, eye in enumerate(eyes):
        for name in ("rgb", "alpha", "z_sum", "z2_sum", "median_depth", "radii_px"):
            torch.testing.assert_close(getattr(eye, name)[0], getattr(apart, name)[index], equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [
        {"log_scales": torch.full((3,), 60.0)},  # overflows float32 when squared: culled
        {"log_scales": torch.full((3,), 5.0)},  # covers everything
        {"log_scales": torch.tensor([4.0, -20.0, -20.0])},  # a needle
        {"log_scales": torch.full((3,), -80.0)},  # a point
        {"quats_wxyz": torch.zeros(4)},
        {"quats_wxyz": torch.tensor([1e-15, 0.0, 0.0, 1e-15])},
        {"opacity_logits": torch.tensor(80.0)},
        {"opacity_logits": torch.tensor(-80.0)},
        {"means": torch.full((3,), 1e30)},
        {"means": torch.full((3,), -1e10)},
        {"sh": torch.full((16, 3), 1e8)},
    ],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("antialiased", [True, False])
def test_degenerate_gaussian_keeps_everything_finite(change: dict[str, torch.Tensor], antialiased: bool) -> None:
    gaussians, camera = random_scene(40, 20, 16)
    for name, value in change.items():
        tensor = getattr(gaussians, name).clone()
        tensor[7] = value
        gaussians = replace(gaussians, **{name: tensor})
    leaves = trainable(gaussians, torch.float32)
    output = CpuRasterizer().render(leaves, [camera], RenderSettings(antialiased=antialiased))
    (output.rgb.sum() + output.z2_sum.sum()).backward()
    assert output.rgb.isfinite().all()
    for name, tensor in leaves.tensors().items():
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all(), name


def test_levels() -> None:
    levels = ENGINE.available_levels()
    assert levels, "the package's build makes at least one level for this machine"
    assert set(levels) <= set(library.runnable_levels())
    lanes = []
    for level in levels:
        work = ENGINE.struct("Work", rounds=3)
        ENGINE.call("gs_measure", work, level=level)
        lanes.append(work.lanes)
        assert work.multiply_adds % (3 * work.lanes) == 0
    assert lanes == sorted(lanes)


def test_level_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    lowest = ENGINE.available_levels()[0]
    monkeypatch.setenv(library.LEVEL_VARIABLE, lowest)
    assert ENGINE.best_level() == lowest
    assert CpuRasterizer().level == lowest
    monkeypatch.setenv(library.LEVEL_VARIABLE, "x86-64-v9")
    with pytest.raises(ConfigError, match="x86-64-v9 cannot be used here"):
        ENGINE.best_level()


def test_levels_follow_the_cpu_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.platform, "machine", lambda: "x86_64")
    v3 = library.X86_LEVELS["x86-64-v2"] | library.X86_LEVELS["x86-64-v3"]
    monkeypatch.setattr(library, "cpu_flags", lambda: v3)
    assert library.runnable_levels() == ["x86-64-v2", "x86-64-v3"]
    monkeypatch.setattr(library.platform, "machine", lambda: "aarch64")
    assert library.runnable_levels() == ["generic"]


def test_a_frame_of_another_render_is_refused() -> None:
    """Backward reads what forward left in the frames, so they must fit together."""
    gaussians, camera = random_scene(50, 20, 16)
    leaves = trainable(gaussians, torch.float32)
    output = CpuRasterizer().render(leaves, [camera], RenderSettings())
    call = output.rgb.grad_fn.call  # type: ignore[union-attr]
    other = CpuRasterizer().render(trainable(random_scene(60, 20, 16)[0], torch.float32), [camera], RenderSettings())
    call.frames = other.rgb.grad_fn.call.frames  # type: ignore[union-attr]
    with pytest.raises(InputError, match="Frame 0 holds another render"):
        output.rgb.sum().backward()


def test_a_degree_that_does_not_fit_is_refused_by_the_engine() -> None:
    gaussians, camera = random_scene(50, 20, 16)
    with pytest.raises(InputError, match="Spherical harmonics of degree -1"):
        CpuRasterizer().render(gaussians, [camera], RenderSettings(sh_degree=-1))


def test_float64_gaussians_are_rendered_in_float32() -> None:
    gaussians, camera = random_scene(50, 20, 16, dtype=torch.float64)
    leaves = trainable(gaussians, torch.float64)
    CpuRasterizer().render(leaves, [camera], RenderSettings()).rgb.sum().backward()
    twin = trainable(gaussians, torch.float64)
    ReferenceRasterizer().render(twin, [camera], RenderSettings()).rgb.sum().backward()
    assert leaves.means.grad is not None
    assert leaves.means.grad.dtype == torch.float64
    assert relative_l2(leaves.means.grad, twin.means.grad) < 1e-4
