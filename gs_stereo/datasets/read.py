"""Reads one HDF5 shard, trusting nothing in it.

A shard may come from anywhere. So before a byte of data is read: only hard links (an external or soft link could
lead to another file), no external or virtual storage, exact dtypes, bounded shapes, one sample a chunk, known filters.
The HDF5 library itself crashes or hangs on some broken files, mostly on texts in attributes: `probe` finds those
in a child process, and here the texts are only read when `info` is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the zstd filter)
import numpy as np

from gs_stereo.core.records import object_from_json, record_from_json
from gs_stereo.datasets.schema import (
    FORMAT,
    FORMAT_VERSION,
    MAX_SAMPLES_A_SHARD,
    SHARD_COLUMNS,
    TEXT_COLUMNS,
    DatasetInfo,
    ShardSample,
    check_sizes,
    read_index,
)
from gs_stereo.errors import InputError
from gs_stereo.io.hdf5 import HDF5_ERRORS, own_dataset
from gs_stereo.types import Provenance

_MAX_TEXT_BYTES = 4096


@contextmanager
def shard_errors(path: Path) -> Iterator[None]:
    """Turn whatever reading a broken shard raises into one sentence that names it."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"The shard {path} is missing; label again or copy it again.") from error
    except PermissionError as error:
        raise InputError(f"The shard {path} is not readable; change its permissions.") from error
    except HDF5_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"The shard {path} is corrupt ({reason}); delete it and label again.") from error


class ShardReader:
    """An open shard: `len(reader)` samples, `reader.read(i)`. Close it, or use it in a `with` block.

    Raises InputError for anything that is not a shard of the known version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with shard_errors(path):
            # Published shards never change, and locks fail on some network and read-only file systems.
            self._file = h5py.File(path, "r", locking=False)
            try:
                if (version := _attribute(self._file, "format_version", int)) != FORMAT_VERSION:
                    raise ValueError(f"format version {version}, this program reads {FORMAT_VERSION}")
                self.metres_per_unit = (
                    None if math.isnan(scale := _attribute(self._file, "metres_per_unit", float)) else scale
                )
                self.columns = _open_columns(self._file)
                self.count, self.sizes = _common_sizes(self.columns)
                self.texts = {name: _read_texts(self._file, name, self.count) for name in TEXT_COLUMNS}
            except BaseException:
                self._file.close()
                raise

    def __len__(self) -> int:
        return self.count

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    @cached_property
    def info(self) -> DatasetInfo:
        """The root attributes. Probe a file of unknown origin before asking."""
        with shard_errors(self.path):
            if _attribute(self._file, "format", str) != FORMAT:
                raise ValueError(f"attribute format is not {FORMAT}")
            return DatasetInfo(
                scene=_attribute(self._file, "scene", str),
                split=_attribute(self._file, "split", str),
                label=_attribute(self._file, "label", str),
                provenance=record_from_json(Provenance, _attribute(self._file, "label_provenance", str)),
                generator=_attribute(self._file, "generator", str),
                metres_per_unit=self.metres_per_unit,
                config=object_from_json(_attribute(self._file, "config", str)),
            )

    def read(self, index: int) -> ShardSample:
        """Sample `index`, 0 <= index < len. InputError if its data cannot be decoded."""
        if not 0 <= index < self.count:
            raise IndexError(f"sample {index} of {self.count}")
        with shard_errors(self.path):
            values: dict[str, Any] = {name: column[index] for name, column in self.columns.items()}
        texts = {name: texts[index] for name, texts in self.texts.items()}
        return ShardSample(**{**values, **texts, "baseline": float(values["baseline"])})

    def raw_bytes(self, index: int) -> Iterator[tuple[str, bytes]]:
        """Name and decoded bytes of every array column of a sample: what the writer compares with what it wrote."""
        with shard_errors(self.path):
            for name, column in self.columns.items():
                yield name, column[index].tobytes()


def _attribute(file: h5py.File, name: str, kind: type) -> Any:
    if name not in file.attrs:
        raise ValueError(f"attribute {name} is missing")
    stored = file.attrs.get_id(name)
    if stored.shape != () or (stored.dtype.kind in "OS") != (kind is str) or stored.dtype.kind not in "OSiuf":
        raise TypeError(f"attribute {name} has the wrong type")
    value = file.attrs[name]
    value = value.decode("utf-8") if isinstance(value, bytes) else value
    if isinstance(value, str) != (kind is str):
        raise TypeError(f"attribute {name} has the wrong type")
    if isinstance(value, str):
        value.encode("utf-8")  # h5py lets broken UTF-8 through as surrogates
    return kind(value)


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    data = own_dataset(file, name)
    if not data.shape or not 1 <= data.shape[0] <= MAX_SAMPLES_A_SHARD:
        raise ValueError(f"{name} has the shape {data.shape}")
    return data


def _open_columns(file: h5py.File) -> dict[str, h5py.Dataset]:
    columns = {}
    for name, column in SHARD_COLUMNS.items():
        if column.is_of_stack and file.get(name, getlink=True) is None:
            continue
        columns[name] = data = _dataset(file, name)
        if data.dtype != np.dtype(column.dtype):
            raise TypeError(f"{name} is {data.dtype}, must be {column.dtype}")
        if len(data.shape) != 1 + len(column.dims):
            raise ValueError(f"{name} has the shape {data.shape}")
        if data.chunks is not None and data.chunks != (1, *data.shape[1:]):
            raise ValueError(f"{name} has chunks of {data.chunks}, must be one sample")
    if ("views" in columns) != ("offsets" in columns):
        raise ValueError("views and offsets come together or not at all")
    if "view_depth" in columns and "views" not in columns:
        raise ValueError("view_depth comes only with views")
    return columns


def _common_sizes(columns: dict[str, h5py.Dataset]) -> tuple[int, dict[str, int]]:
    """Number of samples and the values of "h", "w", "v" that all columns agree on."""
    count, sizes = columns["left"].shape[0], dict[str, int]()
    for name, data in columns.items():
        expected = tuple(
            sizes.setdefault(dim, size) if isinstance(dim, str) else dim
            for dim, size in zip(SHARD_COLUMNS[name].dims, data.shape[1:], strict=True)
        )
        if data.shape != (count, *expected):
            raise ValueError(f"{name} has the shape {data.shape}, the others say {(count, *expected)}")
    check_sizes(sizes)
    return count, sizes


def _read_texts(file: h5py.File, name: str, count: int) -> tuple[str, ...]:
    data = _dataset(file, name)
    kind = h5py.check_string_dtype(data.dtype)
    if kind is None or data.shape != (count,) or (kind.length or 0) > _MAX_TEXT_BYTES:
        raise ValueError(f"{name} is no list of {count} texts")
    texts = tuple(str(text) for text in data.asstr()[()])
    if not all(texts):
        raise ValueError(f"{name} holds an empty text")
    return texts


def read_shard(path: Path) -> Iterator[ShardSample]:
    """The samples of one shard in order; InputError if it is corrupt."""
    with ShardReader(path) as reader:
        for index in range(len(reader)):
            yield reader.read(index)


def read_dataset(folder: Path) -> Iterator[ShardSample]:
    """The samples of all shards of a finished dataset in order."""
    for entry in read_index(folder).shards:
        yield from read_shard(folder / entry.file)
