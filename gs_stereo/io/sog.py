"""Splats in PlayCanvas' SOG format, version 2 (developer.playcanvas.com, "The SOG Format").

A `meta.json` and lossless pictures in which pixel i, row by row, is Gaussian i: in a folder, or in a zip named `.sog`.
Positions have 16 bits on a logarithmic scale, scales and colours are bytes into tables of 256 values, rotations are
three components of a byte each, and spherical harmonics are rows of a palette. Its frame is that of the 3DGS .ply.
"""

import io
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import Field

from gs_stereo.core.foreign import what_it_is_instead
from gs_stereo.core.records import OpenRecord, record_from_json
from gs_stereo.errors import InputError, unreadable
from gs_stereo.io.ply import SplatFile, finite_gaussians

META_NAME = "meta.json"
_MOST_BYTES = 1 << 30
_MOST_GAUSSIANS = 50_000_000
_COEFFICIENTS = (0, 3, 8, 15)
_PALETTE_COLUMNS = 64
_FIRST_LARGEST = 252

Number = Annotated[float, Field(allow_inf_nan=False)]
Row3 = Annotated[tuple[Number, ...], Field(min_length=3, max_length=3)]
Codebook = Annotated[tuple[Number, ...], Field(min_length=256, max_length=256)]
OneFile = Annotated[tuple[str, ...], Field(min_length=1, max_length=1)]
TwoFiles = Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]


@dataclass(frozen=True, kw_only=True)
class _Means(OpenRecord):
    mins: Row3
    maxs: Row3
    files: TwoFiles


@dataclass(frozen=True, kw_only=True)
class _Coded(OpenRecord):
    codebook: Codebook
    files: OneFile


@dataclass(frozen=True, kw_only=True)
class _Quats(OpenRecord):
    files: OneFile


@dataclass(frozen=True, kw_only=True)
class _Palette(OpenRecord):
    """Of the spherical harmonics above degree 0. files: the palette, and the row of each Gaussian."""

    count: Annotated[int, Field(gt=0, le=1 << 16)]
    bands: Annotated[int, Field(ge=0, le=3)]
    codebook: Codebook
    files: TwoFiles


@dataclass(frozen=True, kw_only=True)
class SogMeta(OpenRecord):
    """`meta.json`."""

    version: Annotated[int, Field(ge=2, le=2)]
    count: Annotated[int, Field(gt=0, le=_MOST_GAUSSIANS)]
    antialias: bool = False
    means: _Means
    scales: _Coded
    quats: _Quats
    sh0: _Coded
    shN: _Palette | None = None  # noqa: N815

    @property
    def files(self) -> tuple[str, ...]:
        """The pictures it names."""
        palette = self.shN.files if self.shN is not None else ()
        return (*self.means.files, *self.scales.files, *self.quats.files, *self.sh0.files, *palette)


def sog_files(path: Path) -> list[Path]:
    """The files a splat is read from: the `.sog`, or `meta.json` and those of its pictures that are there."""
    if path.name != META_NAME:
        return [path]
    with _readable(path):
        names = record_from_json(SogMeta, path.read_bytes()).files
        return [path, *(file for name in names if (file := path.parent / _plain(name)).is_file())]


def load_sog(path: Path) -> SplatFile:
    """Read Gaussians of a `.sog` or a `meta.json` with its pictures; InputError if anything is missing or broken."""
    with _readable(path):
        if path.name == META_NAME:
            return _splat(path, lambda name: _limited((path.parent / _plain(name)).open("rb")))
        with zipfile.ZipFile(path) as bundle:
            return _splat(path, lambda name: _limited(bundle.open(name)))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what goes wrong in the block into an InputError about `path`."""
    try:
        yield
    except (ValueError, KeyError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, OSError) and error.strerror:
            raise unreadable(error.filename or path, error) from error
        problem = what_it_is_instead(path) or str(error).strip("'\"")
        raise InputError(f"The file {path} cannot be used: {problem}; export it again as .sog or .ply.") from error


def _plain(name: str) -> str:
    """ValueError if it is more than a file's name."""
    if Path(name).name != name:
        raise ValueError(f"it names a file outside of its folder, {name!r}")
    return name


