"""WebDataset: tar files of bounded size; the files of a sample share a key and lie next to each other.

    000000.confidence.npy  000000.disparity.npy  000000.flags.npy  000000.json  000000.left.png  000000.right.png

This layout keeps everything: disparity is float32 with NaN = no label. The same samples give the same bytes: members
are sorted, and times, owners and permissions are fixed. Extra views of a stack are `view00.png` and so on.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from gs_stereo.config import canonical_json
from gs_stereo.core.atomic import atomic_path
from gs_stereo.datasets.layouts.protocol import ExportJob, Holds
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.imaging.images import png_bytes

_ARRAYS = {"disparity": "<f4", "confidence": "u1", "flags": "<u2"}
_BLOCK_BYTES = 512
_END = bytes(2 * _BLOCK_BYTES)


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


def _packed_samples(samples: Iterable[ShardSample], job: ExportJob) -> Iterator[tuple[str, bytes]]:
    """The key of each sample, and its members as tar blocks, without the end mark."""
    for number, sample in enumerate(samples):
        key, stream = f"{number:06d}", io.BytesIO()
        members = _members(key, sample, job)
        for name in sorted(members):
            entry = tarfile.TarInfo(f"{key}.{name}")  # mtime, uid and gid are 0, owner names empty
            entry.size, entry.mode = len(members[name]), 0o644
            stream.write(entry.tobuf(tarfile.USTAR_FORMAT))
            stream.write(members[name])
            stream.write(bytes(-len(members[name]) % _BLOCK_BYTES))
        yield key, stream.getvalue()


def _members(key: str, sample: ShardSample, job: ExportJob) -> Mapping[str, bytes]:
    views = {} if sample.views is None else {f"view{n:02d}": view for n, view in enumerate(sample.views)}
    images = {"left": sample.left, "right": sample.right, **views}
    facts = {
        "sample_id": sample.sample_id,
        "view_id": sample.view_id,
        "intrinsics": sample.intrinsics.tolist(),
        "baseline": sample.baseline,
        "cam_from_world": sample.cam_from_world.tolist(),
        "metres_per_unit": job.info.metres_per_unit,
        "offsets": None if sample.offsets is None else sample.offsets.tolist(),
    }
    return {
        **{f"{name}.png": png_bytes(f"{key}.{name}.png", image) for name, image in images.items()},
        **{f"{name}.npy": _npy_bytes(getattr(sample, name), kind) for name, kind in _ARRAYS.items()},
        "json": canonical_json(facts).encode("utf-8"),
    }


def _npy_bytes(values: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(values, dtype=kind), (1, 0))
    return stream.getvalue()
