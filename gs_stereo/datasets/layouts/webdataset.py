"""WebDataset: tar files of bounded size; the files of a sample share a key and lie next to each other.

    000000.confidence.npy  000000.disparity.npy  000000.flags.npy  000000.json  000000.left.png  000000.right.png

This layout keeps everything: disparity is float32 with NaN = no label. The same samples give the same bytes: members
are sorted, and times, owners and permissions are fixed. Extra views of a stack are `view00.png` and so on.
"""

from __future__ import annotations

import io
import json
import math
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gs_stereo.config import canonical_json
from gs_stereo.core.atomic import atomic_path
from gs_stereo.datasets.layouts.parts import find_files, same_size
from gs_stereo.datasets.layouts.protocol import ExportedSample, ExportJob, Holds
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import png_bytes
from gs_stereo.imaging.png import decode_rgb_png

_ARRAYS = {"disparity": "float32", "confidence": "uint8", "flags": "uint16"}
_REQUIRED = ("left.png", "right.png", "json", *(f"{name}.npy" for name in _ARRAYS))
_MEMBER = re.compile(r"(\d{6,9})\.([a-z]+\d*(?:\.[a-z]+)?)")
_MAX_MEMBER_BYTES = 1 << 30
_MAX_SHARD_BYTES = 1 << 36
_BLOCK_BYTES = 512
_END = bytes(2 * _BLOCK_BYTES)
_BROKEN = (ValueError, KeyError, TypeError, SyntaxError, MemoryError, OverflowError, RecursionError)


class WebDatasetExporter:
    """Tar shards that `webdataset` and Hugging Face's `datasets` stream."""

    name = "webdataset"
    holds = Holds(
        files=(
            ("<split>-000000.tar", "samples, about max_shard_megabytes a file; in it, for each sample:"),
            ("000000.left.png, 000000.right.png", "images"),
            ("000000.disparity.npy", "disparity of the left image, float32 px"),
            ("000000.confidence.npy", "uint8, round(255 x probability of an error under 1 px)"),
            ("000000.flags.npy", "uint16, bits as in the data set's card"),
            ("000000.json", "ids, intrinsics (pixel centres at + 0.5), baseline, cam_from_world, metres_per_unit"),
            ("000000.view00.png", "extra views, if the data set has stacks; offsets are in the JSON"),
        ),
        unknown="NaN",
        confidence=True,
        flags=True,
        camera=True,
    )

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        limit = int(job.config.max_shard_megabytes * 1e6)
        packed = _packed_samples(samples, job)
        names: list[str] = []
        pending, shard = next(packed, None), 0
        while pending is not None:
            path = folder / f"{job.info.split}-{shard:06d}.tar"
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                while pending is not None and (stream.tell() == 0 or stream.tell() + len(pending[1]) <= limit):
                    stream.write(pending[1])
                    names.append(pending[0])
                    pending = next(packed, None)
                stream.write(_END)
            shard += 1
        return names

    def read(self, folder: Path) -> Iterator[ExportedSample]:
        for path in find_files(folder, "*.tar"):
            for key, members in _samples_of(path):
                try:
                    yield _sample(path, key, members)
                except _BROKEN as error:
                    reason = " ".join(str(error).split())
                    raise InputError(f"The sample {key} in {path} is broken ({reason}); export again.") from error


def _packed_samples(samples: Iterable[ShardSample], job: ExportJob) -> Iterator[tuple[str, bytes]]:
    for number, sample in enumerate(samples):
        key = f"{number:06d}"
        yield key, _packed(key, _members(key, sample, job))


def _members(key: str, sample: ShardSample, job: ExportJob) -> dict[str, bytes]:
    views = () if sample.views is None else tuple(sample.views)
    images = {"left": sample.left, "right": sample.right, **{f"view{n:02d}": view for n, view in enumerate(views)}}
    scale = job.info.metres_per_unit
    facts: dict[str, Any] = {
        "sample_id": sample.sample_id,
        "view_id": sample.view_id,
        "intrinsics": sample.intrinsics.tolist(),
        "baseline": sample.baseline,
        "cam_from_world": sample.cam_from_world.tolist(),
        "metres_per_unit": scale,
        "offsets": None if sample.offsets is None else sample.offsets.tolist(),
    }
    return {
        **{f"{name}.png": png_bytes(f"{key}.{name}.png", image) for name, image in images.items()},
        **{f"{name}.npy": _npy_bytes(getattr(sample, name), kind) for name, kind in _ARRAYS.items()},
        "json": canonical_json(facts).encode("utf-8"),
    }