def _limited(stream: IO[bytes]) -> bytes:
    with stream:
        content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError("it holds a file of over 1 GB")
    return content


def _splat(path: Path, read: Callable[[str], bytes]) -> SplatFile:
    meta = record_from_json(SogMeta, read(META_NAME))
    count = meta.count

    def table(name: str) -> UInt8[np.ndarray, "n 4"]:
        rows = _pixels(read(name)).reshape(-1, 4)
        if len(rows) < count:
            raise ValueError(f"{name} has {len(rows)} pixels, but there are {count} Gaussians")
        return rows[:count]

    low, high = (table(name)[:, :3].astype(np.int64) for name in meta.means.files)
    first, last = np.array(meta.means.mins), np.array(meta.means.maxs)
    logarithms = first + (last - first) * (low | high << 8) / 65535
    colours = table(meta.sh0.files[0])
    opacity = np.clip(colours[:, 3] / 255, 0.5 / 255, 1 - 0.5 / 255)  # fully opaque or clear: kept just short of it
    sh = [np.array(meta.sh0.codebook)[colours[:, :3]][:, None]]
    if meta.shN is not None and meta.shN.bands:
        sh.append(_harmonics(meta.shN, _pixels(read(meta.shN.files[0])), table(meta.shN.files[1])))
    arrays = {
        "means": np.sign(logarithms) * np.expm1(np.abs(logarithms)),
        "quats_wxyz": _rotations(table(meta.quats.files[0])),
        "log_scales": np.array(meta.scales.codebook)[table(meta.scales.files[0])[:, :3]],
        "opacity_logits": np.log(opacity / (1 - opacity)),
        "sh": np.concatenate(sh, axis=1),
    }
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    return SplatFile(gaussians=finite_gaussians(path, arrays), antialiased=meta.antialias)


def _pixels(content: bytes) -> UInt8[np.ndarray, "h w 4"]:
    from PIL import Image

    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(io.BytesIO(content), formats=("WEBP", "PNG")) as image,
        ):
            return np.asarray(image.convert("RGBA"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError("a picture is too large") from error


def _rotations(values: UInt8[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """wxyz of the three smaller components, and 252 + the number of the largest one in w x y z."""
    if (values[:, 3] < _FIRST_LARGEST).any():
        raise ValueError("its rotations do not say which component is the largest")
    largest, rows = values[:, 3].astype(np.int64) - _FIRST_LARGEST, np.arange(len(values))
    small = (values[:, :3] / 127.5 - 1) * np.sqrt(0.5)
    others = np.array([[other for other in range(4) if other != number] for number in range(4)])
    wxyz = np.zeros((len(values), 4))
    wxyz[rows[:, None], others[largest]] = small
    wxyz[rows, largest] = np.sqrt(np.maximum(0, 1 - (small**2).sum(axis=1)))
    return wxyz


def _harmonics(
    palette: _Palette, picture: UInt8[np.ndarray, "h w 4"], labels: UInt8[np.ndarray, "n 4"]
) -> Float[np.ndarray, "n k 3"]:
    """From degree 1 on; 64 entries stand in a row of the picture, each with its coefficients side by side."""
    coefficients = _COEFFICIENTS[palette.bands]
    if picture.shape[1] != _PALETTE_COLUMNS * coefficients or picture.shape[0] * _PALETTE_COLUMNS < palette.count:
        raise ValueError("the palette of its harmonics does not have the size of its entries")
    entries = picture[..., :3].reshape(-1, coefficients, 3)
    row = labels[:, 0].astype(np.int64) | labels[:, 1].astype(np.int64) << 8
    if row.max() >= palette.count:
        raise ValueError("a Gaussian asks for harmonics beyond the palette")
    return np.array(palette.codebook)[entries[row]]
