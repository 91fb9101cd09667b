"""Your own pairs.

ROOT/<name>/left.png, right.png   (or .jpg)
ROOT/<name>/disp_left.pfm         pixels, infinity or NaN = unknown
ROOT/<name>/nonocc_left.png       optional, 255 = both eyes see it
ROOT/<name>/calib.json            optional: fx, baseline_m, doffs
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gs_stereo.core.records import OpenRecord, read_record
from gs_stereo.datasets.layouts.pair_files import Calibration, PairFiles, PairSource, sorted_sources
from gs_stereo.errors import InputError

_SUFFIXES = (".png", ".jpg", ".jpeg")


def find_folders(root: Path, split: str | None = None) -> list[PairSource]:
    """Every folder below `root` with a disp_left.pfm; with `split` only those whose name begins with it."""
    pairs = (_pair(path.parent) for path in root.glob("*/disp_left.pfm") if path.parent.name.startswith(split or ""))
    prefix = f" with the prefix {split!r}" if split else ""
    return sorted_sources(pairs, where=f"{root} has no <name>/left.png, right.png, disp_left.pfm{prefix}")


def _pair(folder: Path) -> PairSource:
    calibration = folder / "calib.json"
    return PairFiles(
        name=folder.name,
        left=_image(folder, "left"),
        right=_image(folder, "right"),
        disparity=folder / "disp_left.pfm",
        mask=folder / "nonocc_left.png",
        calibration=partial(_read_calibration, calibration) if calibration.is_file() else None,
    ).source()


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
