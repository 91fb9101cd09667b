"""The semi-global prior of the compact net against slow twins."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from gs_stereo.nets.lite.prior import Prior, semi_global_prior


@pytest.fixture
def prior() -> Prior:
    random = torch.Generator().manual_seed(4)
    disparity = 30 * torch.rand(2, 1, 8, 12, generator=random)
    return Prior(disparity_px=disparity, valid=torch.rand(2, 1, 8, 12, generator=random) > 0.4)


def test_votes_equal_the_slow_twin(prior: Prior) -> None:
    votes = prior.votes(planes=7, cell_px=4, plane_px=4)
    wanted = torch.zeros(2, 1, 7, 2, 3)
    for b, row, column in np.ndindex(2, 8, 12):
        if prior.valid[b, 0, row, column]:
            plane = min(float(prior.disparity_px[b, 0, row, column]) / 4, 6.0)
            for k in range(7):
                wanted[b, 0, k, row // 4, column // 4] += max(0.0, 1 - abs(plane - k)) / 16
    torch.testing.assert_close(votes, wanted)


def test_every_match_has_one_vote(prior: Prior) -> None:
    share = functional.avg_pool2d(prior.valid.float(), 4)
    torch.testing.assert_close(prior.votes(planes=9, cell_px=4, plane_px=4).sum(2), share)


def test_the_candidate_of_a_cell_is_the_mean_of_its_matches(prior: Prior) -> None:
    half = prior.halved()
    for b, row, column in np.ndindex(2, 4, 6):
        cell = (b, 0, slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2))
        known = prior.disparity_px[cell][prior.valid[cell]]
        assert float(half.known[b, 0, row, column]) == (1.0 if len(known) else 0.0)
        if len(known):
            assert float(half.candidate_px[b, 0, row, column]) == pytest.approx(float(known.mean()), rel=1e-5)
        assert float(half.valid[b, :, row, column].sum()) == len(known)


def test_a_shifted_texture_is_found_and_its_border_is_left_open() -> None:
    texture = np.random.default_rng(5).random((1, 3, 48, 110), dtype=np.float32)
    left, right = (torch.from_numpy(texture[..., first : first + 96].copy()) for first in (0, 7))
    found = semi_global_prior(left, right, 24.0)
    inner = found.disparity_px[..., 12:90]
    valid = found.valid[..., 12:90]
    assert float(valid.float().mean()) > 0.9
    torch.testing.assert_close(inner[valid].median(), torch.tensor(7.0))
    assert not bool(found.valid[..., :6].any())  # the match lies out of frame
    assert float(found.disparity_px[~found.valid].abs().max()) == 0


def test_pairs_of_a_batch_do_not_touch_each_other() -> None:
    images = torch.rand(3, 3, 32, 64, generator=torch.Generator().manual_seed(1))
    others = torch.roll(images, -3, dims=3)
    batch = semi_global_prior(images, others, 15.0)
    for index in range(3):
        alone = semi_global_prior(images[index : index + 1], others[index : index + 1], 15.0)
        torch.testing.assert_close(batch.disparity_px[index], alone.disparity_px[0])
