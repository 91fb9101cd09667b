"""A stereo pair as a folder, which appears whole or not at all: rendered with depth, or images alone.

    <folder>/pair.json                 format and version, ids, rig, offsets of extra views, measures of the view
    <folder>/left.png, right.png       sRGB; extra_00.png ... for the views of an N-view stack
    <folder>/geometry.h5               left_expected, left_median, left_variance, left_alpha, right_... : float32 (H, W)
                                       (absent where the images were not rendered from a scene); left_cut_out : uint8,
                                       1 = cut out of the photos (absent where nothing is); extra_00, ... : depth of the
                                       extra views of a stack (absent of others); object_disparity : float32,
                                       object_unseen, object_doubtful : uint8 (absent where no object was drawn)
    <folder>/seen_left.png, ...        what learners are shown instead: as a camera stores it, with drawn objects

The maps are lossless, and pair.json holds the sha256 of every other file. The same pair gives the same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import h5py
import hdf5plugin
import numpy as np
from jaxtyping import Num
from pydantic import Field

from gs_stereo.core.atomic import atomic_folder, write_bytes
from gs_stereo.core.hashing import sha256_file
from gs_stereo.core.records import JsonObject, OpenRecord, read_record, write_record
from gs_stereo.errors import GsStereoError, InputError
from gs_stereo.imaging.images import read_photo, write_png
from gs_stereo.imaging.sensor import SensedPair
from gs_stereo.io.hdf5 import HDF5_ERRORS, own_dataset
from gs_stereo.io.views import CameraRecord
from gs_stereo.types import DepthMaps, DrawnObjects, StereoImages, StereoPair, StereoRig

PAIR_FILE = "pair.json"
GEOMETRY_FILE = "geometry.h5"

_EYES, _CUT_OUT = ("left", "right"), "left_cut_out"
_CLEAN = tuple(f"{eye}.png" for eye in _EYES)
_SEEN = tuple(f"seen_{eye}.png" for eye in _EYES)
_MAPS = tuple(item.name for item in fields(DepthMaps))
_OBJECTS = {item.name: f"object_{item.name}" for item in fields(DrawnObjects)}
_MAX_EXTRA_VIEWS = 99


@dataclass(frozen=True, kw_only=True)
class PairHeader(OpenRecord):
    """The content of pair.json. measures: whatever the caller says of the pair. sha256: of every other file."""

    format: Literal["gs_stereo.pair"] = "gs_stereo.pair"
    format_version: Literal[1] = 1
    sample_id: Annotated[str, Field(min_length=1)]
    view_id: Annotated[str, Field(min_length=1)]
    left_camera: CameraRecord
    baseline: float
    extra_offsets: Annotated[tuple[float, ...], Field(max_length=_MAX_EXTRA_VIEWS)]
    measures: JsonObject
    sha256: Mapping[str, str]

    @property
    def rig(self) -> StereoRig:
        return StereoRig(left=self.left_camera.camera, baseline=self.baseline)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every image and map."""
        return self.left_camera.height, self.left_camera.width


def write_pair(
    folder: Path, pair: StereoImages, measures: Mapping[str, Any] | None = None, seen: SensedPair | None = None
) -> None:
    """Write a pair to `folder`, replacing what is there; `measures` are JSON values that are stored as they are.

    seen: the images as a camera stores them.
    Raises InputError or StageError if the place is not writable or the disk is full.
    """
    if len(pair.extra_views) != len(pair.extra_offsets) or len(pair.extra_views) > _MAX_EXTRA_VIEWS:
        raise InputError(
            f"The pair {pair.sample_id!r} has {len(pair.extra_views)} extra views and "
            f"{len(pair.extra_offsets)} offsets; give as many of each, at most {_MAX_EXTRA_VIEWS}."
        )
    with atomic_folder(folder) as work:
        for name, image in {"left": pair.left, "right": pair.right}.items():
            write_png(work / f"{name}.png", image)
        for name, image in zip(_SEEN, (seen.left, seen.right) if seen else (), strict=False):
            write_png(work / name, image)
        for number, image in enumerate(pair.extra_views):
            write_png(work / _extra_name(number), image)
        if isinstance(pair, StereoPair):
            write_bytes(work / GEOMETRY_FILE, _geometry_bytes(pair))
        header = PairHeader(
            sample_id=pair.sample_id,
            view_id=pair.view_id,
            left_camera=CameraRecord.of(pair.rig.left),
            baseline=pair.rig.baseline,
            extra_offsets=tuple(pair.extra_offsets),
            measures=measures or {},
            sha256={path.name: sha256_file(path) for path in sorted(work.iterdir())},
        )
        write_record(work / PAIR_FILE, header, sort_keys=True)


def read_pair(folder: Path) -> StereoImages:
    """Read a pair, a StereoPair if it has depth; InputError names a file that is missing, corrupt or does not fit."""
    header = read_header(folder)
    images = _images(folder, header)
    if GEOMETRY_FILE not in header.sha256:
        return images
    _check_unchanged(folder / GEOMETRY_FILE, header)
    known = {**vars(images), **_read_stack_depth(folder, header)}
    return StereoPair(**known, **_read_geometry(folder / GEOMETRY_FILE, header.size))


def read_images(folder: Path) -> StereoImages:
    """Only the images of a pair, its rig, and of a stack the depth of its views.

    The images are those that a camera stores, where there are such.
    """
    header = read_header(folder)
    eyes = _SEEN if _SEEN[0] in header.sha256 else _CLEAN
    return replace(_images(folder, header, eyes), **_read_stack_depth(folder, header))


