"""Splats in Niantic's SPZ format (github.com/nianticlabs/spz, its README), versions 2 to 4.

Integers of a byte or so for everything: positions in 24-bit fixed point, logarithms of scales, opacity, colour and
spherical harmonics in 8 bits, rotations as three components. Versions 2 and 3 are one gzip stream, version 4 has one
zstd stream an attribute. The axes are right, up, back; a 3DGS .ply has right, down, front, and so have our Gaussians.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.core.foreign import what_it_is_instead
from gs_stereo.errors import InputError, unreadable
from gs_stereo.io.ply import SplatFile, finite_gaussians

_GZIP, _MAGIC = b"\x1f\x8b", b"NGSP"
_LEGACY = struct.Struct("<4sIIBBBB")
_HEADER = struct.Struct("<4sIIBBBBI12x")
_TOC = struct.Struct("<QQ")
_ANTIALIASED = 1
_MOST_GAUSSIANS = 50_000_000
_COLOUR_SCALE = 0.15
_COEFFICIENTS = (0, 3, 8, 15)
_FLIPS = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)
"""Signs of the spherical harmonics from degree 1 on when y and z are turned round."""


def load_spz(path: Path) -> SplatFile:
    """Read Gaussians; InputError if the file is no SPZ, is broken, or claims more than it holds."""
    try:
        data = path.read_bytes()
        return _splat(path, data)
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, zlib.error) as error:
        problem = what_it_is_instead(path) or str(error)
        raise InputError(f"The file {path} cannot be used: {problem}; export it again as .spz or .ply.") from error


def _splat(path: Path, data: bytes) -> SplatFile:
    if data.startswith(_GZIP):
        start = zlib.decompressobj(31).decompress(data, _LEGACY.size)
        if len(start) < _LEGACY.size:
            raise ValueError("it is truncated")
        magic, version, count, degree, fraction_bits, flags, _ = _LEGACY.unpack(start)
    elif len(data) >= _HEADER.size:
        magic, version, count, degree, fraction_bits, flags, streams, toc = _HEADER.unpack_from(data)
    else:
        raise ValueError("it is truncated")
    if magic != _MAGIC or version not in (2, 3, 4) or (version < 4) != data.startswith(_GZIP):
        raise ValueError("it is no SPZ file of version 2, 3 or 4")
    if not (0 < count <= _MOST_GAUSSIANS and degree < len(_COEFFICIENTS) and fraction_bits < 24):
        raise ValueError(f"{count} Gaussians of degree {degree} are not supported")
    widths = (9, 1, 3, 3, 3 if version == 2 else 4, 3 * _COEFFICIENTS[degree])
    sizes = [count * width for width in widths]
    if version < 4:
        body = zlib.decompressobj(31).decompress(data, _LEGACY.size + sum(sizes))[_LEGACY.size :]
        ends = np.cumsum(sizes)
        parts = [body[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    else:
        parts = _streams(data, toc, streams, sizes)
    if [len(part) for part in parts] != sizes:
        raise ValueError(f"it declares {count} Gaussians but is too short for them")
    tables = [np.frombuffer(part, np.uint8).reshape(count, width) for part, width in zip(parts, widths, strict=True)]
    positions, alphas, colours, scales, rotations, harmonics = tables
    xyzw = _first_three(rotations) if version == 2 else _smallest_three(rotations)
    sh = (harmonics.reshape(count, -1, 3).astype(np.float32) - 128) / 128
    with np.errstate(divide="ignore"):  # fully opaque or clear: kept just short of it
        opacity = np.clip(alphas[:, 0] / 255, 0.5 / 255, 1 - 0.5 / 255)
    arrays = {
        "means": _fixed_point(positions, fraction_bits) * np.array([1, -1, -1], np.float32),
        "quats_wxyz": (xyzw * np.array([1, -1, -1, 1]))[:, [3, 0, 1, 2]].astype(np.float32),
        "log_scales": scales.astype(np.float32) / 16 - 10,
        "opacity_logits": np.log(opacity / (1 - opacity)).astype(np.float32),
        "sh": np.concatenate(
            [((colours / 255 - 0.5) / _COLOUR_SCALE)[:, None], sh * _FLIPS[: sh.shape[1], None]], axis=1
        ).astype(np.float32),
    }
    return SplatFile(gaussians=finite_gaussians(path, arrays), antialiased=bool(flags & _ANTIALIASED))


def _streams(data: bytes, toc: int, count: int, sizes: list[int]) -> list[bytes]:
    """The attribute streams of version 4, none longer than it must be. The last may be missing without harmonics."""
    decompress = _zstd()
    place, parts = toc + count * _TOC.size, []
    if not _HEADER.size <= toc <= place <= len(data):
        raise ValueError("its table of contents lies outside")
    for number, size in enumerate(sizes):
        packed, unpacked = _TOC.unpack_from(data, toc + number * _TOC.size) if number < count else (0, 0)
        if unpacked != size or packed > len(data) - place:
            raise ValueError("its streams are too short, or longer than its Gaussians")
        parts.append(decompress(data[place : place + packed], size) if size else b"")
        place += packed
    return parts


def _zstd() -> Callable[[bytes, int], bytes]:
    """Decompress bytes to at most that many."""
    try:
        from zstandard import ZstdDecompressor, ZstdError
    except ImportError as error:
        raise InputError(
            "SPZ of version 4 is compressed with zstd, which needs a package: pip install zstandard, or export a .ply."
        ) from error

    def decompress(data: bytes, size: int) -> bytes:
        try:
            found: bytes = ZstdDecompressor().stream_reader(data).read(size)
        except ZstdError as error:
            raise ValueError(f"a stream is broken ({error})") from error
        return found

    return decompress


def _fixed_point(values: UInt8[np.ndarray, "n 9"], fraction_bits: int) -> Float[np.ndarray, "n 3"]:
    """24-bit signed integers, the lowest byte first."""
    low, middle, high = values.reshape(-1, 3, 3).transpose(2, 0, 1).astype(np.int32)
    whole = low | middle << 8 | high << 16
    return (np.where(whole >= 1 << 23, whole - (1 << 24), whole) / (1 << fraction_bits)).astype(np.float32)


def _first_three(values: UInt8[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 4"]:
    """x y z; w >= 0 follows from the length."""
    xyz = values / 127.5 - 1
    return np.column_stack([xyz, np.sqrt(np.maximum(0, 1 - (xyz**2).sum(axis=1)))])


def _smallest_three(values: UInt8[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """Two bits say which of x y z w is the largest; the others have a sign and nine bits, the last one lowest."""
    word = np.ascontiguousarray(values).view("<u4")[:, 0].astype(np.int64)
    largest, rows = word >> 30, np.arange(len(word))
    xyzw = np.zeros((len(word), 4))
    for component in (3, 2, 1, 0):
        here = largest != component
        size = (word & 511) / 511 * np.sqrt(0.5)
        xyzw[:, component] = np.where(here, np.where(word & 512, -size, size), 0)
        word = np.where(here, word >> 10, word)
    xyzw[rows, largest] = np.sqrt(np.maximum(0, 1 - (xyzw**2).sum(axis=1)))
    return xyzw
