"""Splats as PLY files in the layout of the 3DGS reference code, which viewers share.

One `vertex` element of float properties: x y z nx ny nz, f_dc_0..2, f_rest_0.. (channel-major: all coefficients of
red, then green, then blue), opacity (a logit), scale_0..2 (logarithms), rot_0..3 (w x y z). Written as
little-endian binary. Read from binary of either byte order or ASCII, with the properties in any order. The 3D filter
of Mip-Splatting (property filter_3D) is taken into scales and opacities.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.core.atomic import atomic_path
from gs_stereo.core.foreign import what_it_is_instead
from gs_stereo.errors import InputError, unreadable
from gs_stereo.log import logger

if TYPE_CHECKING:
    from gs_stereo.types.gaussians import Gaussians

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": None}
_ORIGIN_COMMENT = "comment origin_in_world"
_MIP_COMMENT = "comment SplatRenderMode: mip"
_HEADER_LIMIT_BYTES = 1 << 16
_POSITION = ("x", "y", "z")
_COLOURS, _GRAY = ("red", "green", "blue"), 128
_DC = ("f_dc_0", "f_dc_1", "f_dc_2")
_SCALE = ("scale_0", "scale_1", "scale_2")
_FILTER = "filter_3D"
_ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")


@dataclass(frozen=True, kw_only=True, eq=False)
class SplatFile:
    """Gaussians of a file (float32, on the CPU), and what it says about them.

    antialiased: they were fitted with Mip-Splatting's compensation. origin: place in the world that the means are
    relative to.
    """

    gaussians: Gaussians
    antialiased: bool = False
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)


def save_splat(
    path: Path,
    gaussians: Gaussians,
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    *,
    antialiased: bool = False,
) -> None:
    """Write Gaussians atomically as binary PLY; InputError if a parameter is not finite.

    origin: place in the world that the means are relative to; a comment of the file names it, if it is not 0.
    antialiased: a comment says so, for viewers that would draw them too fat otherwise.
    """
    tensors = {name: tensor.detach().cpu().float().numpy() for name, tensor in gaussians.tensors().items()}
    count = len(gaussians)
    rest = tensors["sh"][:, 1:].transpose(0, 2, 1)
    rest = rest.reshape(count, rest.shape[1] * rest.shape[2])
    names = (*_POSITION, "nx", "ny", "nz", *_DC, *_rest_names(rest.shape[1]), "opacity", *_SCALE, *_ROTATION)
    columns = [
        tensors["means"],
        np.zeros((count, 3), np.float32),
        tensors["sh"][:, 0],
        rest,
        tensors["opacity_logits"][:, None],
        tensors["log_scales"],
        tensors["quats_wxyz"],
    ]
    table = np.concatenate(columns, axis=1).astype("<f4")
    if not np.isfinite(table).all():
        raise InputError(f"The splat for {path} holds NaN or infinity; fit it again with lower learning rates.")
    header = ["ply", "format binary_little_endian 1.0"]
    header += [" ".join([_ORIGIN_COMMENT, *map(repr, origin)])] if any(origin) else []
    header += [_MIP_COMMENT] if antialiased else []
    header += [f"element vertex {count}"]
    header += [f"property float {name}" for name in names] + ["end_header", ""]
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write("\n".join(header).encode("ascii"))
        stream.write(table.tobytes())


def _rest_names(count: int) -> tuple[str, ...]:
    return tuple(f"f_rest_{index}" for index in range(count))


def load_splat_file(path: Path) -> SplatFile:
    """`load_splat`, and what the comments of the file say."""
    gaussians = load_splat(path)
    said = re.search(rf"^{_MIP_COMMENT}\s*$", _header_text(path), re.MULTILINE)
    return SplatFile(gaussians=gaussians, antialiased=said is not None, origin=read_origin(path))


def _header_text(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(_HEADER_LIMIT_BYTES).partition(b"end_header")[0].decode("latin-1")


def read_origin(path: Path) -> tuple[float, float, float]:
    """The place in the world that the means of one of our files are relative to; 0 where it says nothing."""
    start = _header_text(path)
    said = re.search(rf"^{_ORIGIN_COMMENT} (\S+) (\S+) (\S+)\r?$", start, re.MULTILINE)
    try:
        x, y, z = (float(value) for value in said.groups()) if said else (0.0, 0.0, 0.0)
    except ValueError:
        return 0.0, 0.0, 0.0
    return (x, y, z) if math.isfinite(x + y + z) else (0.0, 0.0, 0.0)


def load_splat(path: Path) -> Gaussians:
    """Read Gaussians (float32, on the CPU).

    Gaussians with NaN or infinity are left out, and counted in a warning. Raises InputError if the file is no splat,
    is truncated, declares more than it holds, or has no usable Gaussian. Nothing is allocated before the declared size
    is checked against the file's.
    """
    try:
        with path.open("rb") as stream:
            return _gaussians(path, _read_vertices(stream, path.stat().st_size))
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        problem = what_it_is_instead(path) or f"{error}; export it again as a 3DGS .ply"
        raise InputError(f"The file {path} cannot be used: {problem}.") from error


def load_points(path: Path) -> tuple[Float[np.ndarray, "n 3"], UInt8[np.ndarray, "n 3"]]:
    """The vertices of a point cloud that are finite, and their colours, gray where it has none; InputError as for
    `load_splat`.
    """
    try:
        with path.open("rb") as stream:
            table = _read_vertices(stream, path.stat().st_size)
        if missing := [name for name in _POSITION if name not in (table.dtype.names or ())]:
            raise ValueError(f"it has no property {missing[0]!r}")
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        problem = what_it_is_instead(path) or str(error)
        raise InputError(f"The point cloud {path} cannot be used ({problem}); export it again as .ply.") from error
    xyz = np.stack([table[name].astype(np.float64) for name in _POSITION], axis=1)
    rgb = np.full(xyz.shape, _GRAY, np.uint8)
    if all(name in (table.dtype.names or ()) and table.dtype[name] == np.uint8 for name in _COLOURS):
        rgb = np.stack([table[name] for name in _COLOURS], axis=1)
    finite = np.isfinite(xyz).all(axis=1)
    return xyz[finite], rgb[finite]


def _gaussians(path: Path, table: np.ndarray) -> Gaussians:
    """ValueError says why the vertices are no splat."""
    names = table.dtype.names or ()
    rest_names = _rest_names(sum(re.fullmatch(r"f_rest_\d+", name) is not None for name in names))
    needed = (*_POSITION, *_DC, "opacity", *_SCALE, *_ROTATION)
    if missing := [name for name in needed if name not in names]:
        raise ValueError(f"it has no property {missing[0]!r}, so it is no 3D Gaussian splat")
    if len(rest_names) not in (0, 9, 24, 45) or not set(rest_names) <= set(names):
        raise ValueError(f"{len(rest_names)} f_rest properties fit no degree of spherical harmonics from 0 to 3")
    if whole := [name for name in (*needed, *rest_names) if table.dtype[name].kind != "f"]:
        raise ValueError(f"its property {whole[0]!r} is no float")
    if not len(table):
        raise ValueError("it holds no Gaussian")
    rest = _stack(table, rest_names).reshape(len(table), 3, len(rest_names) // 3).transpose(0, 2, 1)
    log_scales, logits = _stack(table, _SCALE), _stack(table, ("opacity",))[:, 0]
    if _FILTER in names:
        log_scales, logits = _filtered(log_scales, logits, _stack(table, (_FILTER,)))
    arrays = {
        "means": _stack(table, _POSITION),
        "quats_wxyz": _stack(table, _ROTATION),
        "log_scales": log_scales,
        "opacity_logits": logits,
        "sh": np.concatenate([_stack(table, _DC)[:, None], rest], axis=1),
    }
    gaussians = finite_gaussians(path, arrays)
    if _looks_activated(arrays):
        logger.warning(
            "%s seems to hold activated values (opacities from 0 to 1, positive scales), not the logits and logarithms "
            "of a 3DGS .ply; if it looks like fog, export it again.",
            path,
        )
    return gaussians


def finite_gaussians(path: Path, arrays: dict[str, np.ndarray]) -> Gaussians:
    """The Gaussians whose raw values (by the names of `Gaussians`) are finite; ValueError if none is.

    A warning counts the others.
    """
    import torch

    from gs_stereo.types.gaussians import Gaussians

    count = len(arrays["means"])
    usable = np.logical_and.reduce([np.isfinite(array).reshape(count, -1).all(axis=1) for array in arrays.values()])
    if not usable.any():
        raise ValueError("none of its Gaussians is finite")
    if not usable.all():
        lost = count - int(usable.sum())
        logger.warning("%s: %d of %d Gaussians hold NaN or infinity and are left out.", path, lost, count)
        arrays = {name: array[usable] for name, array in arrays.items()}
    return Gaussians(**{name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()})


def _filtered(
    log_scales: Float[np.ndarray, "n 3"], logits: Float[np.ndarray, "n"], size: Float[np.ndarray, "n 1"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n"]]:
    """Gaussians widened by the 3D filter of Mip-Splatting (arXiv 2311.16493, eq. 7): less opaque as they are larger."""
    with np.errstate(all="ignore"):  # what is not finite afterwards is left out
        variances = np.exp(2 * log_scales.astype(np.float64))
        wider = variances + size.astype(np.float64) ** 2
        opacity = np.sqrt((variances / wider).prod(axis=1)) / (1 + np.exp(-logits.astype(np.float64)))
        return (0.5 * np.log(wider)).astype(np.float32), np.log(opacity / (1 - opacity)).astype(np.float32)


def _looks_activated(arrays: dict[str, np.ndarray]) -> bool:
    """Logits and log-scales of a real splat are negative somewhere."""
    opacities, scales = arrays["opacity_logits"], arrays["log_scales"]
    return bool((opacities >= 0).all() and (opacities <= 1).all() and (scales > 0).all())


@dataclass(frozen=True, kw_only=True)
class _Header:
    """byte_order: as numpy has it, None for text. size_bytes: of the header."""

    byte_order: str | None
    count: int
    properties: tuple[tuple[str, str], ...]
    size_bytes: int


def _read_vertices(stream: BinaryIO, size_bytes: int) -> np.ndarray:
    """The vertex element as a structured array; ValueError says what is wrong."""
    header = _parse_header(stream.read(_HEADER_LIMIT_BYTES))
    dtype = np.dtype([(name, (header.byte_order or "=") + kind) for name, kind in header.properties])
    stride = dtype.itemsize if header.byte_order else 2 * len(header.properties)
    if header.count * stride > size_bytes - header.size_bytes:
        raise ValueError(f"it declares {header.count} Gaussians but is too short for them")
    stream.seek(header.size_bytes)
    if header.byte_order is None:
        return _parse_ascii(stream.read(), header, dtype)
    return np.frombuffer(stream.read(header.count * stride), dtype=dtype, count=header.count)


def _parse_header(start: bytes) -> _Header:
    end = re.search(rb"end_header\r?\n", start)
    if not start.startswith(b"ply") or end is None:
        raise ValueError("it does not begin with a PLY header")
    words = [line.split() for line in start[: end.start()].decode("latin-1").splitlines()]
    lines = [line for line in words if line and line[0] not in ("comment", "obj_info", "ply")]
    formats = [line[1] for line in lines if line[0] == "format" and len(line) > 1]
    elements = [index for index, line in enumerate(lines) if line[0] == "element"]
    if len(formats) != 1 or formats[0] not in _ORDERS:
        raise ValueError("its header names no known format")
    first = lines[elements[0]] if elements else []
    if first[1:2] == ["chunk"]:
        raise ValueError(
            "it is a compressed .ply of SuperSplat, which must be decompressed first (SuperSplat, splat-transform)"
        )
    if first[1:2] != ["vertex"]:
        raise ValueError("its first element is not 'vertex'")
    if len(first) != 3 or not re.fullmatch(r"\d{1,12}", first[2]):
        raise ValueError("its number of vertices is no number")
    stated = lines[elements[0] + 1 : elements[1] if len(elements) > 1 else len(lines)]
    for line in stated:
        if len(line) != 3 or line[0] != "property" or line[1] not in _TYPES:
            raise ValueError(f"it cannot read the header line {' '.join(line)[:80]!r}")
    properties = tuple((name, _TYPES[kind]) for _, kind, name in stated)
    if not properties or len({name for name, _ in properties}) != len(properties):
        raise ValueError("its properties are missing or repeated")
    order = _ORDERS[formats[0]]
    return _Header(byte_order=order, count=int(first[2]), properties=properties, size_bytes=end.end())


def _parse_ascii(text: bytes, header: _Header, dtype: np.dtype) -> np.ndarray:
    wanted = header.count * len(header.properties)
    try:
        numbers = np.array(text.split(maxsplit=wanted)[:wanted], dtype=np.float64)
    except ValueError as error:
        raise ValueError("its text holds something that is no number") from error
    if len(numbers) != wanted:
        raise ValueError(f"it declares {header.count} Gaussians but is too short for them")
    table = np.empty(header.count, dtype=dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        for column, (name, _) in enumerate(header.properties):
            table[name] = numbers[column :: len(header.properties)]
    return table


def _stack(table: np.ndarray, names: tuple[str, ...]) -> Float[np.ndarray, "n c"]:
    """Columns as float32; a value too large for float32 becomes infinite and is left out later."""
    with np.errstate(over="ignore"):
        columns = [table[name].astype(np.float32) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0), np.float32)
