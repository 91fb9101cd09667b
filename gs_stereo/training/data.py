"""Which samples of which data sets a training run sees, in which order: a pure function of the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from gs_stereo.core.hashing import sha256_file, unit_seed
from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.datasets.schema import DatasetIndex
from gs_stereo.errors import InputError
from gs_stereo.training.config import DataSource, LoopConfig
from gs_stereo.types import Provenance


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitData:
    """A data set: how often it is drawn, the samples to train on, those held out, and where its labels come from."""

    samples: DatasetSamples
    weight: float
    training: Int[np.ndarray, "n"]
    held_out: Int[np.ndarray, "m"]
    provenance: Provenance


def open_data(sources: Sequence[DataSource], validation_share: float, seed: int) -> tuple[SplitData, ...]:
    """Open the data sets and hold out a share of the views.

    All samples of a view (several baselines) go to the same side, and a view keeps its side when data sets are added.
    InputError for a data set that cannot be read or has no view left to train on.
    """
    return tuple(_split(source, validation_share, seed) for source in sources)


def _split(source: DataSource, validation_share: float, seed: int) -> SplitData:
    samples = DatasetSamples(source.path)
    views = [f"{samples.info.scene}/{view}" for view in samples.texts("view_id")]
    held_out = np.array([unit_seed(seed, f"held out/{view}") / 2**63 < validation_share for view in views])
    if held_out.all():
        raise InputError(
            f"The data set {source.path} has too few views ({len(set(views))}) to hold some out; "
            "set validation_share=0."
        )
    return SplitData(
        samples=samples,
        weight=source.weight,
        training=np.flatnonzero(~held_out),
        held_out=np.flatnonzero(held_out),
        provenance=samples.info.provenance,
    )


def plan_draws(data: Sequence[SplitData], count: int, seed: int) -> Int[np.ndarray, "count 2"]:
    """Data set and sample of each draw. Data sets by weight, samples in shuffled rounds without repeats."""
    weights = np.array([each.weight for each in data])
    choice = np.random.default_rng(unit_seed(seed, "data sets")).choice(
        len(data), size=count, p=weights / sum(weights.tolist())
    )
    samples = np.empty(count, np.int64)
    for number, each in enumerate(data):
        drawn = np.flatnonzero(choice == number)
        orders = [
            np.random.default_rng(unit_seed(seed, f"round {number}/{k}")).permutation(each.training)
            for k in range(-(-len(drawn) // len(each.training)))
        ]
        if orders:
            samples[drawn] = np.concatenate(orders)[: len(drawn)]
    return np.stack([choice, samples], axis=1)


def draws_of_steps(config: LoopConfig, first_step: int, rank: int) -> list[list[int]]:
    """The numbers of the draws of each step from `first_step` on that process `rank` takes."""
    return [
        list(range(step * config.batch_size + rank, (step + 1) * config.batch_size, config.devices))
        for step in range(first_step, config.steps)
    ]


def data_digests(data: Sequence[SplitData]) -> list[list[str]]:
    """sha256 of the shards of each data set: from its index, so that large ones are not read; else computed."""
    return [
        [entry.sha256 for entry in each.samples.info.shards]
        if isinstance(each.samples.info, DatasetIndex)
        else [sha256_file(shard) for shard in each.samples.shards]
        for each in data
    ]