def _npy_bytes(values: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(values, dtype=np.dtype(kind).newbyteorder("<")), (1, 0))
    return stream.getvalue()


def _packed(key: str, members: Mapping[str, bytes]) -> bytes:
    """The members of one sample as tar blocks, without the end mark."""
    stream = io.BytesIO()
    for name in sorted(members):
        entry = tarfile.TarInfo(f"{key}.{name}")  # mtime, uid and gid are 0, owner names empty
        entry.size, entry.mode = len(members[name]), 0o644
        stream.write(entry.tobuf(tarfile.USTAR_FORMAT))
        stream.write(members[name])
        stream.write(bytes(-len(members[name]) % _BLOCK_BYTES))
    return stream.getvalue()


def _samples_of(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """(key, members) of each sample of a shard, in order. Nothing is ever unpacked to disk."""
    _check_end(path)
    try:
        with tarfile.open(path, "r:") as archive:
            key, members = "", dict[str, bytes]()
            for entry in archive:
                name, data = _checked_member(path, archive, entry)
                if name[1] != key and members:
                    yield key, members
                    members = {}
                key = name[1]
                members[name[2]] = data
            if members:
                yield key, members
    except (tarfile.TarError, OSError, EOFError, *_BROKEN) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"The archive {path} is broken ({reason}); export again or copy it again.") from error


def _check_end(path: Path) -> None:
    """A tar file ends with two empty blocks; one that was cut off does not."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            stream.seek(max(size - len(_END), 0))
            whole = size % _BLOCK_BYTES == 0 and stream.read() == _END
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}; check that it is there.") from error
    if not whole or size > _MAX_SHARD_BYTES:
        raise InputError(f"The archive {path} is truncated or no tar file; export again or copy it again.")


def _checked_member(path: Path, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> tuple[re.Match[str], bytes]:
    name = _MEMBER.fullmatch(entry.name)
    if name is None or not entry.isreg() or entry.issparse() or not 0 <= entry.size <= _MAX_MEMBER_BYTES:
        raise InputError(f"The archive {path} holds {entry.name[:80]!r}, which is no file of a sample; export again.")
    stream = archive.extractfile(entry)
    data = stream.read() if stream else b""
    if len(data) != entry.size:
        raise ValueError(f"{entry.name} is cut off")
    return name, data


def _sample(path: Path, key: str, members: Mapping[str, bytes]) -> ExportedSample:
    if missing := [name for name in _REQUIRED if name not in members]:
        raise ValueError(f"{missing[0]} is missing")
    left, right = (decode_rgb_png(members[f"{eye}.png"], f"{path}: {key}.{eye}.png") for eye in ("left", "right"))
    same_size(path, right, left)
    arrays = {name: _array(members[f"{name}.npy"], kind, left.shape[:2]) for name, kind in _ARRAYS.items()}
    facts = json.loads(members["json"])
    intrinsics = np.array(facts["intrinsics"], dtype=np.float64).reshape(3, 3)
    scale = facts["metres_per_unit"]
    return ExportedSample(
        name=key,
        left=left,
        right=right,
        **arrays,
        intrinsics=intrinsics,
        baseline_m=math.nan if scale is None else float(facts["baseline"]) * float(scale),
    )


def _array(data: bytes, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """A .npy file of exactly this type and shape; its header is checked before anything is made of it."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array is of another .npy version")
    found, column_major, dtype = np.lib.format.read_array_header_1_0(stream)
    if (tuple(found), column_major, dtype) != (shape, False, np.dtype(kind)):
        raise ValueError(f"an array is {dtype}{found}, must be {kind}{shape}")
    if len(data) - stream.tell() != math.prod(shape) * np.dtype(kind).itemsize:
        raise ValueError("an array is cut off or too long")
    return np.frombuffer(data, kind, offset=stream.tell()).reshape(shape).copy()
