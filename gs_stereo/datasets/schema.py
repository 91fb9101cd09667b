"""Dataset shard format, version 1: the columns, the value rules, and the records that go in and out.

`SHARD_COLUMNS` is the format. The writer (`write`), the reader (`read`) and the checks all read this table.
No HDF5 here, so importing it is cheap.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt16
from pydantic import Field

from gs_stereo.config import canonical_json
from gs_stereo.core.records import JsonObject, OpenRecord, json_text, json_values, read_record
from gs_stereo.errors import InputError
from gs_stereo.geometry.disparity import depth_from_disparity
from gs_stereo.types import UNSEEN_BY_RIGHT, Camera, LabelFlag, Provenance, StereoImages, StereoLabel, StereoRig

FORMAT: Final = "gs_stereo.stereo"
FORMAT_VERSION: Final = 1
INDEX_NAME = "dataset.json"
MAX_SAMPLES_A_SHARD = 1 << 16
MAX_SIDE_PX = 1 << 15
MAX_PIXELS = 1 << 24
"""Of an image, 4096 x 4096; a stack may have four times it. A small file must not ask for all memory."""

MAX_VIEWS = 64
_KNOWN_FLAGS = sum(LabelFlag)
_RIGID_TOLERANCE = 1e-4
_SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.h5")


@dataclass(frozen=True)
class Column:
    """One dataset of a shard: dtype, the shape of one sample ("h", "w" and "v" stand for sizes), and what it is."""

    dtype: str
    dims: tuple[str | int, ...]
    meaning: str

    @property
    def is_image(self) -> bool:
        """Images and maps are compressed."""
        return "h" in self.dims

    @property
    def is_of_stack(self) -> bool:
        """The columns of N-view stacks: images and offsets come together or not at all, depth only with them."""
        return "v" in self.dims

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Of one sample, with the values of "h", "w" and "v"."""
        return tuple(sizes[dim] if isinstance(dim, str) else dim for dim in self.dims)


