"""The loss beside the photometric part: depth and its spread along a ray."""

from __future__ import annotations

import pytest
import torch
from builders import camera_at, true_gaussians

from gs_stereo.splat.config import FitConfig
from gs_stereo.splat.objective import (
    Objective,
    PixelWeights,
    preferences,
    relative_depth_error,
    relative_depth_variance,
)
from gs_stereo.splat.photos import TrainingView
from gs_stereo.splat.raster.protocol import RenderOutput


def _output(alpha: float, depths: list[float]) -> RenderOutput:
    """One pixel; its alpha is shared equally by the depths."""
    z = torch.tensor(depths)
    weight = alpha / len(depths)

    def pixel(value: torch.Tensor | float) -> torch.Tensor:
        return torch.as_tensor(value, dtype=torch.float32).reshape(1, 1, 1).clone().requires_grad_()

    return RenderOutput(
        rgb=torch.full((1, 3, 1, 1), 0.5), alpha=pixel(alpha), z_sum=pixel((weight * z).sum()),
        z2_sum=pixel((weight * z * z).sum()), median_depth=pixel(depths[0]), radii_px=torch.ones(1, 1),
    )  # fmt: skip


def test_variance_is_relative_to_the_depth() -> None:
    assert relative_depth_variance(_output(1.0, [1.0, 3.0])).item() == pytest.approx(0.25)
    assert relative_depth_variance(_output(0.5, [1.0, 3.0])).item() == pytest.approx(0.25)
    assert relative_depth_variance(_output(1.0, [10.0, 30.0])).item() == pytest.approx(0.25)
    assert relative_depth_variance(_output(1.0, [4.0])).item() == pytest.approx(0.0, abs=1e-6)


def test_variance_of_an_empty_pixel_is_zero_and_has_a_finite_gradient() -> None:
    output = _output(0.0, [1.0])
    value = relative_depth_variance(output)
    value.backward()
    assert value.item() == 0.0
    assert output.z_sum.grad is not None
    assert output.z_sum.grad.isfinite().all()


def test_depth_error_is_relative_and_ignores_unknown_pixels() -> None:
    assert relative_depth_error(_output(1.0, [3.0]), torch.tensor([[2.0]])).item() == pytest.approx(0.5)
    assert relative_depth_error(_output(0.4, [3.0]), torch.tensor([[2.0]])).item() == pytest.approx(0.2)
    assert relative_depth_error(_output(1.0, [3.0]), torch.tensor([[torch.nan]])).item() == 0.0


def test_depth_pull_has_the_right_sign() -> None:
    output = _output(1.0, [3.0])
    relative_depth_error(output, torch.tensor([[2.0]])).backward()
    assert output.z_sum.grad is not None
    assert output.z_sum.grad.item() == pytest.approx(0.5)


@pytest.mark.parametrize(("progress", "expected"), [(0.0, 0.5), (0.25, 0.25), (0.5, 0.0), (0.9, 0.0)])
def test_depth_weight_fades_out(progress: float, expected: float) -> None:
    config = FitConfig(depth_weight=1.0, depth_share=0.5)
    depth = torch.tensor([[2.0]])
    view = TrainingView(
        camera=camera_at("a", 0.0), photo=torch.full((3, 1, 1), 0.5), mask=None, cut_out=None, depth=depth
    )
    objective = Objective(config=config, extent=1.0, progress=progress)
    plain = Objective(config=FitConfig(depth_weight=0.0), extent=1.0, progress=progress)
    output, gaussians = _output(1.0, [3.0]), true_gaussians(2)
    added = objective.loss(output, view, gaussians) - plain.loss(output, view, gaussians)
    assert added.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("parts", [(), ("mask",), ("cut_out",), ("depth",), ("mask", "cut_out", "depth")])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (70, 133)])
