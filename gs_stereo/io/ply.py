"""Splats as PLY files in the layout of the 3DGS reference code, which viewers share.

One `vertex` element of float properties: x y z nx ny nz, f_dc_0..2, f_rest_0.. (channel-major: all coefficients of
red, then green, then blue), opacity (a logit), scale_0..2 (logarithms), rot_0..3 (w x y z). Written as
little-endian binary. Read from binary of either byte order or ASCII, with the properties in any order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from gs_stereo.core.atomic import atomic_path
from gs_stereo.core.foreign import what_it_is_instead
from gs_stereo.errors import InputError
from gs_stereo.log import logger

if TYPE_CHECKING:
    from gs_stereo.types.gaussians import Gaussians

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}
_HEADER_LIMIT_BYTES = 1 << 16
_REST_COUNTS = {0: 0, 9: 1, 24: 2, 45: 3}
_POSITION = ("x", "y", "z")
_DC = ("f_dc_0", "f_dc_1", "f_dc_2")
_SCALE = ("scale_0", "scale_1", "scale_2")
_ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")


def save_splat(path: Path, gaussians: Gaussians) -> None:
    """Write Gaussians atomically as binary PLY; InputError if a parameter is not finite."""
    tensors = {name: tensor.detach().cpu().float().numpy() for name, tensor in gaussians.tensors().items()}
    count = len(gaussians)
    rest = tensors["sh"][:, 1:].transpose(0, 2, 1)
    rest = rest.reshape(count, rest.shape[1] * rest.shape[2])
    columns = [
        *_named(_POSITION, tensors["means"]),
        *_named(("nx", "ny", "nz"), np.zeros((count, 3), np.float32)),
        *_named(_DC, tensors["sh"][:, 0]),
        *_named(tuple(f"f_rest_{index}" for index in range(rest.shape[1])), rest),
        ("opacity", tensors["opacity_logits"]),
        *_named(_SCALE, tensors["log_scales"]),
        *_named(_ROTATION, tensors["quats_wxyz"]),
    ]
    table = np.stack([values for _, values in columns], axis=1).astype("<f4")
    if not np.isfinite(table).all():
        raise InputError(f"The splat for {path} holds NaN or infinity; fit it again with lower learning rates.")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    header += [f"property float {name}" for name, _ in columns] + ["end_header", ""]
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write("\n".join(header).encode("ascii"))
        stream.write(table.tobytes())


def load_splat(path: Path) -> Gaussians:
    """Read Gaussians (float32, on the CPU).

    Gaussians with NaN or infinity are left out, and counted in a warning. Raises InputError if the file is no splat,
    is truncated, declares more than it holds, or has no usable Gaussian. Nothing is allocated before the declared size
    is checked against the file's.
    """
    table = _read_vertices(path)
    names = table.dtype.names or ()
    rest_names = sorted((name for name in names if re.fullmatch(r"f_rest_\d+", name)), key=lambda name: int(name[7:]))
    needed = (*_POSITION, *_DC, "opacity", *_SCALE, *_ROTATION)
    missing = [name for name in needed if name not in names]
    if missing:
        raise _broken(path, f"it has no property {missing[0]!r}, so it is no 3D Gaussian splat")
    if len(rest_names) not in _REST_COUNTS or rest_names != [f"f_rest_{i}" for i in range(len(rest_names))]:
        raise _broken(path, f"{len(rest_names)} f_rest properties fit no degree of spherical harmonics from 0 to 3")
    for name in (*needed, *rest_names):
        if table.dtype[name].kind != "f":
            raise _broken(path, f"its property {name!r} is no float")
    return _gaussians(path, table, rest_names)


def _gaussians(path: Path, table: np.ndarray, rest_names: list[str]) -> Gaussians:
    import torch

    from gs_stereo.types.gaussians import Gaussians

    rest = _stack(table, tuple(rest_names)).reshape(len(table), 3, len(rest_names) // 3).transpose(0, 2, 1)
    arrays = {
        "means": _stack(table, _POSITION),
        "quats_wxyz": _stack(table, _ROTATION),
        "log_scales": _stack(table, _SCALE),
        "opacity_logits": _stack(table, ("opacity",))[:, 0],
        "sh": np.concatenate([_stack(table, _DC)[:, None], rest], axis=1),
    }
    if not len(table):
        raise _broken(path, "it holds no Gaussian")
    usable = np.logical_and.reduce(
        [np.isfinite(array).reshape(len(table), -1).all(axis=1) for array in arrays.values()]
    )
    if not usable.any():
        raise _broken(path, "none of its Gaussians is finite")
    if not usable.all():
        lost = len(table) - int(usable.sum())
        logger.warning("%s: %d of %d Gaussians hold NaN or infinity and are left out.", path, lost, len(table))
        arrays = {name: array[usable] for name, array in arrays.items()}
    if _looks_activated(arrays):
        logger.warning(
            "%s seems to hold activated values (opacities from 0 to 1, positive scales), not the logits and logarithms "
            "of a 3DGS .ply; if it looks like fog, export it again.",
            path,
        )
    return Gaussians(**{name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()})


def _looks_activated(arrays: dict[str, np.ndarray]) -> bool:
    """Logits and log-scales of a real splat are negative somewhere."""
    opacities, scales = arrays["opacity_logits"], arrays["log_scales"]
    return bool((opacities >= 0).all() and (opacities <= 1).all() and (scales > 0).all())


@dataclass(frozen=True, kw_only=True)
class _Header:
    byte_order: str
    count: int
    properties: tuple[tuple[str, str], ...]
    size_bytes: int
    is_ascii: bool


def _read_vertices(path: Path) -> np.ndarray:
    """The vertex element as a structured array."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            header = _parse_header(path, stream.read(_HEADER_LIMIT_BYTES))
            stride = 2 * len(header.properties) if header.is_ascii else _stride(header)
            if header.count * stride > size - header.size_bytes:
                raise _broken(path, f"it declares {header.count} Gaussians but is too short for them")
            stream.seek(header.size_bytes)
            dtype = np.dtype([(name, header.byte_order + kind) for name, kind in header.properties])
            if header.is_ascii:
                return _parse_ascii(path, stream.read(), header, dtype)
            return np.frombuffer(stream.read(header.count * stride), dtype=dtype, count=header.count)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}; check that it is there.") from error


