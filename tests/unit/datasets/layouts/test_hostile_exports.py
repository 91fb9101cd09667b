"""Archives and lists made to do harm are refused with one sentence, and nothing is written or followed."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import INFO, make_sample

from gs_stereo.datasets.layouts.protocol import EXPORTERS, ExportJob
from gs_stereo.errors import InputError

Change = Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]


def repacked(folder: Path, change: Change) -> Path:
    """A WebDataset whose members went through `change`."""
    EXPORTERS.load("webdataset")().write(folder, [make_sample(0)], ExportJob(info=INFO))
    path = folder / "train-000000.tar"
    with tarfile.open(path) as archive:
        members = [change(entry, archive.extractfile(entry).read()) for entry in archive]
    with tarfile.open(path, "w") as archive:
        for entry, data in members:
            if entry.isreg():
                entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return folder


def _on(suffix: str, change: Change) -> Change:
    return lambda entry, data: change(entry, data) if entry.name.endswith(suffix) else (entry, data)


def _renamed(name: str) -> Change:
    def change(entry: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
        entry.name = name
        return entry, data

    return change


def _link(entry: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, "/etc/passwd", 0
    return entry, b""


def _npy(values: np.ndarray, **settings: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, **settings)
    return stream.getvalue()


def _data(data: bytes) -> Change:
    return lambda entry, _: (entry, data)


HUGE = _npy(np.zeros((12, 20), np.float32)).replace(b"(12, 20)", b"(12000000, 20000000)")


@pytest.mark.parametrize(
    "change",
    [
        _on("disparity.npy", _renamed("../../evil.npy")),
        _on("disparity.npy", _renamed("/tmp/evil.npy")),
        _on("disparity.npy", _renamed("000000.DISPARITY.npy")),
        _on("left.png", _link),
        _on("disparity.npy", _data(_npy(np.array([{}], dtype=object), allow_pickle=True))),
        _on("disparity.npy", _data(HUGE)),
        _on("disparity.npy", _data(_npy(np.zeros((12, 21), np.float32)))),
        _on("disparity.npy", _data(_npy(np.zeros((12, 20), np.float64)))),
        _on("disparity.npy", _data(_npy(np.zeros((12, 20), np.int32)))),
        _on("disparity.npy", _data(_npy(np.zeros((12, 20), ">f4")))),
        _on("disparity.npy", _data(_npy(np.asfortranarray(np.zeros((12, 20), np.float32))))),
        _on("disparity.npy", _data(b"\x93NUMPY\x01\x00" + b"\xff" * 60)),
        _on("disparity.npy", lambda entry, data: (entry, data[:-4])),
        _on("json", _data(b"[" * 100_000)),
        _on("json", _data(b"{}")),
        _on("json", _data(b'{"intrinsics": [1], "baseline": 1, "metres_per_unit": 1}')),
        _on(
            "left.png",
            _data(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\0\0\0\0\0\0\0"),
        ),
        _on("right.png", lambda entry, data: (entry, data[: len(data) // 2])),
    ],
)
def test_webdataset(tmp_path: Path, change: Change) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(InputError):
        list(EXPORTERS.load("webdataset")().read(repacked(tmp_path / "x", change)))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_webdataset_unchanged_is_fine(tmp_path: Path) -> None:
    assert len(list(EXPORTERS.load("webdataset")().read(repacked(tmp_path, lambda entry, data: (entry, data))))) == 1


@pytest.mark.parametrize("cut", [1, 512, 1024, 5000])
def test_webdataset_cut_short(tmp_path: Path, cut: int) -> None:
    EXPORTERS.load("webdataset")().write(tmp_path, [make_sample(0)], ExportJob(info=INFO))
    path = tmp_path / "train-000000.tar"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError):
        list(EXPORTERS.load("webdataset")().read(tmp_path))


@pytest.mark.parametrize("line", ["a b c d", "../l c r d a", "/etc/passwd c r d a", "a b c d e f"])
def test_nerf_stereo_list(tmp_path: Path, line: str) -> None:
    (tmp_path / "train.txt").write_text(line + "\n")
    with pytest.raises(InputError, match="five paths"):
        list(EXPORTERS.load("nerf-stereo")().read(tmp_path))


@pytest.mark.parametrize(
    ("layout", "file", "text"),
    [
        ("kitti", "training/calib_cam_to_cam/000000.txt", "P_rect_02: 1 2 3\nP_rect_03: 1 2 3\n"),
        ("kitti", "training/calib_cam_to_cam/000000.txt", "P_rect_02: " + "nan " * 12 + "\nP_rect_03: " + "1 " * 12),
        ("middlebury", "2014/000000/calib.txt", "cam0=[1 2; 3]\nbaseline=1\n"),
        ("middlebury", "2014/000000/calib.txt", "cam0=[0 0 0; 0 0 0; 0 0 1]\nbaseline=1\n"),
        ("middlebury", "2014/000000/calib.txt", "x" * 100_000),
    ],
)
def test_calibrations(tmp_path: Path, layout: str, file: str, text: str) -> None:
    exporter, sample = EXPORTERS.load(layout)(), make_sample(0)
    small = np.minimum(sample.disparity, 200)
    object.__setattr__(sample, "disparity", small)
    exporter.write(tmp_path, [sample], ExportJob(info=INFO))
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError):
        list(exporter.read(tmp_path))
