"""The native loss against its torch twin, and the twin against known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gs_stereo.errors import InputError
from gs_stereo.splat.losses import l1_dssim, l1_dssim_torch, ssim_map


def images(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rendered = torch.rand(*shape, generator=generator, dtype=torch.float64)
    return rendered, (rendered + 0.3 * torch.randn(*shape, generator=generator, dtype=torch.float64)).clamp(0, 1)


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (2, 3, 7, 5), (1, 3, 64, 16), (1, 3, 70, 133), (1, 3, 130, 9)])
@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_native_equals_torch(shape: tuple[int, ...], weight: float) -> None:
    rendered, photo = images(*shape)
    twin = rendered.clone().requires_grad_()
    expected = l1_dssim_torch(twin, photo, weight)
    expected.backward()
    ours = rendered.float().requires_grad_()
    value = l1_dssim(ours, photo.float(), weight)
    (2 * value).backward()
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-5, abs=1e-6)
    assert ours.grad is not None
    assert twin.grad is not None
    torch.testing.assert_close(ours.grad.double(), 2 * twin.grad, rtol=1e-3, atol=2e-5 * float(twin.grad.abs().max()))


@pytest.mark.parametrize("shape", [(1, 3, 70, 133), (1, 3, 9, 5)])
def test_native_equals_torch_under_a_mask(shape: tuple[int, ...]) -> None:
    rendered, photo = images(*shape)
    mask = torch.rand(shape[2:], generator=torch.Generator().manual_seed(1)) > 0.3
    twin, ours = rendered.clone().requires_grad_(), rendered.float().requires_grad_()
    expected = l1_dssim_torch(twin, photo, 0.2, mask)
    value = l1_dssim(ours, photo.float(), 0.2, mask)
    expected.backward()
    value.backward()
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert ours.grad is not None
    assert twin.grad is not None
    assert not ours.grad[..., ~mask].any()
    torch.testing.assert_close(ours.grad.double(), twin.grad, rtol=1e-3, atol=2e-5 * float(twin.grad.abs().max()))


def test_equal_images_have_no_loss() -> None:
    rendered, _ = images(1, 3, 30, 40)
    assert float(l1_dssim(rendered.float(), rendered.float())) == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(ssim_map(rendered, rendered), torch.ones_like(rendered))


def test_constant_images_by_hand() -> None:
    """Far from the border, with no variance, SSIM is its luminance term."""
    first, second = torch.full((1, 3, 40, 40), 0.4), torch.full((1, 3, 40, 40), 0.6)
    expected = (2 * 0.4 * 0.6 + 1e-4) / (0.4**2 + 0.6**2 + 1e-4)
    assert float(ssim_map(first.double(), second.double())[0, 0, 20, 20]) == pytest.approx(expected, rel=1e-6)
    assert float(l1_dssim(first, second, 0.0)) == pytest.approx(0.2, rel=1e-5)


def test_ssim_equals_scikit_image_away_from_the_border() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    first, second = images(1, 3, 40, 50)
    arrays = [image[0].permute(1, 2, 0).numpy() for image in (first, second)]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    _, expected = metrics.structural_similarity(*arrays, channel_axis=2, full=True, **options)
    ours = ssim_map(first, second)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-12)


def test_same_at_any_number_of_threads() -> None:
    rendered, photo = images(1, 3, 150, 90)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        leaf = rendered.float().requires_grad_()
        value = l1_dssim(leaf, photo.float())
        value.backward()
        results.append((value.detach(), leaf.grad))
    torch.set_num_threads(before)
    for value, gradient in results[1:]:
        assert torch.equal(value, results[0][0])
        assert torch.equal(gradient, results[0][1])


def test_shapes_that_do_not_fit() -> None:
    rendered, photo = images(1, 3, 8, 8)
    with pytest.raises(InputError, match="l1_dssim needs two"):
        l1_dssim(rendered, photo[..., :4])
    with pytest.raises(InputError, match="l1_dssim needs two"):
        l1_dssim(rendered[0], photo[0])
