"""The order in which a training reads a large data set: shards are shuffled, then the samples of a few at a time."""

import random
from collections.abc import Iterator
from typing import Any

from torch.utils.data import Sampler

from gs_stereo.core.hashing import unit_seed
from gs_stereo.datasets.torch_reader import StereoDataset
from gs_stereo.errors import InputError


class ShardSampler(Sampler[int]):
    """Indices of one rank's share of an epoch, so that a few shards are in use at a time.

    seed, epoch: decide the order, whatever the machine. rank, ranks: of the processes that train together; all get
    equally many samples, a few of them twice where they do not divide. mixed: shards whose samples are mixed with each
    other. For DataLoader's `sampler`; its workers need nothing more. Call `set_epoch` before each epoch. position:
    samples of this epoch that were taken already, so that `state_dict` of a stopped run goes on in the middle; count
    them with `taken`, because a DataLoader asks for more than it has given.
    """

    def __init__(self, dataset: StereoDataset, *, seed: int = 0, rank: int = 0, ranks: int = 1, mixed: int = 4) -> None:
        if not 0 <= rank < ranks or mixed < 1:
            raise InputError(f"Rank {rank} of {ranks} with {mixed} mixed shards is wrong; ranks count from 0.")
        self._counts = dataset.samples.counts
        self._seed, self._rank, self._ranks, self._mixed = seed, rank, ranks, mixed
        self._epoch, self._position = 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, unless it is the one that a loaded state is in the middle of."""
        if epoch != self._epoch:
            self._epoch, self._position = epoch, 0

    def taken(self, count: int) -> None:
        """So many samples of this rank have been used."""
        self._position += count

    def state_dict(self) -> dict[str, Any]:
        return {"seed": self._seed, "epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._seed, self._epoch, self._position = state["seed"], state["epoch"], state["position"]

    def __len__(self) -> int:
        return -(-sum(self._counts) // self._ranks) - self._position

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(unit_seed(self._seed, f"epoch {self._epoch}"))
        shards = list(range(len(self._counts)))
        draw.shuffle(shards)
        starts = [sum(self._counts[:shard]) for shard in range(len(self._counts))]
        order = list[int]()
        for first in range(0, len(shards), self._mixed):
            group = shards[first : first + self._mixed]
            inside = [starts[shard] + number for shard in group for number in range(self._counts[shard])]
            draw.shuffle(inside)
            order += inside
        share = -(-len(order) // self._ranks)
        # A rank has a run of the order, not every n-th: so ranks read different shards.
        mine = [order[number % len(order)] for number in range(self._rank * share, (self._rank + 1) * share)]
        yield from mine[self._position :]
