"""The parts of the compact net against slow twins, and its limits."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from builders import shifted_pair
from torch.nn import functional

from gs_stereo.errors import ConfigError, InputError
from gs_stereo.nets.config import LiteConfig
from gs_stereo.nets.lite.aggregation import Conv3d, ConvNorm3d
from gs_stereo.nets.lite.confidence import overclaimed
from gs_stereo.nets.lite.features import InstanceNorm, conv_norm
from gs_stereo.nets.lite.net import LiteStereo
from gs_stereo.nets.lite.refine import local_correlation
from gs_stereo.nets.lite.volume import correlation_volume, expected_plane, peak_plane, peak_share
from gs_stereo.nets.lite.working_scale import visible_range_px
from gs_stereo.nets.protocol import make_net, parameter_count, resolve_net
from gs_stereo.nets.upsampling import convex_upsample
from gs_stereo.nets.weights import NetDescription, first_misfit, load_net, save_net
from gs_stereo.training.loop import computes_bfloat16


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def test_the_net_is_compact() -> None:
    assert parameter_count(make_net("lite", resolve_net("lite"))) <= 1_500_000


def test_correlation_volume_equals_the_slow_twin(random: torch.Generator) -> None:
    left, right = (torch.randn(2, 6, 3, 7, generator=random) for _ in range(2))
    volume = correlation_volume(left, right, planes=9, groups=2)
    assert volume.shape == (2, 2, 9, 3, 7)
    for b in range(2):
        for group in range(2):
            channels = slice(3 * group, 3 * group + 3)
            for plane in range(9):
                for row in range(3):
                    for column in range(7):
                        value = 0.0
                        if column >= plane:
                            one, two = left[b, channels, row, column], right[b, channels, row, column - plane]
                            value = float(one @ two / ((one @ one + 1e-4) * (two @ two + 1e-4)).sqrt())
                        assert float(volume[b, group, plane, row, column]) == pytest.approx(value, abs=1e-5)


def test_planes_are_read_as_the_formulas_say(random: torch.Generator) -> None:
    scores = torch.randn(1, 8, 2, 3, generator=random)
    expected, peak = expected_plane(scores), peak_plane(scores, radius=1)
    for row in range(2):
        for column in range(3):
            values = [math.exp(float(value)) for value in scores[0, :, row, column]]
            mean = sum(k * value for k, value in enumerate(values)) / sum(values)
            best = max(range(8), key=values.__getitem__)
            near = [k for k in (best - 1, best, best + 1) if 0 <= k < 8]
            around = sum(k * values[k] for k in near) / sum(values[k] for k in near)
            assert float(expected[0, 0, row, column]) == pytest.approx(mean, abs=1e-4)
            assert float(peak[0, 0, row, column]) == pytest.approx(around, abs=1e-4)


def test_a_second_surface_does_not_pull_the_peak() -> None:
    scores = torch.full((1, 20, 1, 1), -9.0)
    scores[0, 4], scores[0, 15] = 3.0, 2.9
    assert float(peak_plane(scores)) == pytest.approx(4.0, abs=0.01)
    assert float(expected_plane(scores)) > 8


def test_local_correlation_equals_the_slow_twin(random: torch.Generator) -> None:
    left, right = (torch.randn(1, 2, 3, 2, 9, generator=random) for _ in range(2))
    shift = 4 * torch.rand(1, 1, 2, 9, generator=random) - 1
    found = local_correlation(left, right, shift, radius=2)
    assert found.shape == (1, 10, 2, 9)
    for offset in range(-2, 3):
        for group in range(2):
            for row in range(2):
                for column in range(9):
                    x = column - float(shift[0, 0, row, column]) + offset
                    low = math.floor(x)
                    samples = [right[0, group, :, row, min(max(k, 0), 8)] for k in (low, low + 1)]
                    wanted = left[0, group, :, row, column] @ (samples[0] + (x - low) * (samples[1] - samples[0]))
                    assert float(found[0, 2 * (offset + 2) + group, row, column]) == pytest.approx(
                        float(wanted), abs=1e-4
                    )


def test_convex_upsampling_equals_the_slow_twin(random: torch.Generator) -> None:
    field, logits = torch.rand(1, 1, 3, 4, generator=random), torch.randn(1, 36, 3, 4, generator=random)
    fine = convex_upsample(field, logits, 2)
    padded = functional.pad(field, (1, 1, 1, 1))[0, 0]
    for row in range(6):
        for column in range(8):
            r, c, place = row // 2, column // 2, 2 * (row % 2) + column % 2
            weights = torch.stack([logits[0, 4 * n + place, r, c] for n in range(9)]).softmax(0)
            wanted = weights @ padded[r : r + 3, c : c + 3].reshape(9)
            assert float(fine[0, 0, row, column]) == pytest.approx(float(wanted), abs=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_fast_3d_convolution_equals_the_one_of_torch(random: torch.Generator, stride: int, batch: int) -> None:
    fast = Conv3d(3, 4, 3, stride, 1)
    volume = torch.randn(batch, 3, 4, 5, 6, generator=random)
    answers, gradients = [], []
    for convolve in (fast, lambda x: functional.conv3d(x, fast.weight, fast.bias, stride, 1)):
        given = volume.clone().requires_grad_()
        answer = convolve(given)
        answers.append(answer)
        gradients.append(torch.autograd.grad(answer.square().sum(), (given, fast.weight, fast.bias)))
    torch.testing.assert_close(*answers)
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_the_folded_normalisation_equals_the_separate_one(random: torch.Generator) -> None:
    layer = ConvNorm3d(3, 4)
    with torch.no_grad():
        for each in (layer[1].running_mean, layer[1].running_var, layer[1].weight, layer[1].bias):
            each.copy_(0.5 + torch.rand(4, generator=random))
    layer.eval()
    volume = torch.randn(1, 3, 4, 5, 6, generator=random)
    torch.testing.assert_close(layer(volume), functional.relu(layer[1](layer[0](volume))))


def test_features_are_normalised_image_by_image_as_exactly_as_floats_allow(random: torch.Generator) -> None:
    layer = conv_norm(3, 6)
    images = 0.9 + 0.01 * torch.rand(2, 3, 240, 320, generator=random)
    maps = layer[0](images)
    wanted = functional.relu(functional.instance_norm(maps.double(), weight=layer[1].weight.double()))
    torch.testing.assert_close(layer(images).double(), wanted, rtol=1e-4, atol=2e-4)


def test_the_gradient_of_the_normalisation_is_that_of_torch(random: torch.Generator) -> None:
    layer, maps = InstanceNorm(3), 2 + torch.randn(2, 3, 5, 7, generator=random)
    wanted_by = torch.randn(2, 3, 5, 7, generator=random)
    with torch.no_grad():
        layer.weight.copy_(torch.rand(3, generator=random) - 0.5)
        layer.bias.copy_(torch.rand(3, generator=random))
    found = []
    for normalise in (layer, lambda x: functional.group_norm(x, 3, layer.weight, layer.bias, layer.eps)):
        given = maps.clone().requires_grad_()
        answer = normalise(given)
        found.append([answer, *torch.autograd.grad((answer * wanted_by).sum(), (given, layer.weight, layer.bias))])
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not computes_bfloat16(), reason="this processor has no bfloat16 (AVX-512 or newer)")
def test_mixed_precision_answers_like_single_precision(random: torch.Generator) -> None:
    net = make_net("lite", resolve_net("lite", settings={"max_disparity_px": 16})).train()
    left, right = torch.rand(2, 1, 3, 32, 64, generator=random)
    exact = net.answer(left, right)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = net.answer(left, right)
    assert mixed.logit is not None
    assert {each.dtype for each in (*mixed.disparities, mixed.logit)} == {torch.float32}
    for one, two in zip(exact.disparities, mixed.disparities, strict=True):
        assert float((one - two).abs().median().detach()) < 0.5
    mixed.disparities[-1].sum().backward()


def test_branches_that_came_later_begin_as_nothing() -> None:
    before = make_net("lite", resolve_net("lite", None)).eval()
    later = make_net("lite", resolve_net("lite")).eval()
    assert first_misfit(later, before.state_dict()) is not None
    later.load_state_dict(before.state_dict(), strict=False)
    left, right = torch.rand(2, 1, 3, 32, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(before(left, right)[-1], later(left, right)[-1])
    assert parameter_count(before) < parameter_count(later)


def test_a_pixel_that_another_hides_is_overclaimed() -> None:
    row = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 4.0, 1.0]).view(1, 1, 1, 8)
    # the two near pixels land on columns 1 and 2, on which the pixels 2 and 3 of the far surface land too
    assert overclaimed(row)[0, 0, 0].tolist() == [0, 0, 3, 3, 0, 0, 0, 0]


def test_the_share_of_the_peak(random: torch.Generator) -> None:
    scores = torch.randn(1, 6, 2, 3, generator=random)
    scores[0, 0, 0, 0] = 9.0
    share, found = scores.softmax(1), peak_share(scores)
    for row in range(2):
        for column in range(3):
            best = int(share[0, :, row, column].argmax())
            near = share[0, max(best - 1, 0) : best + 2, row, column]
            assert float(found[0, 0, row, column]) == pytest.approx(float(near.sum()), abs=1e-6)


def test_more_range_than_needed_changes_little_inside_it() -> None:
    net = make_net("lite", resolve_net("lite")).eval()
    left, right = torch.rand(2, 1, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    pyramids = net.features(torch.cat([left, right]))
    one, two = pyramids.split()
    narrow, wide = (correlation_volume(one.quarter, two.quarter, planes, 8) for planes in (12, 28))
    torch.testing.assert_close(narrow, wide[:, :, :12])
    assert bool((wide[:, :, 16:] == 0).all())  # wider than the image: nothing to compare with


def test_large_pairs_are_matched_at_a_smaller_scale() -> None:
    net = make_net("lite", resolve_net("lite"))
    assert [net.working_scale(*each) for each in (((480, 640), 192.0), ((375, 1242), 219.0), ((900, 1000), None))] == [
        1
    ] * 3
    assert net.working_scale((375, 1242), 512.0) == 0.5
    scale = net.working_scale((1700, 2400), 250.0)
    assert 1700 * 2400 * scale**2 == pytest.approx(800_000)


def test_the_range_is_seen_in_the_images() -> None:
    for shift_px, size in ((6, (96, 128)), (40, (150, 400)), (90, (240, 640))):
        left, right = (
            torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            for image in shifted_pair(size, shift_px, seed=1)
        )
        assert shift_px < visible_range_px(left, right) < 1.3 * shift_px + 12
    flat = torch.ones(1, 3, 60, 80)
    assert 0 < visible_range_px(flat, flat) <= 1.15 * 40 + 8


def test_groups_must_divide_the_channels() -> None:
    with pytest.raises(ConfigError):
        LiteStereo(LiteConfig(groups=7))


@pytest.mark.parametrize("channels", [-1, 0, 10**9])
def test_a_folder_that_describes_an_impossible_net_is_refused(tmp_path: Path, channels: int) -> None:
    config = resolve_net("lite", settings={"volume_channels": [4, 4, 4], "refine_channels": 8})
    described = {**config.model_dump(mode="json"), "volume_channels": [4, channels, 4]}
    save_net(tmp_path, make_net("lite", config), NetDescription(net="lite", settings=described, licence="Apache-2.0"))
    with pytest.raises(InputError, match="describes no net"):
        load_net(tmp_path)
