"""Writes and verifies datasets of HDF5 shards, format version 1 (columns and rules: `schema`).

    <folder>/train-00000-of-00002.h5 ...   one process writes each once: temp file, closed, read back, renamed
    <folder>/dataset.json                  the index, written last: without it the dataset is not finished

The same samples give the same bytes: no times, fixed file version, fixed order.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import h5py
import hdf5plugin
import numpy as np

from gs_stereo.core.atomic import atomic_path, write_text
from gs_stereo.core.hashing import sha256_file
from gs_stereo.core.records import json_values
from gs_stereo.datasets.probe import probe_shards
from gs_stereo.datasets.read import ShardReader, read_shard
from gs_stereo.datasets.schema import (
    INDEX_NAME,
    MAX_SAMPLES_A_SHARD,
    SHARD_COLUMNS,
    TEXT_COLUMNS,
    DatasetIndex,
    DatasetInfo,
    ShardEntry,
    ShardSample,
    check_sample,
    read_index,
    shard_name,
)
from gs_stereo.errors import InputError, StageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# From v110 on all metadata carries checksums, so that a damaged file is refused before it is parsed.
LIBVER = ("v110", "v110")
_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.]*")


@dataclass(frozen=True, kw_only=True)
class ShardWriting:
    """How shards are written: 64 to 256 samples each; every HDF5 reader knows gzip, zstd reads three times as fast."""

    samples_per_shard: int = 128
    compression: Literal["gzip", "zstd"] = "gzip"

    @property
    def filters(self) -> dict[str, Any]:
        """Arguments of h5py's create_dataset."""
        if self.compression == "zstd":
            return {**hdf5plugin.Zstd(clevel=3), "shuffle": True}
        # Level 1: level 4 takes a third longer to write and is 1 % smaller (images and labels of 640x480).
        return {"compression": "gzip", "compression_opts": 1, "shuffle": True}


def write_dataset(
    folder: Path,
    samples: Iterable[ShardSample],
    info: DatasetInfo,
    *,
    sample_count: int,
    writing: ShardWriting = ShardWriting(),
) -> DatasetIndex:
    """Stream `sample_count` samples of one size into shards under `folder`, then write the index.

    One sample is in memory at a time. Each shard is read back and compared before it is in place. Raises InputError for
    a sample that breaks a rule of the format or a folder that already holds a dataset, StageError when fewer or more
    samples arrive than announced or the disk is full.
    """
    if sample_count < 1:
        raise InputError(f"There is no sample to write to {folder}; see why render-pairs refused the views.")
    if not 1 <= writing.samples_per_shard <= MAX_SAMPLES_A_SHARD:
        raise InputError(f"samples_per_shard must lie in 1..{MAX_SAMPLES_A_SHARD}; 64 to 256 is sensible.")
    if not _SPLIT_NAME.fullmatch(info.split):
        raise InputError(f"The split name {info.split!r} must hold letters, digits, points and underscores only.")
    if (folder / INDEX_NAME).exists():
        raise InputError(f"{folder} already holds a dataset; choose another name or delete it first.")
    total = math.ceil(sample_count / writing.samples_per_shard)
    stream = _checked(samples)
    shards = []
    for number in range(total):
        count = min(writing.samples_per_shard, sample_count - number * writing.samples_per_shard)
        path = folder / shard_name(info.split, number, total)
        shards.append(_write_shard(path, islice(stream, count), count, info, writing))
    if next(stream, None) is not None:
        raise StageError(f"More than the {sample_count} announced samples arrived for {folder}; label again.")
    return write_index(folder, info, shards)


@dataclass(frozen=True, kw_only=True)
class WrittenShard:
    """A shard that is in place, and the size of its images."""

    entry: ShardEntry
    height: int
    width: int


def write_shard(
    path: Path, samples: Iterable[ShardSample], count: int, info: DatasetInfo, writing: ShardWriting = ShardWriting()
) -> WrittenShard:
    """Write one shard by itself, for datasets whose shards are made in parallel; `write_index` makes them a dataset.

    Raises as `write_dataset` does. That sample ids are unique across shards is the caller's duty.
    """
    return _write_shard(path, _checked(samples), count, info, writing)


def write_index(folder: Path, info: DatasetInfo, shards: Sequence[WrittenShard]) -> DatasetIndex:
    """Declare the shards in `folder` a finished dataset. Their images must have one size."""
    index = DatasetIndex(
        **vars(info),
        sample_count=sum(shard.entry.count for shard in shards),
        height=shards[0].height,
        width=shards[0].width,
        shards=tuple(shard.entry for shard in shards),
    )
    write_text(folder / INDEX_NAME, index.to_json())
    return index


