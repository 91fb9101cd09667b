"""Dataset shard format, version 1: the columns, the value rules, and the records that go in and out.

`SHARD_COLUMNS` is the format. The writer (`shards`), the reader (`shard_reader`) and the checks all read this table.
No HDF5 here, so importing it is cheap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from gs_stereo.config import canonical_json
from gs_stereo.errors import InputError
from gs_stereo.types import LabelFlag, Provenance, StereoImages, StereoLabel

FORMAT = "gs_stereo.stereo"
FORMAT_VERSION = 1
INDEX_NAME = "dataset.json"
MAX_SAMPLES_A_SHARD = 1 << 16
MAX_SIDE_PX = 1 << 15
MAX_PIXELS = 1 << 26
MAX_VIEWS = 64
_MAX_INDEX_BYTES = 1 << 26
_KNOWN_FLAGS = sum(LabelFlag)
_RIGID_TOLERANCE = 1e-4
_SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.h5")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One dataset of a shard: dtype and the shape of one sample ("h", "w" and "v" stand for sizes)."""

    dtype: str
    dims: tuple[str | int, ...]
    compressed: bool = False
    optional: bool = False


SHARD_COLUMNS: Mapping[str, Column] = {
    "left": Column(dtype="uint8", dims=("h", "w", 3), compressed=True),
    "right": Column(dtype="uint8", dims=("h", "w", 3), compressed=True),
    "disparity": Column(dtype="float32", dims=("h", "w"), compressed=True),
    "confidence": Column(dtype="uint8", dims=("h", "w"), compressed=True),
    "flags": Column(dtype="uint16", dims=("h", "w"), compressed=True),
    "intrinsics": Column(dtype="float64", dims=(3, 3)),
    "baseline": Column(dtype="float64", dims=()),
    "cam_from_world": Column(dtype="float64", dims=(4, 4)),
    "views": Column(dtype="uint8", dims=("v", "h", "w", 3), compressed=True, optional=True),
    "offsets": Column(dtype="float64", dims=("v",), optional=True),
}
TEXT_COLUMNS = ("sample_id", "view_id")


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardSample:
    """One labelled pair, as it is stored.

    disparity: px of the left image, NaN = no label. confidence: round(255 * P(error < 1 px)). flags: bits of
    `LabelFlag`. intrinsics: of both eyes, pixel centres at + 0.5. baseline: scene units. cam_from_world: left camera.
    views, offsets: optional rectified stack; the cameras are the left one moved along its x axis by `offsets`.
    """

    sample_id: str
    view_id: str
    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    disparity: Float[np.ndarray, "h w"]
    confidence: UInt8[np.ndarray, "h w"]
    flags: UInt16[np.ndarray, "h w"]
    intrinsics: Float[np.ndarray, "3 3"]
    baseline: float
    cam_from_world: Float[np.ndarray, "4 4"]
    views: UInt8[np.ndarray, "v h w 3"] | None = None
    offsets: Float[np.ndarray, "v"] | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """The values of "h", "w" and, with a stack, "v"."""
        sizes = {"h": self.left.shape[0], "w": self.left.shape[1]}
        return sizes if self.views is None else {**sizes, "v": len(self.views)}


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is true of every sample of a dataset.

    metres_per_unit: None = unknown. config: resolved settings, JSON types only. generator: name and version of the
    program. Put no machine paths and no times into it: the same run must give the same bytes.
    """

    scene: str
    split: str
    label: str
    provenance: Provenance
    generator: str
    metres_per_unit: float | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def provenance_json(self) -> str:
        values = asdict(self.provenance)
        return canonical_json({"expert": values.pop("name"), **values})

    @property
    def config_json(self) -> str:
        return canonical_json(dict(self.config))


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One shard of the index: file name, number of samples, sha256 and size of the file."""

    file: str
    count: int
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class DatasetIndex:
    """The content of `dataset.json`."""

    info: DatasetInfo
    sample_count: int
    height: int
    width: int
    shards: tuple[ShardEntry, ...]

    def to_json(self) -> str:
        values = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "scene": self.info.scene,
            "split": self.info.split,
            "label": self.info.label,
            "label_provenance": json.loads(self.info.provenance_json),
            "metres_per_unit": self.info.metres_per_unit,
            "config": json.loads(self.info.config_json),
            "generator": self.info.generator,
            "sample_count": self.sample_count,
            "height": self.height,
            "width": self.width,
            "shards": [asdict(entry) for entry in self.shards],
        }
        return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def shard_name(split: str, number: int, total: int) -> str:
    """`train-00000-of-00004.h5`."""
    return f"{split}-{number:05d}-of-{total:05d}.h5"


def sample_of(pair: StereoImages, label: StereoLabel) -> ShardSample:
    """A pair and its label as one record of a shard."""
    camera, stack = pair.rig.left, pair.extra_views
    return ShardSample(
        sample_id=pair.sample_id,
        view_id=pair.view_id,
        left=pair.left,
        right=pair.right,
        disparity=label.disparity.astype(np.float32),
        confidence=label.confidence,
        flags=label.flags,
        intrinsics=np.asarray(camera.intrinsics, dtype=np.float64),
        baseline=float(pair.rig.baseline),
        cam_from_world=np.asarray(camera.cam_from_world, dtype=np.float64),
        views=np.stack(stack) if stack else None,
        offsets=np.asarray(pair.extra_offsets, dtype=np.float64) if stack else None,
    )


