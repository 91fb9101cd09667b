"""EXIF focal length and GPS position, and metadata that is broken."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gs_stereo.imaging.exif import read_metadata


def photo(path: Path, detail: dict[int, Any] | None = None, gps: dict[int, Any] | None = None) -> Path:
    exif = Image.Exif()
    exif[0x0110] = "Camera One"
    exif.get_ifd(0x8769).update(detail or {})
    exif.get_ifd(0x8825).update(gps or {})
    Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8)).save(path, exif=exif)
    return path


def test_35mm_equivalent_has_the_same_diagonal(tmp_path: Path) -> None:
    found = read_metadata(photo(tmp_path / "a.jpg", {0xA405: 50}))
    assert found.camera == "Camera One"
    assert found.focal_over_edge == pytest.approx(50 / math.hypot(36, 24) * math.hypot(30, 20) / 30)


def test_focal_plane_resolution_is_the_second_choice(tmp_path: Path) -> None:
    detail = {0x920A: 5.4, 0xA20E: 8114.28, 0xA210: 2, 0xA002: 1600}
    found = read_metadata(photo(tmp_path / "a.jpg", detail))
    assert found.focal_over_edge == pytest.approx(5.4 / 25.4 * 8114.28 / 1600, rel=1e-4)


@pytest.mark.parametrize("detail", [{}, {0xA405: 0}, {0x920A: 5.4}, {0xA405: 60000}])
def test_no_usable_focal_length(tmp_path: Path, detail: dict[int, Any]) -> None:
    assert read_metadata(photo(tmp_path / "a.jpg", detail)).focal_over_edge is None


def dms(degrees: float) -> tuple[Fraction, Fraction, Fraction]:
    whole, minutes = int(degrees), int(degrees % 1 * 60)
    seconds = round((degrees - whole - minutes / 60) * 3600, 4)
    return Fraction(whole), Fraction(minutes), Fraction(str(seconds))


def test_gps_in_the_south_west_below_sea(tmp_path: Path) -> None:
    gps = {1: "S", 2: dms(33.8568), 3: "W", 4: dms(70.2153), 5: b"\x01", 6: 12.5}
    found = read_metadata(photo(tmp_path / "a.jpg", gps=gps)).gps
    assert found is not None
    assert (found.latitude_deg, found.longitude_deg) == pytest.approx((-33.8568, -70.2153), abs=1e-6)
    assert found.altitude_m == pytest.approx(-12.5)


@pytest.mark.parametrize("gps", [{}, {1: "N", 2: dms(10), 3: "E", 4: dms(10)}, {2: dms(0), 4: dms(0), 6: 1.0}])
def test_incomplete_gps_is_none(tmp_path: Path, gps: dict[int, Any]) -> None:
    assert read_metadata(photo(tmp_path / "a.jpg", gps=gps)).gps is None


def test_broken_exif_is_empty_metadata(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8))
    image.save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    found = read_metadata(tmp_path / "a.jpg")
    assert (found.camera, found.focal_over_edge, found.gps) == ("", None, None)
