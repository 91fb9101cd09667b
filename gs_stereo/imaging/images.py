"""Photos and other 8-bit colour images: read with care, written as PNG, resized by area.

Photos are decoded by Pillow and by content, never by name, and only in the formats listed here. Colour profiles are
not applied: values are taken as sRGB. Resizing keeps the image plane [0, W] x [0, H], so `Camera.resized` fits it.
"""

from __future__ import annotations

import io
import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, UInt8

from gs_stereo.core.atomic import write_bytes
from gs_stereo.core.foreign import what_it_is_instead
from gs_stereo.errors import InputError, StageError

if TYPE_CHECKING:
    from PIL import Image

_HEIC_SUFFIXES = frozenset({".heic", ".heif"})
PHOTO_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}) | _HEIC_SUFFIXES
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
OUTPUT_FOLDERS = frozenset({"gsstereo"})
_NO_PHOTO_FOLDER = re.compile(
    r"images?_\d+|masks?|depths?|normals?|segmentations?|semantics?|sparse|dense|stereo|colmap|undistorted|renders?|output"
)
"""Folders beside photos that hold smaller copies, maps of other kinds, or results of programs."""
OTHER_PHOTO_SUFFIXES = frozenset({".avif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".rw2", ".orf", ".jxl"})
"""Photos that cannot be decoded here: of some phones, and raw ones of cameras."""
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
"""Major brands of ISO/IEC 23008-12, annex B."""
_PNG_COMPRESSION = 3
_MOST_PIXELS = 512 * 10**6  # phones have 200 since 2022; a small file must not ask for all memory
_UINT8_FROM_UINT16 = 257.0
_ROTATED_BY_QUARTER = frozenset({5, 6, 7, 8})
_ORIENTATION_TAG = 0x0112


def list_photos(folder: Path, skip_folders: Collection[str] = OUTPUT_FOLDERS) -> list[Path]:
    """Every photo below `folder`, chosen by suffix and sorted by relative path.

    Hidden files and folders, folders named in `skip_folders`, links to folders or to nothing, and folders that hold
    smaller copies (`images_4`), masks, depth or results of other programs are left out, and HEIC photos that lie
    beside a converted copy of the same name.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; name the folder that holds the photos.")
    found = []
    for root, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = [
            name
            for name in folders
            if not (name.startswith(".") or name in skip_folders or _NO_PHOTO_FOLDER.fullmatch(name.lower()))
        ]
        shown = (name for name in files if not name.startswith("."))
        paths = [Path(root, name) for name in shown if Path(name).suffix.lower() in PHOTO_SUFFIXES]
        found += [path for path in paths if path.exists()]
    stems = {path.with_suffix("") for path in found if path.suffix.lower() not in _HEIC_SUFFIXES}
    kept = [path for path in found if path.suffix.lower() not in _HEIC_SUFFIXES or path.with_suffix("") not in stems]
    return sorted(kept, key=lambda path: path.relative_to(folder).as_posix())


def videos_of_live_photos(folder: Path) -> frozenset[Path]:
    """The videos that phones save with photos: `.mov` files beside a photo of the same name."""
    photos = {path.with_suffix("") for path in list_photos(folder)}
    return frozenset(
        path for path in folder.rglob("*") if path.suffix.lower() == ".mov" and path.with_suffix("") in photos
    )


def _unreadable(error: OSError) -> None:
    raise InputError(f"The folder {error.filename} cannot be read ({error.strerror}); change its permissions.")


def unused_files(folder: Path) -> str | None:
    """A sentence about photos and videos of a photo folder that cannot be used as they are; None if there are none."""
    live = videos_of_live_photos(folder)
    visible = [path for path in folder.rglob("*") if not path.name.startswith(".") and path not in live]
    suffixes = Counter(path.suffix.lower() for path in visible)
    photos = {suffix: count for suffix, count in sorted(suffixes.items()) if suffix in OTHER_PHOTO_SUFFIXES}
    videos = {suffix: count for suffix, count in sorted(suffixes.items()) if suffix in VIDEO_SUFFIXES}
    told = []
    if photos:
        counted = ", ".join(f"{count} {suffix}" for suffix, count in photos.items())
        told.append(f"{counted} files are not used: convert them to JPEG or PNG")
    if videos:
        counted = ", ".join(f"{count} {suffix}" for suffix, count in videos.items())
        told.append(f"{counted} videos are not used: give one with --images")
    if dead := sum(path.suffix.lower() in PHOTO_SUFFIXES and not path.exists() for path in visible):
        told.append(f"{dead} links to photos that are not there are left out")
    if live:
        told.append(f"{len(live)} videos belong to Live Photos and are left out")
    return f"In {folder} {'; '.join(told)}." if told else None


@contextmanager
def open_photo(path: Path) -> Iterator[Image.Image]:
    """A photo opened but not decoded; whatever goes wrong with the file inside the block is an InputError."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about odd metadata and, below its limit, about large images
        Image.MAX_IMAGE_PIXELS = _MOST_PIXELS // 2  # Pillow refuses what has more than twice as many
        _prepare_heic(path)
        formats = (*_FORMATS, "HEIF") if "HEIF" in Image.OPEN else _FORMATS
        try:
            # A stream, not the path: Pillow maps files into memory, and then does not turn the pixels of a TIFF.
            with path.open("rb") as stream, Image.open(stream, formats=formats) as image:
                yield image
        except InputError:
            raise
        except Exception as error:  # decoders raise nearly anything on hostile bytes; all of it means: broken file
            raise InputError(
                f"The photo {path} cannot be read ({_reason(path, error)}); replace or remove it."
            ) from error


def _prepare_heic(path: Path) -> None:
    """Give Pillow its HEIC decoder for a HEIC file; InputError if it is not installed."""
    try:
        with path.open("rb") as stream:
            start = stream.read(12)
    except OSError:
        return  # Pillow says why
    if start[4:8] != b"ftyp" or start[8:] not in _HEIC_BRANDS:
        return
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise InputError(
            f"The photo {path} is HEIC, which needs an extra: pip install 'gs_stereo[heic]', or convert it to JPEG."
        ) from error
    register_heif_opener()


def _reason(path: Path, error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if instead := what_it_is_instead(path):
        return instead
    if isinstance(error, UnidentifiedImageError):
        return "it is no JPEG, PNG, TIFF, WebP, BMP or HEIC image"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {_MOST_PIXELS // 10**6} megapixels; shrink it"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def read_photo(path: Path, *, upright: bool = True) -> UInt8[np.ndarray, "h w 3"]:
    """Decode a photo to sRGB, turned upright by its EXIF orientation (or as stored, with `upright=False`).

    8 and 16 bit, gray, palette, CMYK and transparent images are converted (alpha is left to imaging/masks.py);
    InputError if the file is missing, broken, truncated, too large, or holds floating-point values.
    """
    from PIL import ImageOps

    with open_photo(path) as image:
        size = image.size
        image.load()
        if image.size != size:  # a TIFF, which Pillow turns itself
            raise ValueError("its orientation is broken")
        turned = ImageOps.exif_transpose(image) if upright and orientation_of(image) != 1 else image
        return np.ascontiguousarray(_to_rgb(path, turned))


def _to_rgb(path: Path, image: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    if image.mode == "F":
        raise InputError(f"The photo {path} holds floating-point values; convert it to 8 or 16 bits.")
    if image.mode.startswith("I"):
        values = np.clip(np.asarray(image).astype(np.float64), 0, 65535) / _UINT8_FROM_UINT16
        return np.repeat(np.rint(values).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 where the metadata is absent or broken, because the pixels are still good."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def photo_size(path: Path, *, upright: bool = True) -> tuple[int, int]:
    """Width and height that `read_photo` would give, from the header, without decoding."""
    with open_photo(path) as image:
        width, height = image.size
        turned_by_pillow = image.format == "TIFF"
        if upright and not turned_by_pillow and orientation_of(image) in _ROTATED_BY_QUARTER:
            return height, width
        return width, height


def write_png(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write an sRGB image as PNG: atomic, without metadata, the same bytes for the same pixels."""
    write_bytes(path, png_bytes(path, image))


def write_png_with_alpha(path: Path, image: UInt8[np.ndarray, "h w 3"], opaque: Bool[np.ndarray, "h w"]) -> None:
    """The same with an alpha channel: nothing is there where it is not opaque."""
    from PIL import Image

    alpha = np.where(opaque, np.uint8(255), np.uint8(0))
    with io.BytesIO() as file:
        Image.fromarray(np.dstack([image, alpha])).save(file, "PNG")
        write_bytes(path, file.getvalue())


def png_bytes(path: Path | str, image: UInt8[np.ndarray, "h w 3"], compression: int = _PNG_COMPRESSION) -> bytes:
    """An sRGB image as the bytes of a PNG, without metadata; `path` is where it will go, compression zlib's level."""
    import cv2

    done, data = cv2.imencode(".png", image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, compression])
    if not done:
        raise StageError(f"The image for {path} of shape {image.shape} cannot be encoded; check its size.")
    return bytes(data.tobytes())


def resize_to(image: UInt8[np.ndarray, "h w 3"], width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    """The image at another size: pixel areas are averaged when shrinking, linear interpolation when growing."""
    import cv2

    if (width, height) == (image.shape[1], image.shape[0]):
        return image
    shrinks = width <= image.shape[1] and height <= image.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: UInt8[np.ndarray, "h w 3"] = cv2.resize(image, (width, height), interpolation=method)
    return resized


def fitting_scale(width: int, height: int, max_edge_px: int) -> float:
    """The factor, at most 1, that brings the longest edge down to `max_edge_px`."""
    return min(1.0, max_edge_px / max(width, height))


def fitting_size(width: int, height: int, max_edge_px: int) -> tuple[int, int]:
    """Width and height after `shrink_to_edge`: whole pixels only, so nothing beyond the image is needed."""
    scale = fitting_scale(width, height, max_edge_px)
    return max(1, math.floor(width * scale + 1e-6)), max(1, math.floor(height * scale + 1e-6))


def nearest_size(width: int, height: int, max_edge_px: int) -> tuple[int, int]:
    """The whole width and height nearest to that shape within `max_edge_px`: to look at; K is not scaled exactly."""
    scale = fitting_scale(width, height, max_edge_px)
    return max(1, round(width * scale)), max(1, round(height * scale))


def shrink_to_edge(image: UInt8[np.ndarray, "h w 3"], max_edge_px: int) -> UInt8[np.ndarray, "h w 3"]:
    """Shrink by one factor in both directions (`fitting_scale`), so that a square pixel stays square.

    The part of the last row or column that fills no whole pixel is cut off; K becomes diag(s, s, 1) K exactly.
    """
    import cv2

    height, width = image.shape[:2]
    scale = fitting_scale(width, height, max_edge_px)
    if scale == 1.0:
        return image
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    fitted_width, fitted_height = fitting_size(width, height, max_edge_px)
    return np.ascontiguousarray(small[:fitted_height, :fitted_width])
