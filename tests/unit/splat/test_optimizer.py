"""The optimizer step against torch's Adam and against its own torch twin."""

from __future__ import annotations

import pytest
import torch

from gs_stereo.errors import InputError
from gs_stereo.splat.optimizer import AdamState, adam_step

SHAPES = {"means": (37, 3), "sh": (37, 16, 3), "opacity_logits": (37,)}
RATES = {"means": 0.1, "sh": 0.01, "opacity_logits": 0.05}


def random_tensors(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(*shape, generator=generator).to(dtype) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # the native step, and the one in plain torch
def test_equals_torch_adam(dtype: torch.dtype) -> None:
    ours = random_tensors(0, dtype)
    theirs = {name: tensor.clone().requires_grad_() for name, tensor in ours.items()}
    adam = torch.optim.Adam([{"params": [p], "lr": RATES[name]} for name, p in theirs.items()], eps=1e-15)
    state = AdamState.zeros_like(ours)
    for step in range(1, 8):
        gradients = random_tensors(step, dtype)
        for name, parameter in theirs.items():
            parameter.grad = gradients[name].clone()
        adam.step()
        adam_step(ours, gradients, state, RATES)
    assert state.step == 7
    for name, parameter in theirs.items():
        torch.testing.assert_close(ours[name], parameter.detach(), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_only_visible_rows_change(dtype: torch.dtype) -> None:
    ours, everything = random_tensors(0, dtype), random_tensors(0, dtype)
    before = random_tensors(0, dtype)
    state, full_state = AdamState.zeros_like(ours), AdamState.zeros_like(ours)
    visible = torch.rand(37, generator=torch.Generator().manual_seed(3)) > 0.5
    gradients = random_tensors(1, dtype)
    adam_step(ours, gradients, state, RATES, visible)
    adam_step(everything, gradients, full_state, RATES)
    for name in SHAPES:
        assert torch.equal(ours[name][~visible], before[name][~visible])
        assert not state.first[name][~visible].any()
        torch.testing.assert_close(ours[name][visible], everything[name][visible], rtol=0, atol=0)
        torch.testing.assert_close(state.second[name][visible], full_state.second[name][visible], rtol=0, atol=0)


def test_all_visible_equals_no_mask() -> None:
    ours, other = random_tensors(0), random_tensors(0)
    states = AdamState.zeros_like(ours), AdamState.zeros_like(ours)
    for step in (1, 2):
        adam_step(ours, random_tensors(step), states[0], RATES, torch.ones(37, dtype=torch.bool))
        adam_step(other, random_tensors(step), states[1], RATES)
    for name in SHAPES:
        torch.testing.assert_close(ours[name], other[name], rtol=0, atol=0)


def test_native_equals_torch_with_masks() -> None:
    single, double = random_tensors(0), random_tensors(0, torch.float64)
    states = AdamState.zeros_like(single), AdamState.zeros_like(double)
    for step in range(1, 10):
        visible = torch.rand(37, generator=torch.Generator().manual_seed(step)) > 0.4
        gradients = random_tensors(step)
        adam_step(single, gradients, states[0], RATES, visible)
        adam_step(double, {name: g.double() for name, g in gradients.items()}, states[1], RATES, visible)
    for name in SHAPES:
        torch.testing.assert_close(single[name].double(), double[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_each_coefficient_has_its_rate(dtype: torch.dtype, coefficients: int) -> None:
    """A tensor with a rate for each index of its second dimension equals one tensor for each of them."""
    start = torch.randn(37, coefficients, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    rates = [0.1 / (1 + k) for k in range(coefficients)]
    whole, parts = {"sh": start.clone()}, {str(k): start[:, k].clone() for k in range(coefficients)}
    states = AdamState.zeros_like(whole), AdamState.zeros_like(parts)
    for step in range(1, 4):
        gradient = torch.randn(start.shape, generator=torch.Generator().manual_seed(step)).to(dtype)
        visible = torch.rand(37, generator=torch.Generator().manual_seed(step)) > 0.4 if step > 1 else None
        adam_step(whole, {"sh": gradient}, states[0], {"sh": rates}, visible)
        of_parts = {str(k): gradient[:, k].contiguous() for k in range(coefficients)}
        adam_step(parts, of_parts, states[1], {str(k): rate for k, rate in enumerate(rates)}, visible)
    torch.testing.assert_close(whole["sh"], torch.stack(list(parts.values()), dim=1), rtol=1e-6, atol=1e-7)


def test_leaves_that_require_grad_are_updated_in_place() -> None:
    leaf = torch.ones(4, 3, requires_grad=True)
    address = leaf.data_ptr()
    adam_step({"x": leaf}, {"x": torch.ones(4, 3)}, AdamState.zeros_like({"x": leaf}), {"x": 0.5})
    assert leaf.data_ptr() == address
    torch.testing.assert_close(leaf.detach(), torch.full((4, 3), 0.5))


def test_no_rows() -> None:
    empty = {"x": torch.zeros(0, 3)}
    state = AdamState.zeros_like(empty)
    adam_step(empty, empty, state, {"x": 0.1})
    assert state.step == 1
    assert empty["x"].shape == (0, 3)


def test_missing_gradient() -> None:
    tensors = random_tensors(0)
    with pytest.raises(InputError, match="no gradient or learning rate for 'sh'"):
        adam_step(tensors, {"means": tensors["means"]}, AdamState.zeros_like(tensors), {"means": 0.1})
