"""What every registered net keeps: any size in and the same out, coarse to fine, determinism, weights at rest."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from tiny_net import TINY_NET, tiny_net_entry

from gs_stereo.config import canonical_json
from gs_stereo.errors import InputError
from gs_stereo.nets.config import VARIANTS
from gs_stereo.nets.protocol import NETS, StereoNet, make_net, resolve_net
from gs_stereo.nets.weights import NetDescription, load_net, save_net

# Settings that keep the tests fast; what is judged here does not depend on them.
SMALL = {
    "lite": {"volume_channels": [4, 4, 4], "refine_channels": 8, "max_disparity_px": 32},
    "raft_stereo": {"hidden_channels": 16, "iterations": 2, "train_iterations": 2},
}
CASES = [(name, variant) for name in NETS.names() for variant in VARIANTS.get(name, {"full": {}})] + [
    (TINY_NET, "full")
]
SIZES = [(32, 64), (33, 70)]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case))
def net(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> StereoNet:
    monkeypatch.setitem(*tiny_net_entry())
    made = fresh_net(*request.param)
    made.zero_grad()
    return made


@cache
def fresh_net(name: str, variant: str) -> StereoNet:
    """One of each for all tests: no test changes the weights."""
    made = make_net(name, resolve_net(name, variant, SMALL.get(name)), seed=1)
    made.registered_name = name  # type: ignore[assignment]
    return made


def images(size: tuple[int, int], batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.rand(batch, 3, *size, generator=generator), torch.rand(batch, 3, *size, generator=generator)


@pytest.mark.parametrize("size", SIZES)
def test_any_size_gives_disparities_of_that_size(net: StereoNet, size: tuple[int, int]) -> None:
    left, right = images(size)
    copies = left.clone(), right.clone()
    for training in (True, False):
        with torch.no_grad():
            answers = net.train(training)(left, right)
        assert answers
        assert all(answer.shape == (1, 1, *size) and answer.dtype == torch.float32 for answer in answers)
        assert all(bool(answer.isfinite().all()) for answer in answers)
    assert torch.equal(left, copies[0])
    assert torch.equal(right, copies[1])


def test_the_confidence_belongs_to_the_answer(net: StereoNet) -> None:
    left, right = images((33, 70), batch=2)
    with torch.no_grad():
        answer, disparities = net.eval().answer(left, right), net(left, right)
    assert all(torch.equal(*both) for both in zip(answer.disparities, disparities, strict=True))
    if answer.logit is not None:
        assert answer.logit.shape == (2, 1, 33, 70)
        assert bool(answer.logit.isfinite().all())


def test_identical_images_and_flat_images_stay_finite(net: StereoNet) -> None:
    left, _ = images((32, 64))
    for image in (left, torch.zeros_like(left), torch.ones_like(left)):
        with torch.no_grad():
            assert bool(net.eval()(image, image)[-1].isfinite().all())


def test_pairs_of_a_batch_do_not_see_each_other(net: StereoNet) -> None:
    left, right = images((32, 64), batch=2)
    with torch.no_grad():
        together = net.eval()(left, right)[-1]
        alone = torch.cat([net(left[i : i + 1], right[i : i + 1])[-1] for i in (0, 1)])
    torch.testing.assert_close(together, alone, atol=2e-3, rtol=1e-3)


def test_the_range_is_an_argument(net: StereoNet) -> None:
    left, right = images((32, 64))
    with torch.no_grad():
        for range_px in (8.0, 40.0, 500.0):
            assert net.eval()(left, right, max_disparity_px=range_px)[-1].shape == (1, 1, 32, 64)


def test_the_same_seed_makes_the_same_net_and_answer(net: StereoNet) -> None:
    before = torch.random.get_rng_state()
    name, variant = str(net.registered_name), net.config
    one, two, other = (make_net(name, variant, seed).eval() for seed in (3, 3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    left, right = images((32, 64))
    with torch.no_grad():
        assert torch.equal(one(left, right)[-1], two(left, right)[-1])
        assert name == TINY_NET or not torch.equal(one(left, right)[-1], other(left, right)[-1])


def test_every_stage_can_be_trained(net: StereoNet) -> None:
    left, right = images((32, 64))
    for answer in net.train()(left, right):
        net.zero_grad()
        answer.sum().backward(retain_graph=True)
        gradients = [each.grad for each in net.parameters() if each.grad is not None]
        assert gradients
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_every_weight_that_asks_for_a_gradient_takes_part(net: StereoNet) -> None:
    left, right = images((32, 64))
    answer = net.train().answer(left, right)
    said = answer.disparities if answer.logit is None else [*answer.disparities, answer.logit]
    torch.stack([each.sum() for each in said]).sum().backward()
    asking = {name: each for name, each in net.named_parameters() if each.requires_grad}
    assert asking
    assert [name for name, each in asking.items() if each.grad is None] == []  # distributed training hangs on these


def test_wrong_inputs_are_refused(net: StereoNet) -> None:
    left, right = images((32, 64))
    for a, b in ((left, right[..., 1:]), (left[0], right[0]), (left[:, :1], right[:, :1])):
        with pytest.raises(InputError):
            net(a, b)


def test_weights_at_rest_give_the_same_answer(net: StereoNet, tmp_path: Path) -> None:
    description = NetDescription(
        net=str(net.registered_name), settings=net.config.model_dump(mode="json"), licence="Apache-2.0"
    )
    save_net(tmp_path, net, description)
    loaded = load_net(tmp_path)
    assert canonical_json(loaded.net.config) == canonical_json(net.config)
    assert loaded.description == description
    left, right = images((32, 64))
    with torch.no_grad():
        assert torch.equal(loaded.net(left, right)[-1], net.eval()(left, right)[-1])