def test_native_preferences_equal_torch(parts: tuple[str, ...], size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)

    def random() -> torch.Tensor:
        return torch.rand(size, generator=generator, dtype=torch.float64)

    alpha, mean, spread = random(), 1 + random(), random() - 0.3  # some variances are negative, as after rounding
    alpha[0, 0] = 0.0
    images = {"alpha": alpha, "z_sum": alpha * mean, "z2_sum": alpha * (mean.square() + spread)}
    maps = {
        "mask": random() > 0.3, "cut_out": random() > 0.7,
        "depth": (1 + random()).where(random() > 0.4, torch.nan).float(),
    }  # fmt: skip
    chosen = {name: maps[name] if name in parts else None for name in maps}
    view = TrainingView(camera=camera_at(), photo=torch.zeros(3, *size), **chosen)
    weights = PixelWeights(alpha=0.1, variance=0.05, depth=0.3)
    results = []
    for dtype in (torch.float32, torch.float64):
        leaves = {name: image.to(dtype)[None].clone().requires_grad_() for name, image in images.items()}
        output = RenderOutput(
            **leaves, rgb=torch.zeros(1, 3, *size), median_depth=torch.zeros(1, 0, 0), radii_px=torch.ones(1, 1)
        )
        value = preferences(output, view, weights)
        (2 * value).backward()
        results.append([value.detach(), *(leaf.grad for leaf in leaves.values())])
    for native, twin in zip(*results, strict=True):
        assert native is not None
        assert twin is not None
        torch.testing.assert_close(native.double(), twin.double(), rtol=2e-4, atol=1e-5 / (size[0] * size[1]))


def test_native_preferences_are_the_same_at_any_number_of_threads() -> None:
    size = (150, 90)
    alpha, z, z2, depth = torch.rand(4, *size, generator=torch.Generator().manual_seed(0)).unbind()
    view = TrainingView(camera=camera_at(), photo=torch.zeros(3, *size), mask=None, cut_out=None, depth=depth)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        leaves = [image[None].clone().requires_grad_() for image in (alpha, z, z2)]
        output = RenderOutput(
            rgb=torch.zeros(1, 3, *size), alpha=leaves[0], z_sum=leaves[1], z2_sum=leaves[2],
            median_depth=torch.zeros(1, 0, 0), radii_px=torch.ones(1, 1),
        )  # fmt: skip
        value = preferences(output, view, PixelWeights(alpha=0.1, variance=0.05, depth=0.3))
        value.backward()
        results.append([value.detach(), *(leaf.grad for leaf in leaves)])
    torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_nothing_is_asked_of_a_cut_out_pixel_but_to_be_empty() -> None:
    """Its colour has no gradient; opacity is pulled down there, and up where the photo shows the scene.

    Of what only this photo does not show nothing is asked at all.
    """
    config = FitConfig(alpha_weight=0.1, depth_variance_weight=0.0, depth_weight=0.0)
    size = (1, 1, 3)
    rgb = torch.full((1, 3, 1, 3), 0.9).requires_grad_()
    alpha = torch.full(size, 0.5).requires_grad_()
    output = RenderOutput(
        rgb=rgb, alpha=alpha, z_sum=torch.ones(size), z2_sum=torch.ones(size), median_depth=torch.ones(size),
        radii_px=torch.ones(1, 1),
    )  # fmt: skip
    mask, cut_out = torch.tensor([[True, False, False]]), torch.tensor([[False, True, False]])
    photo = torch.full((3, 1, 3), 0.2)
    view = TrainingView(camera=camera_at(size=(3, 1)), photo=photo, mask=mask, cut_out=cut_out, depth=None)
    Objective(config=config, extent=1.0, progress=0.0).loss(output, view, true_gaussians(2)).backward()
    assert rgb.grad is not None
    assert alpha.grad is not None
    assert (rgb.grad[..., 0] > 0).all()
    assert (rgb.grad[..., 1:] == 0).all()
    assert alpha.grad.flatten().tolist() == pytest.approx([-0.1 / 3, 0.1 / 3, 0.0])
