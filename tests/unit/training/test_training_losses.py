"""Losses against their formulas, and what must not count."""

from __future__ import annotations

import math

import pytest
import torch
from builders import shifted_pair

from gs_stereo.nets.protocol import NetAnswer
from gs_stereo.training.photometric import warp_right
from gs_stereo.training.stereo.config import LossConfig
from gs_stereo.training.stereo.data import Batch
from gs_stereo.training.stereo.losses import (
    confidence_loss,
    hidden_by_others,
    photometric_loss,
    saturated,
    sequence_loss,
    total_loss,
    trusted_labels,
)

SHIFT_PX = 4


@pytest.fixture
def batch() -> Batch:
    left, right = (
        torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 for image in shifted_pair((12, 40), SHIFT_PX, 0)
    )
    ones = torch.ones(1, 1, 12, 40)
    hidden = (torch.arange(40) < SHIFT_PX).expand(1, 1, 12, 40)
    return Batch(left=left, right=right, disparity=SHIFT_PX * ones, valid=ones > 0, confidence=ones, hidden=hidden)


def changed(batch: Batch, **values: torch.Tensor) -> Batch:
    return Batch(**{**vars(batch), **values})


def test_sequence_loss_is_the_weighted_mean_with_gamma() -> None:
    target = torch.tensor([2.0, 5.0, 9.0]).view(1, 1, 1, 3)
    weight = torch.tensor([1.0, 0.5, 0.0]).view(1, 1, 1, 3)
    stages = [target + 1, target + torch.tensor([0.0, 4.0, 100.0])]
    expected = 0.8 * (1 * 1.0 + 1 * 0.5) / 1.5 + (0 * 1.0 + 4 * 0.5) / 1.5
    assert float(sequence_loss(stages, target, weight, LossConfig(gamma=0.8))) == pytest.approx(expected)


def test_saturated_errors_go_on_smoothly() -> None:
    error = torch.tensor([0.0, 1.0, 4.0, 4.0 * math.e, 400.0], requires_grad=True)
    limited = saturated(error, 4.0)
    assert limited.tolist() == pytest.approx([0.0, 1.0, 4.0, 8.0, 4 * (1 + math.log(100))])
    limited.sum().backward()
    assert error.grad is not None
    assert error.grad.tolist() == pytest.approx([1.0, 1.0, 1.0, 1 / math.e, 0.01])
    assert saturated(error, None) is error


def test_hidden_pixels_count_as_much_as_they_are_told(batch: Batch) -> None:
    hidden = batch.hidden.float()
    prediction = [batch.disparity + torch.where(batch.hidden, 10.0, 1.0)]
    whole, seen, some = (float(total_loss(prediction, batch, LossConfig(hidden_weight=w))) for w in (1.0, 0.0, 0.5))
    share = float(hidden.mean())
    assert whole == pytest.approx(1 + 9 * share)
    assert seen == pytest.approx(1.0)
    assert some == pytest.approx((1 - share + 5 * share) / (1 - share + 0.5 * share))


def test_confidence_is_judged_by_the_answer_on_labelled_pixels(batch: Batch) -> None:
    known = changed(batch, valid=torch.arange(40).expand(1, 1, 12, 40) >= 10)
    wrong = torch.arange(40).expand(1, 1, 12, 40) < 25  # half of the labelled pixels
    disparity = (batch.disparity + torch.where(wrong, 1.5, 0.5)).requires_grad_()
    sure = torch.where(wrong, -2.0, 2.0)
    sure[..., :10] = 50.0  # nobody knows, nothing counts
    losses = [
        float(confidence_loss(NetAnswer(disparities=[disparity], logit=logit), known, LossConfig()).detach())
        for logit in (sure, torch.zeros_like(sure), -sure)
    ]
    assert losses == pytest.approx([math.log(1 + math.exp(-2)), math.log(2), 2 + math.log(1 + math.exp(-2))])


def test_no_label_no_loss(batch: Batch) -> None:
    nothing = changed(batch, valid=torch.zeros_like(batch.valid))
    prediction = torch.full_like(batch.disparity, 9.0).requires_grad_()
    loss = total_loss([prediction], nothing, LossConfig())
    loss.backward()
    assert float(loss.detach()) == 0
    assert prediction.grad is not None
    assert bool((prediction.grad == 0).all())


def test_labels_out_of_range_or_doubtful_are_not_trusted(batch: Batch) -> None:
    doubtful = batch.confidence.clone()
    doubtful[..., 0] = 0.3
    far = batch.disparity.clone()
    far[..., 1] = 80
    trusted = trusted_labels(
        changed(batch, confidence=doubtful, disparity=far), LossConfig(max_disparity_px=64, min_confidence=0.5)
    )
    assert not trusted[..., :2].any()
    assert trusted[..., 2:].all()


def test_labels_count_by_their_confidence_or_all_the_same(batch: Batch) -> None:
    left_half = torch.arange(40) < 20
    graded = changed(batch, confidence=torch.where(left_half, 0.25, 1.0).expand_as(batch.confidence))
    guess = batch.disparity + torch.where(left_half, 8.0, 0.0)
    assert float(total_loss([guess], graded, LossConfig())) == pytest.approx(8 * 0.25 / 1.25)
    assert float(total_loss([guess], graded, LossConfig(weigh_by_confidence=False))) == pytest.approx(4.0)


def test_warping_by_the_truth_gives_the_left_image(batch: Batch) -> None:
    warped, inside = warp_right(batch.right, batch.disparity)
    assert torch.equal(inside, ~batch.hidden)
    torch.testing.assert_close(warped[..., SHIFT_PX:], batch.left[..., SHIFT_PX:])


def test_the_photometric_loss_is_least_at_the_truth_and_leads_there(batch: Batch) -> None:
    everywhere = torch.ones_like(batch.valid)
    at = {
        shift: float(
            photometric_loss(torch.full_like(batch.disparity, shift), batch.left, batch.right, everywhere, 0.85)
        )
        for shift in (0.0, 2.0, 3.7, 4.0, 4.3, 6.0)
    }
    assert min(at, key=at.__getitem__) == 4.0
    guess = torch.full_like(batch.disparity, 3.7).requires_grad_()
    photometric_loss(guess, batch.left, batch.right, everywhere, 0.85).backward()
    assert guess.grad is not None
    assert float(guess.grad.sum()) < 0  # downhill is towards the truth


def test_the_photometric_loss_acts_on_open_pixels_only(batch: Batch) -> None:
    half = batch.valid.clone()
    half[..., 20:] = False
    guess = (batch.disparity - 0.4).requires_grad_()
    config = LossConfig(photometric=1.0)
    no_label = changed(batch, confidence=torch.zeros_like(batch.confidence), valid=half)
    total_loss([guess], no_label, config).backward()
    assert guess.grad is not None
    assert not guess.grad[..., :18].any()  # labelled, apart from the reach of the SSIM window
    assert guess.grad[..., 20:].any()


def test_the_nearer_surface_hides_the_farther() -> None:
    disparity = torch.full((1, 1, 1, 30), 2.0)
    disparity[..., 15:20] = 8.0
    hidden = hidden_by_others(disparity)[0, 0, 0]
    landed = {column - 8 for column in range(15, 20)}
    assert [bool(value) for value in hidden] == [
        column not in range(15, 20) and column - 2 in landed for column in range(30)
    ]