SHARD_COLUMNS: Mapping[str, Column] = {
    "left": Column("uint8", ("h", "w", 3), "Left image, 8-bit sRGB, rows x columns x channels."),
    "right": Column("uint8", ("h", "w", 3), "Right image, rectified with the left one by construction."),
    "disparity": Column(
        "float32", ("h", "w"), "Disparity of the left image in pixels, x_left - x_right >= 0; NaN = no label."
    ),
    "confidence": Column(
        "uint8", ("h", "w"), "round(255 * probability that the error of the disparity is under 1 px)."
    ),
    "flags": Column("uint16", ("h", "w"), f"Bits: {', '.join(f'{flag.bit} {flag.words}' for flag in LabelFlag)}."),
    "intrinsics": Column("float64", (3, 3), "Camera matrix of both eyes in pixels; pixel centres at + 0.5."),
    "baseline": Column("float64", (), "Distance of the eyes in scene units."),
    "cam_from_world": Column(
        "float64", (4, 4), "Rigid transform of the left camera, x_cam = R x_world + t; OpenCV's axes."
    ),
    "views": Column("uint8", ("v", "h", "w", 3), "More images of a rectified stack."),
    "offsets": Column(
        "float64", ("v",), "Positions of the stack's cameras on the left camera's x axis, in scene units."
    ),
    "view_depth": Column(
        "float32", ("v", "h", "w"), "Depth of the stack's images along the optical axis, scene units; NaN = none."
    ),
}
TEXT_COLUMNS: Mapping[str, str] = {
    "sample_id": "Name of the sample, unique in the dataset.",
    "view_id": "Name of the left view; samples of one view differ in the baseline.",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardSample:
    """One labelled pair, as it is stored.

    disparity: px of the left image, NaN = no label. confidence: round(255 * P(error < 1 px)). flags: bits of
    `LabelFlag`. intrinsics: of both eyes, pixel centres at + 0.5. baseline: scene units. cam_from_world: left camera.
    views, offsets: optional rectified stack; the cameras are the left one moved along its x axis by `offsets`.
    view_depth: of a stack whose depth is known, scene units, NaN = none.
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
    view_depth: Float[np.ndarray, "v h w"] | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """The values of "h", "w" and, with a stack, "v"."""
        sizes = {"h": self.left.shape[0], "w": self.left.shape[1]}
        return sizes if self.views is None else {**sizes, "v": len(self.views)}

    @property
    def rig(self) -> StereoRig:
        """The cameras of both eyes."""
        height, width = self.disparity.shape
        left = Camera(
            name=self.view_id,
            width=width,
            height=height,
            intrinsics=self.intrinsics,
            cam_from_world=self.cam_from_world,
        )
        return StereoRig(left=left, baseline=self.baseline)

    @property
    def depth(self) -> Float[np.ndarray, "h w"]:
        """Label depth of the left image in scene units, float64; NaN without a label."""
        return depth_from_disparity(self.disparity.astype(np.float64), self.rig.focal_times_baseline)

    @property
    def scene_depth(self) -> Float[np.ndarray, "h w"]:
        """`depth` of the scene alone: NaN on objects that were drawn before it."""
        return np.where(self.flags & np.uint16(LabelFlag.DRAWN_OBJECT), np.nan, self.depth)

    @property
    def non_occluded(self) -> Bool[np.ndarray, "h w"]:
        """Pixels that both eyes see."""
        return (self.flags & np.uint16(UNSEEN_BY_RIGHT)) == 0


@dataclass(frozen=True, kw_only=True)
class DatasetInfo(OpenRecord):
    """What is true of every sample of a dataset: the root attributes of a shard, the first lines of `dataset.json`.

    metres_per_unit: None = unknown. config: resolved settings, JSON types only. generator: name and version of the
    program. Put no machine paths and no times into it: the same run must give the same bytes.
    """

    format: Literal["gs_stereo.stereo"] = FORMAT
    format_version: Literal[1] = FORMAT_VERSION
    scene: str
    split: str
    label: str
    provenance: Annotated[Provenance, Field(alias="label_provenance")]
    metres_per_unit: float | None = None
    config: JsonObject = field(default_factory=dict)
    generator: str

    @property
    def provenance_json(self) -> str:
        return canonical_json(json_values(self.provenance))

    @property
    def config_json(self) -> str:
        return canonical_json(dict(self.config))


@dataclass(frozen=True, kw_only=True)
class ShardEntry(OpenRecord):
    """One shard of the index: file name, number of samples, sha256 and size of the file."""

    file: str
    count: Annotated[int, Field(ge=1, le=MAX_SAMPLES_A_SHARD)]
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        if not _SHARD_NAME.fullmatch(self.file):
            raise ValueError(f"{self.file!r} is no plain shard file name")


@dataclass(frozen=True, kw_only=True)
class DatasetIndex(DatasetInfo):
    """The content of `dataset.json`."""

    sample_count: int
    height: int
    width: int
    shards: tuple[ShardEntry, ...]

    def __post_init__(self) -> None:
        if not self.shards or len({entry.file for entry in self.shards}) != len(self.shards):
            raise ValueError("shards are missing or listed twice")
        if sum(entry.count for entry in self.shards) != self.sample_count:
            raise ValueError("the counts of the shards do not add up to sample_count")

    @property
    def info(self) -> DatasetInfo:
        return DatasetInfo(**{item.name: getattr(self, item.name) for item in fields(DatasetInfo)})

    def to_json(self) -> str:
        sorted_by_key = {"label_provenance": json.loads(self.provenance_json), "config": json.loads(self.config_json)}
        return json_text({**json_values(self), **sorted_by_key}, indent=2)


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
        view_depth=np.stack(pair.extra_depth) if pair.extra_depth else None,
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
    if not (folder / INDEX_NAME).is_file():
        raise InputError(f"There is no finished dataset in {folder}: {INDEX_NAME} is missing; label again.")
    return read_record(DatasetIndex, folder / INDEX_NAME, fix="label again or copy it again")


def check_sizes(sizes: Mapping[str, int]) -> None:
    """ValueError if the sizes are empty or beyond what one sample may hold."""
    height, width, views = sizes["h"], sizes["w"], sizes.get("v", 1)
    if not (0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX and 0 < views <= MAX_VIEWS):
        raise ValueError(f"the size {width}x{height} with {views} views is out of range")
    if height * width > MAX_PIXELS or height * width * views > 4 * MAX_PIXELS:
        most = f"an image may have {MAX_PIXELS} pixels and a stack {4 * MAX_PIXELS}"
        raise ValueError(f"{width}x{height} with {views} views is too large: {most}; render pairs with less --width")


def check_sample(sample: ShardSample) -> None:
    """ValueError, naming the column, if a sample breaks a rule of the format."""
    if (sample.views is None) != (sample.offsets is None):
        raise ValueError("views and offsets come together or not at all")
    if sample.view_depth is not None and sample.views is None:
        raise ValueError("view_depth comes only with views")
    sizes = sample.sizes
    check_sizes(sizes)
    for name, column in SHARD_COLUMNS.items():
        if (value := getattr(sample, name)) is None:
            continue
        shape, array = column.shape(sizes), np.asarray(value)
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
    if sample.view_depth is not None and (np.isinf(sample.view_depth).any() or (sample.view_depth <= 0).any()):
        raise ValueError("view_depth holds a value that is neither NaN nor finite and > 0")
