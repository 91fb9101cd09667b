"""KITTI 2015: `training/image_2`, `image_3`, `disp_occ_0`, `disp_noc_0` and `calib_cam_to_cam`.

Menze and Geiger, Object Scene Flow for Autonomous Vehicles, CVPR 2015, and its development kit. Disparity is a 16-bit
PNG in steps of 1/256 px with 0 = no label, so it ends at 255.996 px. `disp_noc_0` has only the pixels that the right
camera sees too. P_rect_03 holds -f b with b in metres; it is nan where the scale is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
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
from gs_stereo.io.disparity_files import read_kitti_png, write_kitti_png

_ROOT = Path("training")
_CALIBRATION = "calib_cam_to_cam"


class KittiExporter:
    """The layout of the KITTI 2015 stereo training set."""

    name = "kitti"
    holds = Holds(
        files=(
            ("training/image_2/000000_10.png", "left image"),
            ("training/image_3/000000_10.png", "right image"),
            ("training/disp_occ_0/000000_10.png", "disparity of the left image, uint16 = 256 x px"),
            ("training/disp_noc_0/000000_10.png", "the same, only where the right eye sees the point too"),
            ("training/calib_cam_to_cam/000000.txt", "P_rect_02 and P_rect_03, pixel centres at whole numbers, metres"),
        ),
        unknown="0",
        steps_per_px=256.0,
        max_steps=(1 << 16) - 1,
        visibility=True,
        camera=True,
    )

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        names = []
        for number, sample in enumerate(samples):
            name = f"{number:06d}"
            image = f"{name}_10.png"
            write_png(folder / _ROOT / "image_2" / image, sample.left)
            write_png(folder / _ROOT / "image_3" / image, sample.right)
            visible = np.where(visible_pixels(sample), sample.disparity, np.float32(np.nan))
            write_kitti_png(folder / _ROOT / "disp_occ_0" / image, sample.disparity)
            write_kitti_png(folder / _ROOT / "disp_noc_0" / image, visible)
            text = _calibration(sample, job.metres_per_unit)
            write_text(folder / _ROOT / _CALIBRATION / f"{name}.txt", text)
            names.append(name)
        return names

    def read(self, folder: Path) -> Iterator[ExportedSample]:
        for path in find_files(folder, "training/image_2/*_10.png"):
            root, name = folder / _ROOT, path.name.removesuffix("_10.png")
            left = read_image(path)
            maps = [root / kind / path.name for kind in ("disp_occ_0", "disp_noc_0")]
            disparity, seen = (read_kitti_png(file) for file in maps)
            for file, values in zip(maps, (disparity, seen), strict=True):
                same_size(file, values, left)
            intrinsics, baseline_m = _read_calibration(root / _CALIBRATION / f"{name}.txt")
            yield ExportedSample(
                name=name,
                left=left,
                right=read_image(root / "image_3" / path.name, left),
                disparity=disparity,
                visible=np.isfinite(seen),
                intrinsics=intrinsics,
                baseline_m=baseline_m,
            )


def _calibration(sample: ShardSample, metres_per_unit: float) -> str:
    height, width = sample.disparity.shape
    left = np.hstack([intrinsics_to_opencv(sample.intrinsics), np.zeros((3, 1))])
    right = left.copy()
    right[0, 3] = -left[0, 0] * sample.baseline * metres_per_unit
    lines = []
    for camera, projection in (("02", left), ("03", right)):
        lines += [
            f"S_rect_{camera}: {float(width)!r} {float(height)!r}",
            f"R_rect_{camera}: {_numbers(np.eye(3))}",
            f"P_rect_{camera}: {_numbers(projection)}",
        ]
    return "\n".join([*lines, ""])


def _numbers(matrix: np.ndarray) -> str:
    return " ".join(repr(value) for value in matrix.ravel().tolist())


def _read_calibration(path: Path) -> tuple[Float[np.ndarray, "3 3"], float]:
    """K with pixel centres at + 0.5, and the baseline in metres."""
    fields = dict(re.findall(r"^(\w+): *(.*)$", read_text(path), flags=re.MULTILINE))
    try:
        left, right = (
            np.array(fields[f"P_rect_{camera}"].split(), dtype=np.float64).reshape(3, 4) for camera in ("02", "03")
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} has no P_rect_02 and P_rect_03 of 12 numbers each; export again.") from error
    if not (np.isfinite(left).all() and left[0, 0] > 0):
        raise InputError(f"{path} holds no camera in P_rect_02; export again.")
    return intrinsics_from_opencv(left[:, :3]), float((left[0, 3] - right[0, 3]) / left[0, 0])
