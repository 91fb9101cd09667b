"""Latent warp: where cells land, and that what was moved decides what is made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import write_small_model

from gs_stereo.synthesis.latent_warp import latent_warp_synthesizer, moved_latent
from gs_stereo.synthesis.protocol import SourceView, SynthesizerSettings


@pytest.mark.parametrize("sign", [1, -1])
def test_the_nearer_cell_wins_and_holes_are_known(sign: int) -> None:
    latent = torch.arange(10.0).reshape(1, 1, 1, 10)
    disparity = np.zeros((1, 10))
    disparity[0, 4:6] = 2.2 * sign
    moved = moved_latent(latent, disparity)
    expected = [0, 1, 4, 5, 0, 0, 6, 7, 8, 9] if sign > 0 else [0, 1, 2, 3, 0, 0, 4, 5, 8, 9]
    assert moved.latent.flatten().tolist() == expected
    assert (~moved.landed).nonzero()[:, 1].tolist() == [4, 5]


def test_what_is_moved_decides_what_is_made(tmp_path: Path) -> None:
    model = latent_warp_synthesizer(SynthesizerSettings(weights=write_small_model(tmp_path), steps=1))
    assert model.steps == 5
    assert model.title == "latent warp (small)"
    image = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    k = np.array([[64.0, 0, 32], [0, 64, 16], [0, 0, 1]])
    near, far = (SourceView(image=image, intrinsics=k, depth=np.full((32, 64), z)) for z in (1.0, 1e6))
    unmoved = model.synthesize(far, 0.125, 0).image
    moved = model.synthesize(near, 0.125, 0).image
    assert (moved != unmoved).any()
