"""PNGs that hold data: exact values, and nothing but the expected kind is decoded."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gs_stereo.errors import InputError
from gs_stereo.imaging.png import read_gray16_png, write_gray_png

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_gray_values_come_back(tmp_path: Path, kind: type) -> None:
    values = RNG.integers(0, np.iinfo(kind).max, (7, 11), dtype=kind, endpoint=True)
    write_gray_png(tmp_path / "a.png", values)
    again = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert again.dtype == values.dtype
    np.testing.assert_array_equal(again, values)
    if kind == np.uint16:
        np.testing.assert_array_equal(read_gray16_png(tmp_path / "a.png"), values)


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.zeros((2, 2, 3), np.uint8), np.zeros((0, 2), np.uint8)])
def test_what_is_no_gray_map_is_refused(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(InputError, match="cannot hold"):
        write_gray_png(tmp_path / "a.png", values)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    write_gray_png(tmp_path / "a.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(InputError, match="16-bit gray"):
        read_gray16_png(tmp_path / "a.png")
    cv2.imwrite(str(tmp_path / "rgb.png"), np.zeros((2, 2, 3), np.uint16))
    with pytest.raises(InputError, match="16-bit gray"):
        read_gray16_png(tmp_path / "rgb.png")
    with pytest.raises(InputError, match="Cannot read"):
        read_gray16_png(tmp_path / "none.png")


def test_every_shortened_or_flipped_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_gray_png(path, RNG.integers(0, 65536, (4, 5), dtype=np.uint16))
    data = path.read_bytes()
    damaged = [data[:size] for size in range(len(data))] + [data + b"x"]
    damaged += [data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] for place in range(len(data))]
    for broken in damaged:
        path.write_bytes(broken)
        with pytest.raises(InputError):
            read_gray16_png(path)
