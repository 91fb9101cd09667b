"""What a model that makes second eyes is trained on: signs, units, augmentation, and the losses on exact pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import builders
import numpy as np
import pytest
import torch

from gs_stereo.config import parse_config
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.synthesis.losses import denoising_loss, pixel_loss, seen_by_both, warp_loss
from gs_stereo.synthesis.rays import RayCells
from gs_stereo.synthesis.schedule import Schedule
from gs_stereo.synthesis.stacks import SynthesisDraws, augmented, draw_of, drawn, to_batch, views_of
from gs_stereo.synthesis.train_config import SynthesisTrainConfig
from gs_stereo.training.config import DataSource
from gs_stereo.training.data import open_data
from gs_stereo.worlds.pairs.config import TrainingPairConfig
from gs_stereo.worlds.pairs.stack import sample_stack

WORLDS = TrainingPairConfig(width=96, height=64, stack_views=5, textures=4, texture_px=64, camera_faults=False)


def settings(**values: Any) -> SynthesisTrainConfig:
    plain = {"width": 96, "height": 64, "flip_share": 0, "colour_share": 0, "same_share": 0}
    return parse_config(SynthesisTrainConfig, {**plain, **values}, where="test")


@pytest.fixture(scope="module")
def stack() -> ShardSample:
    return sample_stack(WORLDS, 1, 0)


def test_disparities_are_signed_and_baselines_in_median_depths(stack: ShardSample) -> None:
    draw = draw_of(views_of(stack, None), 2, [0, 4, 2], in_metres=False)
    focal = stack.intrinsics[0, 0]
    assert draw.baselines[0] < 0 < draw.baselines[1]
    assert draw.baselines[2] == 0
    medians = np.median(draw.of_source_px, axis=(1, 2, 3))
    np.testing.assert_allclose(medians, focal * draw.baselines, rtol=1e-4, atol=1e-6)
    assert (draw.of_target_px[1] < 0).all()
    assert (draw.of_target_px[0] > 0).all()


def test_a_warped_source_is_the_target_where_it_landed(stack: ShardSample) -> None:
    views = views_of(stack, None)
    draw = draw_of(views, 1, [4, 0, 1], in_metres=False, warped=True)
    assert draw.warped is not None
    colour, hole = draw.warped[:, :3], draw.warped[:, 3:] > 0
    assert (colour[np.broadcast_to(hole, colour.shape)] == 0).all()
    np.testing.assert_allclose(colour[2], draw.source, atol=1e-6)  # no baseline, no motion
    for made, target, empty in zip(colour[:2], draw.targets[:2], hole[:2, 0], strict=True):
        assert 0.005 < empty.mean() < 0.3
        error = np.abs(made - target).mean(axis=0)[~empty]
        assert np.median(error) < 0.06 < np.median(np.abs(draw.source - target))
    batch = to_batch([draw, draw], RayCells(factor=4)).to(torch.device("cpu"))
    assert batch.warped is not None
    assert batch.warped.shape == (6, 4, 64, 96)
    nothing = draw_of(replace(views, depth=np.full_like(views.depth, np.nan)), 0, [1], in_metres=True, warped=True)
    assert nothing.warped is not None
    assert (nothing.warped[0, 3] == 1).all()
    assert draw_of(views, 1, [4], in_metres=False).warped is None


def test_metres_need_a_scale(tmp_path: Path, stack: ShardSample) -> None:
    in_metres = views_of(stack, 2.0)
    np.testing.assert_allclose(draw_of(in_metres, 0, [1], in_metres=True).baselines, 2 * np.diff(stack.offsets)[:1])
    folder = builders.write_samples(tmp_path / "data", [stack], builders.make_info(metres_per_unit=None))
    data = open_data([DataSource(path=folder)], 0.0, 0)
    with pytest.raises(InputError, match="scale of .* is unknown"):
        SynthesisDraws(data, settings(), 0, in_metres=True)


def test_the_warp_loss_knows_the_right_sign(stack: ShardSample) -> None:
    batch = to_batch([draw_of(views_of(stack, None), 1, [4, 0], in_metres=False)], RayCells(factor=4))
    source = batch.source.repeat(2, 1, 1, 1)
    disparity, mask = seen_by_both(batch.of_source_px, batch.of_target_px)
    assert 0.5 < mask.float().mean() < 1  # what only one eye sees is left out
    right = warp_loss(batch.targets, source, disparity, mask)
    wrong = warp_loss(batch.targets, source, -disparity, mask)
    assert (right < 0.5 * wrong).all()
    assert (warp_loss(source, source, torch.zeros_like(disparity), mask) == 0).all()


def test_pixel_and_denoising_losses() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(2, 3, 8, 12, generator=generator)
    assert (pixel_loss(picture, picture, 0.85) < 1e-6).all()
    l1 = pixel_loss(picture, picture + 0.25, 0.0)
    torch.testing.assert_close(l1, torch.full((2,), 0.25))
    schedule = Schedule()
    alpha_bar = torch.tensor([0.0, 0.9]).reshape(2, 1, 1, 1)
    answer, target = torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)
    # at no signal the weight is 1; at SNR 9 it is 5 / 10
    torch.testing.assert_close(denoising_loss(answer, target, alpha_bar, schedule, 5.0), torch.tensor(0.75))
    torch.testing.assert_close(denoising_loss(answer, target, alpha_bar, schedule, None), torch.tensor(1.0))


def test_augmentation_keeps_the_geometry(stack: ShardSample) -> None:
    views = views_of(stack, None)
    mirrored = augmented(views, settings(flip_share=1), np.random.default_rng(0))
    np.testing.assert_array_equal(mirrored.offsets, -views.offsets)
    twice = augmented(mirrored, settings(flip_share=1), np.random.default_rng(0))
    np.testing.assert_array_equal(twice.images, views.images)
    np.testing.assert_allclose(twice.intrinsics, views.intrinsics)
    small = augmented(views, settings(width=32, height=32, smallest_scale=0.5), np.random.default_rng(2))
    for each in (mirrored, small):
        draw = draw_of(each, 0, [4], in_metres=False)
        batch = to_batch([draw], RayCells(factor=4))
        disparity, mask = seen_by_both(batch.of_source_px, batch.of_target_px)
        right = warp_loss(batch.targets, batch.source, disparity, mask)
        assert (right < 0.6 * warp_loss(batch.targets, batch.source, -disparity, mask)).all()
    with pytest.raises(InputError, match="smaller than the training pictures"):
        augmented(views, settings(width=128), np.random.default_rng(0))


def test_the_source_itself_is_a_target_now_and_then(stack: ShardSample) -> None:
    draw = drawn(views_of(stack, None), settings(same_share=1.0), np.random.default_rng(0), in_metres=False)
    assert (draw.baselines == 0).all()
    batch = to_batch([draw], RayCells(factor=4, moment_scale=10.0))
    for rays in batch.target_rays:
        assert torch.equal(rays, batch.source_rays[0])


def test_a_pair_has_one_known_direction(stack: ShardSample) -> None:
    pair = views_of(replace(stack, views=None, offsets=None, view_depth=None), None)
    forward, back = draw_of(pair, 0, [1], in_metres=False), draw_of(pair, 1, [0], in_metres=False)
    assert np.isfinite(forward.of_source_px).all()
    assert np.isnan(forward.of_target_px).all()
    np.testing.assert_allclose(forward.baselines, -back.baselines)
    disparity, mask = seen_by_both(torch.from_numpy(forward.of_source_px), torch.from_numpy(forward.of_target_px))
    assert not mask.any()
    assert torch.isfinite(disparity).all()