def verify_dataset(folder: Path) -> DatasetIndex:
    """Check a dataset to the last byte: sha256, attributes, dtypes, shapes and value rules.

    Returns the index; raises InputError that names the first bad shard (or sample) and the fix.
    """
    index = read_index(folder)
    seen: set[str] = set()
    for entry in index.shards:
        if sha256_file(folder / entry.file) != entry.sha256:
            raise InputError(
                f"The shard {folder / entry.file} is corrupt (its sha256 differs from {INDEX_NAME}); "
                "delete the dataset and label again."
            )
    probe_shards([folder / entry.file for entry in index.shards])
    for entry in index.shards:
        path = folder / entry.file
        with ShardReader(path) as reader:
            if len(reader) != entry.count or (reader.sizes["h"], reader.sizes["w"]) != (index.height, index.width):
                raise InputError(f"The shard {path} does not fit {INDEX_NAME} (count or image size); label again.")
            if reader.info != index.info:
                raise InputError(f"The shard {path} belongs to another dataset than {INDEX_NAME} says; label again.")
        for sample in _checked(read_shard(path), where=f" of {path}", seen=seen):
            del sample
    return index


def _checked(samples: Iterable[ShardSample], *, where: str = "", seen: set[str] | None = None) -> Iterator[ShardSample]:
    """The samples as they come, each checked; sample ids must be unique."""
    seen = set() if seen is None else seen
    for sample in samples:
        try:
            check_sample(sample)
            if sample.sample_id in seen:
                raise ValueError("its sample_id is used twice")
        except ValueError as error:
            raise InputError(f"The sample {sample.sample_id!r}{where} is wrong ({error}); label again.") from error
        seen.add(sample.sample_id)
        yield sample


def _write_shard(
    path: Path, samples: Iterator[ShardSample], count: int, info: DatasetInfo, writing: ShardWriting
) -> WrittenShard:
    """Write, close, read back, rename."""
    first = next(samples, None)
    if first is None:
        raise StageError(f"Fewer samples arrived than announced for {path}; label again.")
    with atomic_path(path) as temporary:
        with _GuardedFile(temporary, "wb+") as guarded:
            try:
                written = _fill(guarded, chain([first], samples), count, info, writing)
            finally:
                if guarded.error is not None:
                    raise guarded.error
        with ShardReader(temporary) as reader:
            if [_digest(reader.raw_bytes(index)) for index in range(len(reader))] != written:
                raise StageError(f"{path} does not read back as it was written; check the disk and label again.")
    entry = ShardEntry(file=path.name, count=count, sha256=sha256_file(path), bytes=path.stat().st_size)
    return WrittenShard(entry=entry, height=first.sizes["h"], width=first.sizes["w"])


class _GuardedFile(io.FileIO):
    """The file that HDF5 writes to. It keeps the first OSError and feigns success from then on.

    HDF5 that meets a full disk while it closes a file leaves its state broken and crashes when the program ends.
    """

    error: OSError | None = None

    def write(self, data: ReadableBuffer) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while self.error is None and len(left):
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


def _fill(
    target: _GuardedFile, samples: Iterator[ShardSample], count: int, info: DatasetInfo, writing: ShardWriting
) -> list[bytes]:
    """Write the shard and return one digest a sample."""
    digests: list[bytes] = []
    texts: dict[str, list[bytes]] = {name: [] for name in TEXT_COLUMNS}
    columns: dict[str, h5py.Dataset] = {}
    sizes: dict[str, int] = {}
    with h5py.File(target, "w", libver=LIBVER) as file:
        scale = math.nan if info.metres_per_unit is None else info.metres_per_unit
        texts_of_json = {"label_provenance": info.provenance_json, "config": info.config_json}
        for name, value in {**json_values(info), **texts_of_json, "metres_per_unit": scale}.items():
            file.attrs[name] = value
        for index, sample in enumerate(samples):
            if not columns:
                sizes, columns = sample.sizes, _create_columns(file, sample, count, writing)
            elif sample.sizes != sizes or (sample.view_depth is None) == ("view_depth" in columns):
                raise InputError(
                    f"The sample {sample.sample_id!r} has the sizes {sample.sizes}, those before it {sizes}, "
                    "or only some have view_depth; render all pairs of a dataset at one resolution."
                )
            arrays = {name: np.asarray(getattr(sample, name)) for name in columns}
            for name, data in columns.items():
                data[index] = arrays[name]
            digests.append(_digest((name, array.tobytes()) for name, array in arrays.items()))
            for name in TEXT_COLUMNS:
                texts[name].append(getattr(sample, name).encode("utf-8"))
        if len(digests) != count:
            raise StageError(f"Only {len(digests)} of {count} samples arrived for a shard; label again.")
        for name, values in texts.items():
            # Fixed-length text: no heap of variable-length objects, which a broken file could abuse.
            kind = h5py.string_dtype("utf-8", max(map(len, values)))
            file.create_dataset(name, data=np.array(values, dtype=kind), chunks=(1,), track_times=False)
    return digests


def _create_columns(file: h5py.File, sample: ShardSample, count: int, writing: ShardWriting) -> dict[str, h5py.Dataset]:
    columns = {}
    for name, column in SHARD_COLUMNS.items():
        if (value := getattr(sample, name)) is not None:
            shape, filters = np.shape(value), writing.filters if column.is_image else {}
            columns[name] = file.create_dataset(
                name, shape=(count, *shape), dtype=column.dtype, chunks=(1, *shape), track_times=False, **filters
            )
    return columns


def _digest(columns: Iterable[tuple[str, bytes]]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for name, data in columns:
        digest.update(name.encode())
        digest.update(data)
    return digest.digest()
