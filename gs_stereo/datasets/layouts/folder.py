"""Your own pairs.

ROOT/<name>/left.png, right.png   (or .jpg)
ROOT/<name>/disp_left.pfm         pixels, infinity or NaN = unknown
ROOT/<name>/nonocc_left.png       optional, 255 = both eyes see it
ROOT/<name>/calib.json            optional: fx, baseline_m, doffs

Pairs without truth need only both images, and may also lie as ROOT/left/<name>.png, ROOT/right/<name>.png.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import Field

from gs_stereo.core.records import OpenRecord, read_record
from gs_stereo.datasets.layouts.pair_files import Calibration, PairFiles, PairSource, sorted_sources
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import read_photo
from gs_stereo.io.disparity_files import read_pfm
from gs_stereo.log import logger

_MANY_ZEROS = 0.01
_SUFFIXES = (".png", ".jpg", ".jpeg")


def find_folders(root: Path, split: str | None = None) -> list[PairSource]:
    """Every folder below `root` with a disp_left.pfm; with `split` only those whose name begins with it."""
    pairs = (_pair(path.parent) for path in root.glob("*/disp_left.pfm") if path.parent.name.startswith(split or ""))
    prefix = f" with the prefix {split!r}" if split else ""
    return sorted_sources(pairs, where=f"{root} has no <name>/left.png, right.png, disp_left.pfm{prefix}")


@dataclass(frozen=True, kw_only=True)
class UnlabelledPair:
    """A rectified pair without truth."""

    name: str
    left: Path
    right: Path

    def read(self) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"]]:
        """(left, right); InputError for a missing or broken file, or two sizes."""
        left, right = (read_photo(path, upright=False) for path in (self.left, self.right))
        if left.shape != right.shape:
            sizes = " and ".join(f"{image.shape[1]} x {image.shape[0]}" for image in (left, right))
            raise InputError(f"The images of the pair {self.left} differ in size ({sizes}); give rectified pairs.")
        return left, right


def find_unlabelled(root: Path) -> list[UnlabelledPair]:
    """The pairs below `root`, by name, with truth or without; InputError if there is none."""
    if (root / "left").is_dir() and (root / "right").is_dir():
        lefts = [path for path in sorted((root / "left").iterdir()) if path.suffix.lower() in _SUFFIXES]
        found = [UnlabelledPair(name=p.stem, left=p, right=_image(root / "right", p.stem)) for p in lefts]
    else:
        folders = [path for path in sorted(root.glob("*/")) if any((path / f"left{s}").is_file() for s in _SUFFIXES)]
        found = [UnlabelledPair(name=p.name, left=_image(p, "left"), right=_image(p, "right")) for p in folders]
    if not found:
        raise InputError(f"No pair was found: {root} has no <name>/left.png, right.png and no left/, right/ of photos.")
    return found


def _pair(folder: Path) -> PairSource:
    calibration = folder / "calib.json"
    return PairFiles(
        name=folder.name,
        left=_image(folder, "left"),
        right=_image(folder, "right"),
        disparity=folder / "disp_left.pfm",
        read_disparity=_read_truth,
        mask=folder / "nonocc_left.png",
        calibration=partial(_read_calibration, calibration) if calibration.is_file() else None,
    ).source()


def _read_truth(path: Path) -> Float[np.ndarray, "h w"]:
    """The true disparity; InputError for a negative one, a warning where many pixels are exactly 0."""
    truth = read_pfm(path)
    known = np.isfinite(truth)
    if (truth[known] < 0).any():
        raise InputError(f"{path} has negative disparities; x_left - x_right is positive: give it with the other sign.")
    zeros = float((truth[known] == 0).mean()) if known.any() else 0.0
    if zeros > _MANY_ZEROS:
        logger.warning(
            "%s: %.0f %% of the true disparity is exactly zero and counts as such; write NaN where it is unknown.",
            path,
            100 * zeros,
        )
    return truth


def _image(folder: Path, stem: str) -> Path:
    found = next((path for suffix in _SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)
    if found is None:
        raise InputError(f"The pair {folder} has no {stem}.png; add it or remove the folder.")
    return found


@dataclass(frozen=True, kw_only=True)
class _CalibrationFile(OpenRecord):
    fx: Annotated[float, Field(gt=0)]
    baseline_m: Annotated[float, Field(gt=0)]
    doffs: float = 0.0


def _read_calibration(path: Path) -> Calibration:
    values = read_record(_CalibrationFile, path, fix="correct or remove it")
    return Calibration(focal_px=values.fx, baseline_m=values.baseline_m, doffs_px=values.doffs)
