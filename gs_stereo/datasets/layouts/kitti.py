"""KITTI 2012 (Geiger et al., CVPR 2012) and 2015 (Menze and Geiger, CVPR 2015), read; 2015 written too.

    ROOT[/training]/colored_0, colored_1 (or image_0, image_1), disp_occ, disp_noc               2012
    ROOT[/training]/image_2, image_3, disp_occ_0, disp_noc_0, calib_cam_to_cam/<number>.txt      2015

Files are <number>_10.png. Disparity is a 16-bit PNG in steps of 1/256 px with 0 = no label, so it ends at 255.996 px;
the noc maps have only the pixels that the right camera sees too. P_rect_03 holds -f b with b in metres; it is nan where
the scale is unknown.
"""

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from gs_stereo.core.atomic import write_text
from gs_stereo.datasets.layouts.pair_files import (
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
from gs_stereo.io.disparity_files import MAX_STEPS, read_steps_png, write_steps_png

_TRAINING = "training"
_CALIBRATION = "calib_cam_to_cam"
_SUFFIX = "_10.png"
IMAGES_2012 = {"colour": ("colored_0", "colored_1"), "gray": ("image_0", "image_1")}
_IMAGES_2015 = ("image_2", "image_3")
_TRUTHS_2012 = ("disp_occ", "disp_noc")
_TRUTHS_2015 = ("disp_occ_0", "disp_noc_0")
_STEPS_PER_PX = 256.0


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
        steps_per_px=_STEPS_PER_PX,
        max_steps=MAX_STEPS,
        camera=True,
    )

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        names = []
        for number, sample in enumerate(samples):
            name, place = f"{number:06d}", folder / _TRAINING
            seen = np.where(sample.non_occluded, sample.disparity, np.float32(np.nan))
            for images, image in zip(_IMAGES_2015, (sample.left, sample.right), strict=True):
                write_png(place / images / f"{name}{_SUFFIX}", image)
            for truths, disparity in zip(_TRUTHS_2015, (sample.disparity, seen), strict=True):
                write_steps_png(place / truths / f"{name}{_SUFFIX}", disparity, _STEPS_PER_PX)
            write_text(place / _CALIBRATION / f"{name}.txt", _calibration_text(sample, job.metres_per_unit))
            names.append(name)
        return names


def find_kitti_2012(root: Path, split: str | None) -> list[PairSource]:
    """The training pairs with truth, "colour" or "gray"; by default colour if it is there."""
    there = "colour" if (_training(root) / "colored_0").is_dir() else "gray"
    return _find(_training(root), IMAGES_2012[split or there], _TRUTHS_2012)


def find_kitti_2015(root: Path, split: str | None = None) -> list[PairSource]:
    """The training pairs with truth. There are no splits."""
    return _find(_training(root), _IMAGES_2015, _TRUTHS_2015)


def _training(root: Path) -> Path:
    return root / _TRAINING if (root / _TRAINING).is_dir() else root


def _find(folder: Path, images: tuple[str, str], truths: tuple[str, str]) -> list[PairSource]:
    """One pair for each map of the first truth folder that is there; without an occ folder the noc maps are all."""
    known = next((folder / name for name in truths if (folder / name).is_dir()), None)
    if known is None:
        raise InputError(f"{folder} has neither {truths[0]} nor {truths[1]}; give the folder that holds training/.")
    pairs = (_pair(folder, path.name, images, known, folder / truths[1]) for path in known.glob(f"*{_SUFFIX}"))
    return sorted_sources(pairs, where=f"{known} has no <number>_10.png")


def _pair(folder: Path, file: str, images: tuple[str, str], truth: Path, noc: Path) -> PairSource:
    calibration = folder / _CALIBRATION / f"{file.removesuffix(_SUFFIX)}.txt"
    return PairFiles(
        name=file.removesuffix(".png"),
        left=folder / images[0] / file,
        right=folder / images[1] / file,
        disparity=truth / file,
        read_disparity=partial(read_steps_png, steps_per_px=_STEPS_PER_PX),
        mask=noc / file,
        read_mask=_read_known,
        calibration=partial(_read_calibration, calibration) if calibration.is_file() else None,
    ).source()


def _read_known(path: Path) -> Bool[np.ndarray, "h w"]:
    """Where a map of the pixels that both eyes see has a value."""
    return np.isfinite(read_steps_png(path, _STEPS_PER_PX))


def _calibration_text(sample: ShardSample, metres_per_unit: float) -> str:
    height, width = sample.disparity.shape
    left = np.hstack([intrinsics_to_opencv(sample.intrinsics), np.zeros((3, 1))])
    right = left.copy()
    right[0, 3] = -left[0, 0] * sample.baseline * metres_per_unit
    lines = []
    for camera, projection in (("02", left), ("03", right)):
        fields = {"S": np.array([float(width), float(height)]), "R": np.eye(3), "P": projection}
        for name, values in fields.items():
            lines.append(f"{name}_rect_{camera}: {' '.join(map(repr, values.ravel().tolist()))}\n")
    return "".join(lines)


def _read_calibration(path: Path) -> Calibration:
    fields = dict(re.findall(r"^(\w+): *(.*)$", read_text(path), flags=re.MULTILINE))
    try:
        left, right = (
            np.array(fields[f"P_rect_{camera}"].split(), dtype=np.float64).reshape(3, 4) for camera in ("02", "03")
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} has no P_rect_02 and P_rect_03 of 12 numbers each; copy it again.") from error
    with np.errstate(divide="ignore", invalid="ignore"):  # checked with the camera
        baseline_m = (left[0, 3] - right[0, 3]) / left[0, 0]
    return calibration_from_opencv(path, left[:, :3], float(baseline_m))
