"""PNGs that hold data: exact values, and nothing but the expected kind is decoded."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gs_stereo.errors import InputError
from gs_stereo.imaging.images import png_bytes
from gs_stereo.imaging.png import decode_rgb_png, read_gray_png, write_gray_png

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_gray_values_come_back(tmp_path: Path, kind: type) -> None:
    values = RNG.integers(0, np.iinfo(kind).max, (7, 11), dtype=kind, endpoint=True)
    write_gray_png(tmp_path / "a.png", values)
    again = read_gray_png(tmp_path / "a.png", bits=8 * values.itemsize)
    assert again.dtype == values.dtype
    np.testing.assert_array_equal(again, values)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"), -1), values)


def test_rgb_values_come_back() -> None:
    image = RNG.integers(0, 256, (7, 11, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode_rgb_png(png_bytes("a", image), "a"), image)


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.zeros((2, 2, 3), np.uint8), np.zeros((0, 2), np.uint8)])
def test_what_is_no_gray_map_is_refused(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(InputError, match="cannot hold"):
        write_gray_png(tmp_path / "a.png", values)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    write_gray_png(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(InputError, match="16-bit gray"):
        read_gray_png(tmp_path / "a.png", bits=16)
    with pytest.raises(InputError, match="8-bit RGB"):
        decode_rgb_png((tmp_path / "a.png").read_bytes(), "a")
    with pytest.raises(InputError, match="Cannot read"):
        read_gray_png(tmp_path / "none.png", bits=8)


def test_every_shortened_or_flipped_file_is_refused() -> None:
    data = png_bytes("a", RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    damaged = [data[:size] for size in range(len(data))] + [data + b"x"]
    damaged += [data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] for place in range(len(data))]
    for broken in damaged:
        with pytest.raises(InputError):
            decode_rgb_png(broken, "a")
