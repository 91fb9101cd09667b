"""Files made to do harm are refused with one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import INFO, make_sample
from exported import FINDERS, pairs_of

from gs_stereo.datasets.layouts.protocol import EXPORTERS, ExportJob
from gs_stereo.errors import InputError

KITTI, MIDDLEBURY = "training/calib_cam_to_cam/000000.txt", "2014/000000/calib.txt"


def written(folder: Path, layout: str) -> Path:
    sample = make_sample(0)
    sample = make_sample(0, np.minimum(sample.disparity, 200))
    EXPORTERS.load(layout)().write(folder, [sample], ExportJob(info=INFO))
    return folder


@pytest.mark.parametrize("layout", FINDERS)
def test_unchanged_is_fine(tmp_path: Path, layout: str) -> None:
    assert len(pairs_of(layout, written(tmp_path, layout))) == 1


@pytest.mark.parametrize(
    ("layout", "file", "text"),
    [
        ("kitti", KITTI, "P_rect_02: 1 2 3\nP_rect_03: 1 2 3\n"),
        ("kitti", KITTI, "P_rect_02: " + "nan " * 12 + "\nP_rect_03: " + "1 " * 12),
        ("kitti", KITTI, "P_rect_02: " + "0 " * 12 + "\nP_rect_03: " + "1 " * 12),
        ("kitti", KITTI, "P_rect_02: " + "1 " * 12 + "\n"),
        ("middlebury", MIDDLEBURY, "cam0=[1 2; 3]\ndoffs=0\nbaseline=1\n"),
        ("middlebury", MIDDLEBURY, "cam0=[0 0 0; 0 0 0; 0 0 1]\ndoffs=0\nbaseline=1\n"),
        ("middlebury", MIDDLEBURY, "cam0=[1 0 0; 0 1 0; 0 0 1]\ndoffs=inf\nbaseline=1\n"),
        ("middlebury", MIDDLEBURY, "cam0=[1 0 0; 0 1 0; 0 0 1]\ndoffs=0\nbaseline=inf\n"),
        ("middlebury", MIDDLEBURY, "cam0=[1 0 0; 0 1 0; 0 0 1]\ndoffs=0\n"),
        ("middlebury", MIDDLEBURY, "x" * 100_000),
    ],
)
def test_calibrations(tmp_path: Path, layout: str, file: str, text: str) -> None:
    (written(tmp_path, layout) / file).write_text(text)
    with pytest.raises(InputError, match=Path(file).name):
        pairs_of(layout, tmp_path)
