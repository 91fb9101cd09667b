"""Which pairs a training run sees, in which order: a pure function of the seed.

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
from gs_stereo.datasets.torch_reader import StereoDataset, StereoItem, fill_invalid
from gs_stereo.errors import InputError
from gs_stereo.training.stereo.augment import TrainingPair, augmented
from gs_stereo.training.stereo.config import DataSource, TrainConfig
from gs_stereo.types import UNSEEN_BY_RIGHT, Provenance


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


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitData:
    """Data sets with the samples to train on and those held out."""

    datasets: tuple[StereoDataset, ...]
    weights: tuple[float, ...]
    training: tuple[np.ndarray, ...]
    held_out: tuple[np.ndarray, ...]
    provenances: tuple[Provenance, ...]

    @property
    def training_count(self) -> int:
        return sum(len(each) for each in self.training)


def open_data(sources: Sequence[DataSource], validation_share: float, seed: int) -> SplitData:
    """Open the data sets and hold out a share of the views.

    All samples of a view (several baselines) go to the same side, and a view keeps its side when data sets are added.
    InputError for a data set that cannot be read or has no view left to train on.
    """
    datasets = tuple(StereoDataset(source.path) for source in sources)
    splits, provenances = [], []
    for source, dataset in zip(sources, datasets, strict=True):
        info = dataset.samples.info
        views = [f"{info.scene}/{view}" for view in dataset.samples.texts("view_id")]
        held_out = np.array([_is_held_out(view, validation_share, seed) for view in views])
        if held_out.all():
            raise InputError(
                f"The data set {source.path} has too few views ({len(set(views))}) to hold some out; "
                "set validation_share=0."
            )
        splits.append(held_out)
        provenances.append(info.provenance)
    return SplitData(
        datasets=datasets,
        weights=tuple(source.weight for source in sources),
        training=tuple(np.flatnonzero(~held_out) for held_out in splits),
        held_out=tuple(np.flatnonzero(held_out) for held_out in splits),
        provenances=tuple(provenances),
    )


def _is_held_out(view: str, share: float, seed: int) -> bool:
    return unit_seed(seed, f"held out/{view}") / 2**63 < share


def plan_draws(data: SplitData, count: int, seed: int) -> np.ndarray:
    """(count, 2): data set and sample of each draw. Data sets by weight, samples in shuffled rounds without repeats."""
    weights = np.asarray(data.weights) / sum(data.weights)
    choice = np.random.default_rng(unit_seed(seed, "data sets")).choice(len(weights), size=count, p=weights)
    samples = np.empty(count, np.int64)
    for number, pool in enumerate(data.training):
        drawn = np.flatnonzero(choice == number)
        rounds = -(-len(drawn) // len(pool))
        orders = [
            np.random.default_rng(unit_seed(seed, f"round {number}/{k}")).permutation(pool) for k in range(rounds)
        ]
        if rounds:
            samples[drawn] = np.concatenate(orders)[: len(drawn)]
    return np.stack([choice, samples], axis=1)


class TrainingDraws(Dataset[TrainingPair]):
    """Draw n of a run, augmented."""

    def __init__(self, data: SplitData, config: TrainConfig, seed: int) -> None:
        self._datasets = data.datasets
        self._config, self._seed = config, seed
        self._plan = plan_draws(data, config.steps * config.batch_size, seed)

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, draw: int) -> TrainingPair:
        source, index = self._plan[draw]
        pair = to_pair(self._datasets[source][int(index)])
        rng = np.random.default_rng(unit_seed(self._seed, f"draw {draw}"))
        crop = self._config.crop_height, self._config.crop_width
        return augmented(pair, crop, self._config.augment, rng)


def training_batches(
    data: SplitData, config: TrainConfig, seed: int, *, first_step: int, rank: int = 0
) -> Iterator[Batch]:
    """The batches from `first_step` on; with several devices, the part of process `rank`."""
    draws = TrainingDraws(data, config, seed)
    mine = [
        list(range(step * config.batch_size + rank, (step + 1) * config.batch_size, config.devices))
        for step in range(first_step, config.steps)
    ]
    loader: DataLoader[TrainingPair] = DataLoader(
        draws, batch_sampler=mine, num_workers=config.loader_workers, collate_fn=to_batch, generator=torch.Generator()
    )
    yield from loader


def to_pair(item: StereoItem) -> TrainingPair:
    """A sample as the reader gives it, for augmentation."""
    disparity = torch.where(item["valid"], item["disparity"], torch.nan)[0]
    return TrainingPair(
        left=item["left"].permute(1, 2, 0).numpy(),
        right=item["right"].permute(1, 2, 0).numpy(),
        disparity=disparity.numpy(),
        confidence=item["confidence"][0].numpy(),
        hidden=(item["flags"][0] & int(UNSEEN_BY_RIGHT)).numpy() != 0,
    )


def to_batch(pairs: Sequence[TrainingPair]) -> Batch:
    """Pairs of one size as tensors."""
    images = [
        torch.from_numpy(np.stack([getattr(pair, side) for pair in pairs])).permute(0, 3, 1, 2).contiguous()
        for side in ("left", "right")
    ]
    disparity, valid = fill_invalid(torch.from_numpy(np.stack([pair.disparity for pair in pairs]))[:, None])
    return Batch(
        left=images[0],
        right=images[1],
        disparity=disparity,
        valid=valid,
        confidence=torch.from_numpy(np.stack([pair.confidence for pair in pairs]))[:, None],
        hidden=torch.from_numpy(np.stack([pair.hidden for pair in pairs]))[:, None],
    )
