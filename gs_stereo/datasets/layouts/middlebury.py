"""Middlebury's files (Scharstein et al., GCPR 2014; vision.middlebury.edu/stereo): the sets of 2014 and 2021, ETH3D.

A pair is a folder with im0.png, im1.png, disp0.pfm (or disp0GT.pfm), mask0nocc.png and calib.txt. Disparity is of the
left image, float32, infinity where it is unknown. The mask (of the evaluation's version 3) is 255 where both eyes see
a labelled pixel, 128 where only the left one does, 0 without a label. calib.txt: cameras with pixel centres at whole
numbers; z = baseline f / (d + doffs) in mm.

Exports have the layout of 2014. There `im1E.png` and `im1L.png` (other exposure, other light) are links to `im1.png`,
because loaders of that set open all three; baseline is nan where the scale is unknown, and a last line of our own,
baseline_units, has it in scene units.
"""

import os
import re
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gs_stereo.core.atomic import write_text
from gs_stereo.datasets.layouts.pair_files import (
    SEEN_BY_BOTH,
    Calibration,
    PairFiles,
    PairSource,
    calibration_from_opencv,
    read_text,
    sorted_sources,
)
from gs_stereo.datasets.layouts.protocol import ExportJob, Holds
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import intrinsics_to_opencv
from gs_stereo.imaging.images import write_png
from gs_stereo.imaging.png import write_gray_png
from gs_stereo.io.disparity_files import read_pfm, write_pfm

RESOLUTIONS = ("Q", "H", "F")
_TRUTHS = ("disp0GT.pfm", "disp0.pfm")
_EXPORT = "2014"
_SEEN_BY_LEFT = 128
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
        camera=True,
    )

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        names = []
        for number, sample in enumerate(samples):
            name = f"{number:06d}"
            place = folder / _EXPORT / name
            write_png(place / "im0.png", sample.left)
            write_png(place / "im1.png", sample.right)
            for other in ("im1E.png", "im1L.png"):
                _link(place / "im1.png", place / other)
            write_pfm(place / "disp0.pfm", sample.disparity)
            mask = np.where(sample.non_occluded, SEEN_BY_BOTH, _SEEN_BY_LEFT) * np.isfinite(sample.disparity)
            write_gray_png(place / "mask0nocc.png", mask.astype(np.uint8))
            write_text(place / "calib.txt", _calibration_text(sample, job.metres_per_unit))
            names.append(name)
        return names


def find_middlebury(root: Path, split: str | None = None) -> list[PairSource]:
    """The scenes of a resolution, in any of the layouts that lie on people's disks.

    <scene> may be at ROOT or below trainingQ, trainingH, trainingF (the evaluation kit, MiddEval3), data, or 2014.
    Without a split the smallest resolution that is there. Of 2021 only the first lighting and exposure is read.
    """
    places = (f"{kit}training{size}" for size in ([split] if split else RESOLUTIONS) for kit in ("", "MiddEval3/"))
    others = () if split and root.name != f"training{split}" else ("data", _EXPORT, ".")
    base = next((root / place for place in (*places, *others) if (root / place).is_dir()), None)
    if base is None:
        raise InputError(f"{root} has no folder training{split}; choose another --split or another --root.")
    scenes = {path.parent for truth in _TRUTHS for path in base.glob(f"*/{truth}")}
    where = f"{base} has no <scene>/im0.png, im1.png and disp0.pfm or disp0GT.pfm"
    return sorted_sources((_pair(scene, scene) for scene in scenes), where=where)


def find_eth3d(root: Path, split: str | None = None) -> list[PairSource]:
    """The scenes of ETH3D's low-resolution two-view benchmark (Schoeps et al., CVPR 2017; eth3d.net) with truth.

    They lie in ROOT/two_view_training/<scene> and ROOT/two_view_training_gt/<scene>, or both unpacked into
    ROOT/<scene>. There are no splits.
    """
    apart = (root / "two_view_training_gt").is_dir()
    images, truths = (root / "two_view_training", root / "two_view_training_gt") if apart else (root, root)
    pairs = (_pair(images / path.parent.name, path.parent) for path in truths.glob(f"*/{_TRUTHS[0]}"))
    return sorted_sources(pairs, where=f"{truths} has no <scene>/{_TRUTHS[0]}")


def _pair(images: Path, truth: Path) -> PairSource:
    calibration = images / "calib.txt"
    return PairFiles(
        name=images.name,
        left=images / "im0.png",
        right=images / "im1.png",
        disparity=next(truth / name for name in _TRUTHS if (truth / name).is_file()),
        read_disparity=partial(read_pfm, positive_only=True),
        mask=truth / "mask0nocc.png",
        calibration=partial(_read_calibration, calibration) if calibration.is_file() else None,
    ).source()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _calibration_text(sample: ShardSample, metres_per_unit: float) -> str:
    height, width = sample.disparity.shape
    known = sample.disparity[np.isfinite(sample.disparity)]
    least, most = (int(np.floor(known.min())), int(np.ceil(known.max()))) if known.size else (0, 0)
    fields = {
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
    return "[" + "; ".join(" ".join(map(repr, row)) for row in matrix.tolist()) + "]"


def _read_calibration(path: Path) -> Calibration:
    fields = dict(re.findall(r"^(\w+)=(.*)$", read_text(path), flags=re.MULTILINE))
    try:
        rows = fields["cam0"].strip().strip("[]").split(";")
        matrix = np.array([row.split() for row in rows], dtype=np.float64).reshape(3, 3)
        baseline_m, doffs = float(fields["baseline"]) / _MM_PER_M, float(fields["doffs"])
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} is no Middlebury calibration (cam0=, doffs=, baseline=); copy it again.") from error
    return calibration_from_opencv(path, matrix, baseline_m, doffs)