def read_rig(folder: Path) -> StereoRig:
    """The rig of a stored pair, without its images."""
    return read_header(folder).rig


def read_left_depth(folder: Path) -> DepthMaps:
    """Only the depth of a pair's left eye."""
    depth: DepthMaps = _read_geometry(folder / GEOMETRY_FILE, read_header(folder).size, _EYES[:1])["left_depth"]
    return depth


def read_header(folder: Path) -> PairHeader:
    """What pair.json says: ids, rig and measures, without images and depth."""
    return read_record(PairHeader, folder / PAIR_FILE, fix="render the pair again")


def _extra_name(number: int) -> str:
    return f"extra_{number:02d}.png"


def _extra_depth_name(number: int) -> str:
    return f"extra_{number:02d}"


def _images(folder: Path, header: PairHeader, eyes: tuple[str, ...] = _CLEAN) -> StereoImages:
    images = []
    for name in (*eyes, *map(_extra_name, range(len(header.extra_offsets)))):
        _check_unchanged(folder / name, header)
        image = read_photo(folder / name, upright=False)
        if image.shape[:2] != header.size:
            found, wanted = (f"{size[1]} x {size[0]}" for size in (image.shape, header.size))
            raise InputError(f"The image {folder / name} is {found}, its camera {wanted}; render the pair again.")
        images.append(image)
    left, right, *extra = images
    return StereoImages(
        sample_id=header.sample_id,
        view_id=header.view_id,
        rig=header.rig,
        left=left,
        right=right,
        extra_views=tuple(extra),
        extra_offsets=header.extra_offsets,
    )


def _check_unchanged(path: Path, header: PairHeader) -> None:
    if sha256_file(path) != header.sha256.get(path.name):
        raise InputError(f"The file {path} is not the one that was written; render the pair again.")


def _geometry_bytes(pair: StereoPair) -> bytes:
    """The HDF5 file, made in memory: HDF5 itself never sees a full disk."""
    filters = {**hdf5plugin.Zstd(clevel=1), "shuffle": True}
    size = (pair.rig.left.height, pair.rig.left.width)
    with h5py.File("in memory", "w", driver="core", backing_store=False, libver=("earliest", "v110")) as file:
        for eye, maps in zip(_EYES, (pair.left_depth, pair.right_depth), strict=True):
            for name in _MAPS:
                values = np.asarray(getattr(maps, name), dtype=np.float32)
                if values.shape != size:
                    raise InputError(f"The {eye} {name} of {pair.sample_id!r} is {values.shape}, its camera is {size}.")
                file.create_dataset(f"{eye}_{name}", data=values, chunks=size, track_times=False, **filters)
        for number, depth in enumerate(pair.extra_depth):
            name, values = _extra_depth_name(number), depth.astype(np.float32)
            file.create_dataset(name, data=values, chunks=size, track_times=False, **filters)
        marks = {} if pair.left_cut_out is None else {_CUT_OUT: pair.left_cut_out}
        if pair.objects is not None:
            marks |= {name: getattr(pair.objects, item) for item, name in _OBJECTS.items()}
        for name, values in marks.items():
            values = values.astype(np.uint8 if values.dtype == np.bool_ else np.float32)
            file.create_dataset(name, data=values, chunks=size, track_times=False, **filters)
        file.flush()
        return bytes(file.id.get_file_image())


def _read_geometry(path: Path, size: tuple[int, int], eyes: Sequence[str] = _EYES) -> dict[str, Any]:
    """The fields of a StereoPair that the file holds."""
    with _opened(path) as file:
        found: dict[str, Any] = {
            f"{eye}_depth": DepthMaps(**{name: _read_map(file, f"{eye}_{name}", size) for name in _MAPS})
            for eye in eyes
        }
        if _CUT_OUT in file:
            found[_CUT_OUT] = _read_map(file, _CUT_OUT, size, np.uint8) > 0
        if _OBJECTS["disparity"] in file:
            marks = {item: _read_map(file, _OBJECTS[item], size, np.uint8) > 0 for item in ("unseen", "doubtful")}
            found["objects"] = DrawnObjects(disparity=_read_map(file, _OBJECTS["disparity"], size), **marks)
        return found


def _read_stack_depth(folder: Path, header: PairHeader) -> dict[str, Any]:
    """`extra_depth` of a stack; nothing where its views have none."""
    if GEOMETRY_FILE not in header.sha256 or not header.extra_offsets:
        return {}
    names = [_extra_depth_name(number) for number in range(len(header.extra_offsets))]
    with _opened(folder / GEOMETRY_FILE) as file:
        if names[0] not in file:
            return {}
        return {"extra_depth": tuple(_read_map(file, name, header.size) for name in names)}


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except GsStereoError:
        raise
    except HDF5_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"The file {path} is missing or corrupt ({reason}); render the pair again.") from error


def _read_map(
    file: h5py.File, name: str, size: tuple[int, int], kind: type[np.generic] = np.float32
) -> Num[np.ndarray, "h w"]:
    """One map, if it lies in this very file with the size that the camera promises. ValueError otherwise."""
    data = own_dataset(file, name)
    if data.shape != size or data.dtype != kind:
        raise ValueError(f"{name} is {data.dtype} {data.shape}, must be {kind.__name__} {size}")
    values: Num[np.ndarray, "h w"] = data[()]
    return values
