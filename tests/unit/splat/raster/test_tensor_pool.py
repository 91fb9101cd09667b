"""The pool behind the engine's gradients: memory is used again, but never while a tensor still refers to it."""

from __future__ import annotations

import pytest
import torch
from builders import random_scene, trainable

from gs_stereo.splat.raster.cpu import CpuRasterizer
from gs_stereo.splat.raster.protocol import RenderSettings
from gs_stereo.splat.raster.tensor_pool import TensorPool

SHAPES = [(5, 3), (5,), (0, 4), (5, 16, 3)]


@pytest.fixture
def pool() -> TensorPool:
    return TensorPool()


def test_tensors_are_apart(pool: TensorPool) -> None:
    tensors = pool.empty(SHAPES)
    assert [tuple(tensor.shape) for tensor in tensors] == SHAPES
    for value, tensor in enumerate(tensors):
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous()
        tensor.fill_(value)
    for value, tensor in enumerate(tensors):
        assert (tensor == value).all()
        assert tensor.numel() == 0 or tensor.data_ptr() % 64 == 0


def test_memory_comes_back_when_the_last_tensor_goes(pool: TensorPool) -> None:
    first = pool.empty(SHAPES)
    address, last = first[0].data_ptr(), first[3]
    del first
    held = pool.empty(SHAPES)
    assert held[0].data_ptr() != address
    del last
    assert pool.empty(SHAPES)[0].data_ptr() == address


def test_grows_and_takes_what_is_empty(pool: TensorPool) -> None:
    del pool.empty([(10,)])[:]
    large = pool.empty([(100_000, 3)])[0]
    large.fill_(1.0)
    assert float(large.sum()) == 300_000
    assert [tuple(tensor.shape) for tensor in pool.empty([(0, 3), (0,)])] == [(0, 3), (0,)]


def test_gradients_outlive_later_steps() -> None:
    gaussians, camera = random_scene(60, 24, 20)

    def gradient(weight: float) -> torch.Tensor:
        leaves = trainable(gaussians, torch.float32)
        (weight * CpuRasterizer().render(leaves, [camera], RenderSettings()).rgb.sum()).backward()
        assert leaves.means.grad is not None
        return leaves.means.grad

    first = gradient(1.0)
    before = first.clone()
    second = gradient(2.0)
    assert torch.equal(first, before)
    torch.testing.assert_close(second, 2 * before)