def provenance_from_json(text: str) -> Provenance:
    """The inverse of `DatasetInfo.provenance_json`; ValueError, KeyError or TypeError if it is malformed."""
    values = json.loads(text)
    if not isinstance(values, dict) or not isinstance(values.get("settings", {}), dict):
        raise TypeError("label_provenance is no JSON object")
    weights = values.get("weights_sha256")
    return Provenance(
        name=str(values["expert"]),
        version=str(values["version"]),
        licence=str(values["licence"]),
        weights_sha256=None if weights is None else str(weights),
        settings=values.get("settings", {}),
    )


def find_dataset(path: Path) -> Path:
    """The one dataset at `path`: a dataset folder, or a scene (or `gsstereo/dataset`) that holds exactly one."""
    if not path.is_dir():
        raise InputError(f"There is no dataset at {path}; check the path.")
    if (path / INDEX_NAME).is_file():
        return path
    found = sorted(folder for root in (path, path / "gsstereo" / "dataset") for folder in finished_datasets(root))
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"There is no finished dataset in {path} (no {INDEX_NAME}); run gsstereo label first.")
    names = ", ".join(folder.name for folder in found)
    raise InputError(f"{path} holds several datasets ({names}); give the folder of one.")


def finished_datasets(root: Path) -> list[Path]:
    """Folders of the data sets in `root`, the one that was written last at the end.

    A dot in a folder's name means that it is still being written.
    """
    found = [path for path in root.glob(f"*/{INDEX_NAME}") if "." not in path.parent.name]
    return [path.parent for path in sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.parent.name))]


def read_index(folder: Path) -> DatasetIndex:
    """Read and check `dataset.json`; InputError names what is wrong and the fix."""
    path = folder / INDEX_NAME
    try:
        if path.stat().st_size > _MAX_INDEX_BYTES:
            raise ValueError("it is too large")
        return _parse_index(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputError(f"There is no finished dataset in {folder}: {INDEX_NAME} is missing; label again.") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"The dataset index {path} is broken ({reason}); label again or copy it again.") from error


def _parse_index(values: Any) -> DatasetIndex:
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"format is not {FORMAT}")
    if values.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"format version {values.get('format_version')!r}, this program reads {FORMAT_VERSION}")
    shards = tuple(_parse_entry(entry) for entry in values["shards"])
    if not shards or len({entry.file for entry in shards}) != len(shards):
        raise ValueError("shards are missing or listed twice")
    if sum(entry.count for entry in shards) != values["sample_count"]:
        raise ValueError("the counts of the shards do not add up to sample_count")
    scale = values["metres_per_unit"]
    info = DatasetInfo(
        scene=str(values["scene"]),
        split=str(values["split"]),
        label=str(values["label"]),
        provenance=provenance_from_json(json.dumps(values["label_provenance"])),
        generator=str(values["generator"]),
        metres_per_unit=None if scale is None else float(scale),
        config=dict(values["config"]),
    )
    sizes = {name: int(values[name]) for name in ("sample_count", "height", "width")}
    return DatasetIndex(info=info, shards=shards, **sizes)


def _parse_entry(values: Any) -> ShardEntry:
    name, count = str(values["file"]), values["count"]
    if not _SHARD_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no plain shard file name")
    if not isinstance(count, int) or not 1 <= count <= MAX_SAMPLES_A_SHARD:
        raise ValueError(f"{name} has no sensible count")
    return ShardEntry(file=name, count=count, sha256=str(values["sha256"]), bytes=int(values["bytes"]))


def check_sizes(sizes: Mapping[str, int]) -> None:
    """ValueError if the sizes are empty or beyond what one sample may hold."""
    height, width, views = sizes["h"], sizes["w"], sizes.get("v", 1)
    if not (0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX and 0 < views <= MAX_VIEWS):
        raise ValueError(f"the size {width}x{height} with {views} views is out of range")
    if height * width * views > MAX_PIXELS:
        raise ValueError(f"{width}x{height} with {views} views is more than {MAX_PIXELS} pixels")


def check_sample(sample: ShardSample) -> None:
    """ValueError, naming the column, if a sample breaks a rule of the format."""
    if (sample.views is None) != (sample.offsets is None):
        raise ValueError("views and offsets come together or not at all")
    sizes = sample.sizes
    check_sizes(sizes)
    for name, column in SHARD_COLUMNS.items():
        if (value := getattr(sample, name)) is None:
            continue
        shape = tuple(sizes[dim] if isinstance(dim, str) else dim for dim in column.dims)
        array = np.asarray(value)
        if array.shape != shape or array.dtype != np.dtype(column.dtype):
            raise ValueError(f"{name} is {array.dtype}{array.shape}, must be {column.dtype}{shape}")
    _check_values(sample)
    for name in TEXT_COLUMNS:
        if not (text := getattr(sample, name)) or not text.isprintable():
            raise ValueError(f"{name} {text!r} is empty or has control characters")


def _check_values(sample: ShardSample) -> None:
    disparity, pose = sample.disparity, sample.cam_from_world
    if np.isinf(disparity).any() or (disparity < 0).any():
        raise ValueError("disparity holds a value that is neither NaN nor finite and >= 0")
    if (sample.flags & ~np.uint16(_KNOWN_FLAGS)).any():
        raise ValueError("flags holds an unknown bit")
    if not np.isfinite(sample.intrinsics).all() or not (np.diag(sample.intrinsics) > 0).all():
        raise ValueError("intrinsics is no camera matrix")
    if not np.isfinite(sample.baseline) or sample.baseline <= 0:
        raise ValueError("baseline is not positive")
    if not np.isfinite(pose).all() or not np.array_equal(pose[3], [0, 0, 0, 1]):
        raise ValueError("cam_from_world is no rigid transform")
    if not np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=_RIGID_TOLERANCE):
        raise ValueError("cam_from_world holds no rotation")
    if sample.offsets is not None and not np.isfinite(sample.offsets).all():
        raise ValueError("offsets holds a value that is not finite")
