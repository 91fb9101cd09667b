"""Middlebury 2014: a folder a pair with `im0.png`, `im1.png`, `disp0.pfm`, `mask0nocc.png` and `calib.txt`.

Scharstein et al., High-resolution stereo datasets with subpixel-accurate ground truth, GCPR 2014, and the file formats
of its web page. Disparity is float32, infinity where there is no label. The mask (of the evaluation's version 3) is 255
where both eyes see a labelled pixel, 128 where only the left one does, 0 without a label. `im1E.png` and `im1L.png`
(other exposure, other light) are links to `im1.png`, because loaders of the 2014 set open all three.

calib.txt: cameras with pixel centres at whole numbers; z = baseline f / (d + doffs) in mm. baseline is nan where the
scale is unknown; a last line of our own, baseline_units, has it in scene units.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gs_stereo.core.atomic import write_text
from gs_stereo.datasets.layouts.parts import find_files, read_image, read_text, same_size, visible_pixels
from gs_stereo.datasets.layouts.protocol import ExportedSample, ExportJob, Holds
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import intrinsics_from_opencv, intrinsics_to_opencv
from gs_stereo.imaging.images import write_png
from gs_stereo.imaging.png import read_gray_png, write_gray_png
from gs_stereo.io.disparity_files import read_pfm, write_pfm

_ROOT = Path("2014")
_SEEN_BY_BOTH, _SEEN_BY_LEFT = 255, 128
_MM_PER_M = 1000.0


class MiddleburyExporter:
    """The layout of the Middlebury 2014 scenes."""

    name = "middlebury"
    holds = Holds(
        files=(
            ("2014/000000/im0.png", "left image"),
            ("2014/000000/im1.png", "right image; im1E.png and im1L.png are the same file"),
            ("2014/000000/disp0.pfm", "disparity of the left image, float32 px"),
            ("2014/000000/mask0nocc.png", "255 both eyes see the pixel, 128 only the left one, 0 no label"),
            ("2014/000000/calib.txt", "cameras (pixel centres at whole numbers), doffs 0, baseline in mm, size, ndisp"),
        ),
        unknown="infinity",
        visibility=True,
        camera=True,
    )

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        names = []
        for number, sample in enumerate(samples):
            name = f"{number:06d}"
            place = folder / _ROOT / name
            write_png(place / "im0.png", sample.left)
            write_png(place / "im1.png", sample.right)
            for other in ("im1E.png", "im1L.png"):
                _link(place / "im1.png", place / other)
            write_pfm(place / "disp0.pfm", sample.disparity)
            only_left = np.where(np.isfinite(sample.disparity), _SEEN_BY_LEFT, 0)
            mask = np.where(visible_pixels(sample), _SEEN_BY_BOTH, only_left)
            write_gray_png(place / "mask0nocc.png", mask.astype(np.uint8))
            write_text(place / "calib.txt", _calibration(sample, job.metres_per_unit))
            names.append(name)
        return names

    def read(self, folder: Path) -> Iterator[ExportedSample]:
        for path in find_files(folder, "2014/*/im0.png"):
            place, left = path.parent, read_image(path)
            disparity = read_pfm(place / "disp0.pfm")
            mask = read_gray_png(place / "mask0nocc.png", bits=8)
            same_size(place / "disp0.pfm", disparity, left)
            same_size(place / "mask0nocc.png", mask, left)
            if disparity.ndim != 2 or (disparity < 0).any():
                raise InputError(f"{place / 'disp0.pfm'} is no disparity map; export again.")
            intrinsics, baseline_m = _read_calibration(place / "calib.txt")
            yield ExportedSample(
                name=place.name,
                left=left,
                right=read_image(place / "im1.png", left),
                disparity=disparity,
                visible=mask == _SEEN_BY_BOTH,
                intrinsics=intrinsics,
                baseline_m=baseline_m,
            )


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _calibration(sample: ShardSample, metres_per_unit: float) -> str:
    height, width = sample.disparity.shape
    known = sample.disparity[np.isfinite(sample.disparity)]
    least, most = (int(np.floor(known.min())), int(np.ceil(known.max()))) if known.size else (0, 0)
    fields: Mapping[str, object] = {
        "cam0": _matrix_text(intrinsics_to_opencv(sample.intrinsics)),
        "cam1": _matrix_text(intrinsics_to_opencv(sample.intrinsics)),
        "doffs": 0,
        "baseline": repr(float(sample.baseline * metres_per_unit * _MM_PER_M)),
        "width": width,
        "height": height,
        "ndisp": most + 1,
        "isint": 0,
        "vmin": least,
        "vmax": most,
        "dyavg": 0,
        "dymax": 0,
        "baseline_units": repr(float(sample.baseline)),
    }
    return "".join(f"{name}={value}\n" for name, value in fields.items())


def _matrix_text(matrix: Float[np.ndarray, "3 3"]) -> str:
    return "[" + "; ".join(" ".join(f"{value!r}" for value in row) for row in matrix.tolist()) + "]"


def _read_calibration(path: Path) -> tuple[Float[np.ndarray, "3 3"], float]:
    """K with pixel centres at + 0.5, and the baseline in metres."""
    fields = dict(re.findall(r"^(\w+)=(.*)$", read_text(path), flags=re.MULTILINE))
    try:
        rows = fields["cam0"].strip().strip("[]").split(";")
        camera = np.array([row.split() for row in rows], dtype=np.float64).reshape(3, 3)
        baseline_m = float(fields["baseline"]) / _MM_PER_M
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} has no cam0 and baseline; export again.") from error
    if not (np.isfinite(camera).all() and camera[0, 0] > 0):
        raise InputError(f"{path} holds no camera in cam0; export again.")
    return intrinsics_from_opencv(camera), baseline_m
