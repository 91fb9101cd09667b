"""The benchmark `folder`: your own pairs.

    ROOT/<name>/left.png, right.png   (or .jpg)
    ROOT/<name>/disp_left.pfm         pixels, infinity or NaN = unknown
    ROOT/<name>/nonocc_left.png       optional, 255 = both eyes see it
    ROOT/<name>/calib.json            optional: fx, baseline_m, doffs

A split is a prefix of the names.
"""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path

from gs_stereo.benchmarks.pair_files import PairFiles, existing_root
from gs_stereo.benchmarks.protocol import Calibration, OfficialProtocol, PairList, pair_list
from gs_stereo.errors import InputError

PROTOCOL = OfficialProtocol(
    headline="bad_2", region="noc", pooling="image_mean", source="Middlebury's default table: bad 2.0, non-occluded"
)
_SUFFIXES = (".png", ".jpg", ".jpeg")


def open_folder(root: Path | None, split: str | None) -> PairList:
    """Every folder below `root` with a disp_left.pfm; with `split` only those whose name begins with it."""
    folder = existing_root(root, "folder")
    chosen = [path.parent for path in folder.glob("*/disp_left.pfm") if path.parent.name.startswith(split or "")]
    pairs = [_files(path).item() for path in sorted(chosen)]
    prefix = f" with the prefix {split!r}" if split else ""
    return pair_list(
        "folder", PROTOCOL, pairs, where=f"{folder} has no <name>/left.png, right.png, disp_left.pfm{prefix}"
    )


def _files(folder: Path) -> PairFiles:
    calibration = folder / "calib.json"
    return PairFiles(
        name=folder.name,
        left=_image(folder, "left"),
        right=_image(folder, "right"),
        disparity=folder / "disp_left.pfm",
        mask=folder / "nonocc_left.png",
        calibration=partial(_read_calibration, calibration) if calibration.is_file() else None,
    )


def _image(folder: Path, stem: str) -> Path:
    found = [path for suffix in _SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()]
    if not found:
        raise InputError(f"The pair {folder} has no {stem}.png; add it or remove the folder.")
    return found[0]


def _read_calibration(path: Path) -> Calibration:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        numbers = [float(values[name]) for name in ("fx", "baseline_m")] + [float(values.get("doffs", 0.0))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} does not give fx and baseline_m as numbers; correct or remove it.") from error
    if not all(math.isfinite(number) for number in numbers) or min(numbers[:2]) <= 0:
        raise InputError(f"{path} has values that are out of range; correct or remove it.")
    return Calibration(focal_px=numbers[0], baseline_m=numbers[1], doffs_px=numbers[2])
