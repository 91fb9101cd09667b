"""The pairs that a training run sees, augmented, as batches.

Draw n of a run is fixed by (seed, n) alone. So the batches do not depend on workers or devices, and a resumed run
continues with the batch that an uninterrupted one would see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch.utils.data import DataLoader, Dataset

from gs_stereo.core.hashing import unit_seed
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.datasets.torch_reader import fill_invalid
from gs_stereo.training.data import SplitData, draws_of_steps, plan_draws
from gs_stereo.training.stereo.augment import TrainingPair, augmented
from gs_stereo.training.stereo.config import TrainConfig
from gs_stereo.types import UNSEEN_BY_RIGHT


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """A batch of pairs on one device: `TrainingPair` as tensors, NaN replaced by the mask `valid`."""

    left: Float[torch.Tensor, "b 3 h w"]
    right: Float[torch.Tensor, "b 3 h w"]
    disparity: Float[torch.Tensor, "b 1 h w"]
    valid: Bool[torch.Tensor, "b 1 h w"]
    confidence: Float[torch.Tensor, "b 1 h w"]
    hidden: Bool[torch.Tensor, "b 1 h w"]

    def to(self, device: torch.device) -> Batch:
        return Batch(**{name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items()})


class TrainingDraws(Dataset[TrainingPair]):
    """Draw n of a run, augmented."""

    def __init__(self, data: Sequence[SplitData], config: TrainConfig, seed: int) -> None:
        self._data, self._config, self._seed = data, config, seed
        self._plan = plan_draws(data, config.steps * config.batch_size, seed)

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, draw: int) -> TrainingPair:
        source, index = self._plan[draw]
        pair = to_pair(self._data[source].samples.read(int(index)))
        rng = np.random.default_rng(unit_seed(self._seed, f"draw {draw}"))
        crop = self._config.crop_height, self._config.crop_width
        return augmented(pair, crop, self._config.augment, rng)


def training_batches(
    data: Sequence[SplitData], config: TrainConfig, seed: int, *, first_step: int, rank: int = 0
) -> Iterator[Batch]:
    """The batches from `first_step` on; with several devices, the part of process `rank`."""
    draws = TrainingDraws(data, config, seed)
    mine = draws_of_steps(config, first_step, rank)
    loader: DataLoader[TrainingPair] = DataLoader(
        draws, batch_sampler=mine, num_workers=config.loader_workers, collate_fn=to_batch, generator=torch.Generator()
    )
    yield from loader


def to_pair(sample: ShardSample) -> TrainingPair:
    """A stored sample, for augmentation."""
    left, right, confidence = (
        each.astype(np.float32) / np.float32(255) for each in (sample.left, sample.right, sample.confidence)
    )
    return TrainingPair(
        left=left,
        right=right,
        disparity=sample.disparity,
        confidence=confidence,
        hidden=(sample.flags & UNSEEN_BY_RIGHT) != 0,
    )


def to_batch(pairs: Sequence[TrainingPair]) -> Batch:
    """Pairs of one size as tensors."""
    arrays = {name: np.stack([getattr(pair, name) for pair in pairs]) for name in vars(pairs[0])}
    left, right = (torch.from_numpy(arrays.pop(eye)).permute(0, 3, 1, 2).contiguous() for eye in ("left", "right"))
    maps = {name: torch.from_numpy(array)[:, None] for name, array in arrays.items()}
    disparity, valid = fill_invalid(maps.pop("disparity"))
    return Batch(left=left, right=right, disparity=disparity, valid=valid, **maps)