def _stride(header: _Header) -> int:
    return sum(int(kind[1:]) for _, kind in header.properties)


def _parse_header(path: Path, start: bytes) -> _Header:
    end = re.search(rb"end_header\r?\n", start)
    if not start.startswith(b"ply") or end is None:
        raise _broken(path, "it does not begin with a PLY header")
    words = [line.split() for line in start[: end.start()].decode("latin-1").splitlines()]
    lines = [line for line in words if line and line[0] not in ("comment", "obj_info", "ply")]
    formats = [line[1] for line in lines if line[0] == "format" and len(line) > 1]
    elements = [index for index, line in enumerate(lines) if line[0] == "element"]
    if len(formats) != 1 or formats[0] not in _ORDERS:
        raise _broken(path, "its header names no known format")
    if elements and lines[elements[0]][1:2] == ["chunk"]:
        raise _broken(
            path,
            "it is a compressed .ply of SuperSplat, which must be decompressed first (SuperSplat, splat-transform)",
        )
    if not elements or lines[elements[0]][1:2] != ["vertex"]:
        raise _broken(path, "its first element is not 'vertex'")
    last = elements[1] if len(elements) > 1 else len(lines)
    count_words = lines[elements[0]][2:]
    if len(count_words) != 1 or not re.fullmatch(r"\d{1,12}", count_words[0]):
        raise _broken(path, "its number of vertices is no number")
    properties = tuple(_parse_property(path, line) for line in lines[elements[0] + 1 : last])
    if not properties or len({name for name, _ in properties}) != len(properties):
        raise _broken(path, "its properties are missing or repeated")
    return _Header(
        byte_order=_ORDERS[formats[0]],
        count=int(count_words[0]),
        properties=properties,
        size_bytes=end.end(),
        is_ascii=formats[0] == "ascii",
    )


def _parse_property(path: Path, line: list[str]) -> tuple[str, str]:
    if len(line) != 3 or line[0] != "property" or line[1] not in _TYPES:
        raise _broken(path, f"it cannot read the header line {' '.join(line)[:80]!r}")
    return line[2], _TYPES[line[1]]


def _parse_ascii(path: Path, text: bytes, header: _Header, dtype: np.dtype) -> np.ndarray:
    wanted = header.count * len(header.properties)
    try:
        numbers = np.array(text.split(maxsplit=wanted)[:wanted], dtype=np.float64)
    except ValueError as error:
        raise _broken(path, "its text holds something that is no number") from error
    if len(numbers) != wanted:
        raise _broken(path, f"it declares {header.count} Gaussians but is too short for them")
    table = np.empty(header.count, dtype=dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        for column, (name, _) in enumerate(header.properties):
            table[name] = numbers[column :: len(header.properties)]
    return table


def _named(names: tuple[str, ...], values: Float[np.ndarray, "n c"]) -> list[tuple[str, np.ndarray]]:
    return list(zip(names, values.T, strict=True))


def _stack(table: np.ndarray, names: tuple[str, ...]) -> Float[np.ndarray, "n c"]:
    """Columns as float32; a value too large for float32 becomes infinite and is refused later."""
    with np.errstate(over="ignore"):
        columns = [table[name].astype(np.float32) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0), np.float32)


def _broken(path: Path, problem: str) -> InputError:
    if instead := what_it_is_instead(path):
        return InputError(f"The file {path} cannot be used: {instead}.")
    return InputError(f"The file {path} cannot be used: {problem}; export it again as a 3DGS .ply.")
