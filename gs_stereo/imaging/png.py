"""Gray PNGs that hold numbers: masks and confidence (8 or 16 bits), disparity in steps (16 bits).

Read with care: the header must be of the expected kind and size before anything is decoded. The same values give the
same bytes.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16

from gs_stereo.core.atomic import write_bytes
from gs_stereo.errors import InputError, unreadable

MAX_PIXELS = 1 << 27
_HEADER = struct.Struct(">8s4x4sIIBBxxx")
_CHUNK = struct.Struct(">I4s")
_MAGIC = b"\x89PNG\r\n\x1a\n"
_GRAY16 = (16, 0)  # bits, colour type


def read_gray16_png(path: Path) -> UInt16[np.ndarray, "h w"]:
    """The values of a gray PNG of 16 bits. InputError if it is anything else, broken or huge."""
    import cv2

    data = read_file(path)
    header = data[: _HEADER.size]
    if len(header) < _HEADER.size or not header.startswith(_MAGIC) or header[12:16] != b"IHDR":
        raise InputError(f"{path} is no PNG file; check the file.")
    _, _, width, height, *kind = _HEADER.unpack(header)
    if tuple(kind) != _GRAY16:
        raise InputError(f"{path} is the wrong kind of PNG (it must be a 16-bit gray PNG); check the file.")
    check_size(path, width, height)
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if _is_whole(data) else None
    except cv2.error:
        values = None
    if values is None or values.shape != (height, width) or values.dtype != np.uint16:
        raise InputError(f"{path} is a truncated or broken PNG; copy it again.")
    return values


def write_gray_png(path: Path, values: UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"]) -> None:
    """Write a map of uint8 or uint16 as gray PNG of the same depth; atomic, the same bytes for the same values."""
    import cv2

    if values.ndim != 2 or values.size == 0 or values.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path} cannot hold {values.dtype}{values.shape}; give an (H, W) map of uint8 or uint16.")
    _, data = cv2.imencode(".png", values)
    write_bytes(path, data.tobytes())


def read_file(path: Path) -> bytes:
    """All bytes of a file; InputError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def check_size(path: Path, width: int, height: int) -> None:
    """InputError if an image claims a size that no sensible file has."""
    if not (width > 0 and height > 0 and width * height <= MAX_PIXELS):
        raise InputError(f"{path} claims to be {width}x{height} pixels, which is out of range; check the file.")


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
