"""What a photo's EXIF block says about the camera: focal length and GPS position. Absent or broken entries are None."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gs_stereo.imaging.images import open_photo

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_FOCAL_MM, _FOCAL_35MM = 0x920A, 0xA405
_FOCAL_PLANE_X, _FOCAL_PLANE_UNIT, _PIXEL_X = 0xA20E, 0xA210, 0xA002
_MAKE, _MODEL = 0x010F, 0x0110
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _ALTITUDE_REF, _ALTITUDE = 1, 2, 3, 4, 5, 6
_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}
_FRAME_DIAGONAL_MM = math.hypot(36.0, 24.0)


@dataclass(frozen=True, kw_only=True)
class GpsPosition:
    """WGS84 position: degrees and metres above the ellipsoid (or sea level: cameras differ)."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float


@dataclass(frozen=True, kw_only=True)
class PhotoMetadata:
    """focal_over_edge: focal length over the longest edge of the photo, so it holds at every size."""

    camera: str
    focal_over_edge: float | None
    gps: GpsPosition | None


def read_metadata(path: Path) -> PhotoMetadata:
    """EXIF of a photo; InputError only if the file is no readable image."""
    with open_photo(path) as image:
        try:
            exif = image.getexif()
            main, detail, gps = dict(exif), exif.get_ifd(_EXIF_IFD), exif.get_ifd(_GPS_IFD)
        except Exception:  # broken metadata in a good photo: the photo counts
            main, detail, gps = {}, {}, {}
        longest, shortest = max(image.size), min(image.size)
    camera = " ".join(f"{main.get(_MAKE, '')} {main.get(_MODEL, '')}".replace("\0", " ").split())
    return PhotoMetadata(
        camera=camera, focal_over_edge=_focal_over_edge(detail, longest, shortest), gps=_gps_position(gps)
    )


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _focal_over_edge(detail: dict[int, Any], longest: int, shortest: int) -> float | None:
    """From the 35 mm equivalent (same diagonal, by CIPA DCG-001), else focal length and focal-plane resolution."""
    equivalent_mm = _number(detail.get(_FOCAL_35MM))
    if equivalent_mm is not None and equivalent_mm > 0:
        return _plausible(equivalent_mm / _FRAME_DIAGONAL_MM * math.hypot(longest, shortest) / longest)
    focal_mm, density = _number(detail.get(_FOCAL_MM)), _number(detail.get(_FOCAL_PLANE_X))
    unit_mm = _MM_PER_UNIT.get(detail.get(_FOCAL_PLANE_UNIT, 2))
    if focal_mm is None or density is None or unit_mm is None:
        return None
    stored_width = _number(detail.get(_PIXEL_X)) or longest
    return _plausible(focal_mm / unit_mm * density / stored_width)


def _plausible(focal_over_edge: float) -> float | None:
    return focal_over_edge if 0.1 < focal_over_edge < 20 else None


def _gps_position(gps: dict[int, Any]) -> GpsPosition | None:
    latitude = _degrees(gps.get(_LATITUDE), gps.get(_LATITUDE_REF), "S")
    longitude = _degrees(gps.get(_LONGITUDE), gps.get(_LONGITUDE_REF), "W")
    altitude = _number(gps.get(_ALTITUDE))
    if latitude is None or longitude is None or altitude is None:
        return None
    if abs(latitude) > 90 or abs(longitude) > 180 or (latitude, longitude) == (0.0, 0.0):
        return None
    below = gps.get(_ALTITUDE_REF) in (1, b"\x01")
    return GpsPosition(latitude_deg=latitude, longitude_deg=longitude, altitude_m=-altitude if below else altitude)


def _degrees(parts: Any, reference: Any, negative: str) -> float | None:
    if not isinstance(parts, tuple) or len(parts) != 3:
        return None
    numbers = [_number(part) for part in parts]
    if any(number is None for number in numbers):
        return None
    degrees, minutes, seconds = (number for number in numbers if number is not None)
    value = degrees + minutes / 60 + seconds / 3600
    return -value if reference == negative else value
