"""The samples of a data set by their number, over all its shards."""

import os
from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate
from pathlib import Path
from typing import Any

from gs_stereo.datasets.probe import probe_shards
from gs_stereo.datasets.read import ShardReader
from gs_stereo.datasets.schema import INDEX_NAME, DatasetIndex, DatasetInfo, ShardSample, find_dataset, read_index
from gs_stereo.datasets.shard_cache import ShardCache
from gs_stereo.errors import InputError

_MAX_OPEN_SHARDS = 16


class DatasetSamples:
    """`len(samples)` samples, `samples.read(number)`.

    path: a data set folder (it holds dataset.json), one shard (.h5), or a scene or `gsstereo/dataset` folder that holds
    exactly one data set; or a remote one with its cache. probed: its shards are known to open safely. InputError for a
    missing, ambiguous or corrupt data set.

    Files are opened when first needed and never shared between processes, so that it can be pickled and used by any
    number of workers, forked or spawned.
    """

    info: DatasetInfo
    shards: tuple[Path, ...]
    counts: list[int]
    """Samples of each shard."""

    def __init__(self, path: Path | ShardCache, *, probed: bool = False) -> None:
        self._forget_readers()
        self._cache = path if isinstance(path, ShardCache) else None
        if isinstance(path, ShardCache):
            index: DatasetIndex | None = path.index
            self.shards = tuple(Path(entry.file) for entry in path.index.shards)
        else:
            index = None if path.is_file() else read_index(path := find_dataset(path))
            self.shards = (path,) if index is None else tuple(path / entry.file for entry in index.shards)
            if missing := [shard for shard in self.shards if not shard.is_file()]:
                raise InputError(f"The shard {missing[0]} is missing; label again or copy it again.")
            if not probed:
                probe_shards(self.shards)
        self.info = self._reader(0).info if index is None else index
        self.counts = [len(self._reader(0))] if index is None else [entry.count for entry in index.shards]
        self._ends = list(accumulate(self.counts))

    def __len__(self) -> int:
        return self._ends[-1]

    def place(self, number: int) -> tuple[int, int]:
        """Shard and position in it of sample `number`, 0 <= number < len."""
        if not 0 <= number < len(self):
            raise IndexError(f"sample {number} of {len(self)}")
        shard = bisect_right(self._ends, number)
        return shard, number - (self._ends[shard - 1] if shard else 0)

    def read(self, number: int) -> ShardSample:
        """Sample `number`; InputError if its data cannot be decoded."""
        shard, position = self.place(number)
        reader = self._reader(shard)
        if position >= len(reader):
            raise InputError(f"The shard {reader.path} has fewer samples than {INDEX_NAME} says; copy it again.")
        return reader.read(position)

    def metres_per_unit(self, number: int) -> float | None:
        """Of the scene that sample `number` is of; None = unknown."""
        return self._reader(self.place(number)[0]).metres_per_unit

    def texts(self, column: str) -> list[str]:
        """`sample_id` or `view_id` of every sample."""
        return [text for shard in range(len(self.shards)) for text in self._reader(shard).texts[column]]

    def close(self) -> None:
        """Close the files; they are opened again when needed."""
        for reader in self._readers.values():
            reader.close()
        self._forget_readers()

    def _reader(self, shard: int) -> ShardReader:
        if self._process != os.getpid():
            self._forget_readers()  # HDF5 handles do not survive a fork
        reader = self._readers.pop(shard, None)
        if reader is None:
            reader = ShardReader(self.shards[shard] if self._cache is None else self._cache.path(shard))
        self._readers[shard] = reader
        if len(self._readers) > _MAX_OPEN_SHARDS:
            self._readers.popitem(last=False)  # closed when nobody reads from it any more
        return reader

    def _forget_readers(self) -> None:
        self._readers: OrderedDict[int, ShardReader] = OrderedDict()
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": OrderedDict()}
