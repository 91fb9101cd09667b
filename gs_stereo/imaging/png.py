"""PNGs that hold data: gray ones of 8 or 16 bits (masks, confidence, disparity in steps), and pictures as bytes.

Read with care: the header must be of the expected kind and size before anything is decoded. The same values give the
same bytes.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16

from gs_stereo.core.atomic import write_bytes
from gs_stereo.errors import InputError

MAX_PIXELS = 1 << 27
_HEADER = struct.Struct(">8s4x4sIIBBxxx")
_CHUNK = struct.Struct(">I4s")
_MAGIC = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2}  # channels: gray, RGB


def read_gray_png(path: Path, *, bits: int) -> UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]:
    """The values of a gray PNG of exactly `bits` (8 or 16). InputError if it is anything else, broken or huge."""
    return _decode(read_file(path), path, bits, 1)


def write_gray_png(path: Path, values: UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]) -> None:
    """Write a map of uint8 or uint16 as gray PNG of the same depth; atomic, the same bytes for the same values."""
    import cv2

    if values.ndim != 2 or values.size == 0 or values.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path} cannot hold {values.dtype}{values.shape}; give an (H, W) map of uint8 or uint16.")
    _, data = cv2.imencode(".png", values)
    write_bytes(path, data.tobytes())


def decode_rgb_png(data: bytes, where: Path | str) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels of an 8-bit RGB PNG in memory; InputError, naming `where`, if it is anything else."""
    return np.ascontiguousarray(_decode(data, where, 8, 3)[:, :, ::-1])


def read_file(path: Path) -> bytes:
    """All bytes of a file; InputError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}; check that it is there.") from error


def check_size(path: Path | str, width: int, height: int) -> None:
    """InputError if an image claims a size that no sensible file has."""
    if not (width > 0 and height > 0 and width * height <= MAX_PIXELS):
        raise InputError(f"{path} claims to be {width}x{height} pixels, which is out of range; check the file.")


def _decode(data: bytes, where: Path | str, bits: int, channels: int) -> Any:
    import cv2

    header = data[: _HEADER.size]
    if len(header) < _HEADER.size or not header.startswith(_MAGIC) or header[12:16] != b"IHDR":
        raise InputError(f"{where} is no PNG file; check the file.")
    _, _, width, height, depth, colour = _HEADER.unpack(header)
    if (depth, colour) != (bits, _COLOUR_TYPES[channels]):
        kind = "gray" if channels == 1 else "RGB"
        raise InputError(f"{where} is the wrong kind of PNG (it must be a {bits}-bit {kind} PNG); check the file.")
    check_size(where, width, height)
    if not _is_whole(data):
        raise InputError(f"{where} is a truncated or broken PNG; copy it again.")
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        values = None
    shape = (height, width) if channels == 1 else (height, width, channels)
    if values is None or values.shape != shape or values.dtype != np.dtype(f"uint{bits}"):
        raise InputError(f"{where} is a truncated or broken PNG; copy it again.")
    return values


def _is_whole(data: bytes) -> bool:
    """True if every chunk is there with its checksum, up to the end mark. Decoders let missing rows pass as black."""
    position = len(_MAGIC)
    while position + _CHUNK.size <= len(data):
        size, kind = _CHUNK.unpack_from(data, position)
        end = position + _CHUNK.size + size
        checksum = int.from_bytes(data[end : end + 4], "big")
        if zlib.crc32(data[position + 4 : end]) != checksum:
            return False
        if kind == b"IEND":
            return end + 4 == len(data)
        position = end + 4
    return False
