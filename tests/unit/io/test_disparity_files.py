"""PFM and PNGs of steps: NaN at the boundary, byte orders, and malformed files."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from gs_stereo.errors import InputError
from gs_stereo.io.disparity_files import read_pfm, read_steps_png, write_pfm, write_steps_png

MAP = np.array([[0.0, 1.25, np.nan], [3.5, 100.0, 255.5]], np.float32)


def test_pfm_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "d.pfm"
    write_pfm(path, MAP)
    header, values = path.read_bytes()[:-24], np.frombuffer(path.read_bytes()[-24:], "<f4")
    assert header == b"Pf\n3 2\n-1.0\n"
    assert values.tolist() == [3.5, 100.0, 255.5, 0.0, 1.25, np.inf]  # bottom row first
    np.testing.assert_array_equal(read_pfm(path), MAP)
    positive = read_pfm(path, positive_only=True)
    np.testing.assert_array_equal(positive, np.where(MAP > 0, MAP, np.nan))
    write_pfm(path, -MAP)
    assert np.isnan(read_pfm(path, positive_only=True)).all()


def test_pfm_of_others(tmp_path: Path) -> None:
    path = tmp_path / "d.pfm"
    path.write_bytes(b"Pf\r\n2 1\r\n1.0\r\n" + struct.pack(">2f", 7, -np.inf))
    np.testing.assert_array_equal(read_pfm(path), [[7, np.nan]])
    path.write_bytes(b"Pf 1 2 -1\n" + struct.pack("<2f", 4, 1))
    np.testing.assert_array_equal(read_pfm(path), [[1], [4]])


def test_pfm_value_bytes_that_look_like_white_space(tmp_path: Path) -> None:
    path = tmp_path / "d.pfm"
    path.write_bytes(b"Pf\n1 1\n-1\n" + b"\n\n\n\n")
    assert read_pfm(path).shape == (1, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P5\n1 1\n-1\n0000",
        b"PF\n1 1\n-1\n000000000000",  # of colours
        b"Pf\n1 1\n0\n0000",
        b"Pf\n1 1\nnan\n0000",
        b"Pf\n1 1\n1e999\n0000",
        b"Pf\n1 1\n--\n0000",
        b"Pf\n-1 1\n-1\n0000",
        b"Pf\n0 1\n-1\n",
        b"Pf\n999999999 999999999\n-1\n0000",
        b"Pf\n99999999999999999999 1\n-1\n0000",
        b"Pf\n1 1\n-1\n000",
        b"Pf\n1 1\n-1\n00000",
        b"Pf\n1 1\n-1",
        b"Pf\n" + b" " * 100_000,
    ],
)
def test_malformed_pfm(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.pfm"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"bad\.pfm"):
        read_pfm(path)


def test_steps_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "d.png"
    write_steps_png(path, MAP, 256)
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).tolist() == [[1, 320, 0], [896, 25600, 65408]]
    expected = MAP.copy()
    expected[0, 0] = 1 / 256  # a known disparity of 0 stays known
    np.testing.assert_array_equal(read_steps_png(path, 256), expected)


@pytest.mark.parametrize("values", [[[256.0]], [[-1.0]], [[np.inf]], [1.0], np.zeros((0, 3))])
def test_steps_cannot_hold(tmp_path: Path, values: object) -> None:
    with pytest.raises(InputError, match="PFM instead"):
        write_steps_png(tmp_path / "d.png", np.array(values, np.float32), 256)
    assert not list(tmp_path.iterdir())


def test_malformed_steps(tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    write_steps_png(path, np.random.default_rng(0).uniform(1, 200, (40, 40)), 256)
    good = path.read_bytes()
    huge = good[:16] + struct.pack(">II", 1 << 30, 1 << 30) + good[24:]
    eight_bit = cv2.imencode(".png", np.ones((4, 4), np.uint8))[1].tobytes()
    colour = cv2.imencode(".png", np.ones((4, 4, 3), np.uint16))[1].tobytes()
    for data in (b"", b"\x89PNG", b"GIF89a" * 10, good[:33], huge, eight_bit, colour):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"bad\.png"):
            read_steps_png(path, 256)


def test_missing_file(tmp_path: Path) -> None:
    for read in (read_pfm, lambda path: read_steps_png(path, 256)):
        with pytest.raises(InputError, match="Cannot read"):
            read(tmp_path / "none")
