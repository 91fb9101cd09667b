"""What the readers of benchmark folders share: a pair from its files, masks, calibration, and checks of the folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.benchmarks.protocol import BenchmarkItem, BenchmarkPair, Calibration
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.imaging.images import read_photo
from gs_stereo.io.disparity_files import read_pfm

_NON_OCCLUDED = 255
_LARGEST_CALIBRATION_BYTES = 1 << 16
_NUMBER = r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"


def read_mask_image(path: Path) -> Bool[np.ndarray, "h w"]:
    """A mask image in which 255 means "both eyes see it" (Middlebury, ETH3D)."""
    return np.asarray(read_photo(path, upright=False)[..., 0] == _NON_OCCLUDED)


@dataclass(frozen=True, kw_only=True)
class PairFiles:
    """Where a pair lies and how its parts are read. The mask of non-occluded pixels need not be there."""

    name: str
    left: Path
    right: Path
    disparity: Path
    read_disparity: Callable[[Path], np.ndarray] = read_pfm
    mask: Path | None = None
    read_mask: Callable[[Path], np.ndarray] = read_mask_image
    calibration: Callable[[], Calibration] | None = None

    @property
    def known_mask(self) -> Path | None:
        """The mask if its file is there."""
        return self.mask if self.mask is not None and self.mask.is_file() else None

    def item(self) -> BenchmarkItem:
        files = (self.left, self.right, self.disparity, *((self.known_mask,) if self.known_mask else ()))
        return BenchmarkItem(name=self.name, read=partial(read_files, self), files=files)


def read_files(files: PairFiles) -> BenchmarkPair:
    """The pair; InputError if a file is missing or broken, or if sizes differ."""
    left, right = (read_photo(path, upright=False) for path in (files.left, files.right))
    disparity = files.read_disparity(files.disparity)
    mask = files.read_mask(files.known_mask) if files.known_mask else None
    sizes = {values.shape[:2] for values in (left, right, disparity, *(() if mask is None else (mask,)))}
    if len(sizes) > 1 or disparity.ndim != 2:
        raise InputError(f"The files of the pair {files.name} beside {files.left} differ in size; copy them again.")
    return BenchmarkPair(
        left=left,
        right=right,
        disparity=disparity,
        non_occluded=mask,
        calibration=files.calibration() if files.calibration else None,
    )


def read_positive_pfm(path: Path) -> Float[np.ndarray, "h w"]:
    """A PFM in which only positive disparities are known."""
    values = read_pfm(path)
    with np.errstate(invalid="ignore"):
        return np.where(values > 0, values, np.float32(np.nan))


def middlebury_calibration(path: Path) -> Callable[[], Calibration] | None:
    """Reader of a Middlebury calib.txt (cam0=[f 0 cx; ...], doffs=, baseline= in millimetres); None without a file."""
    return (lambda: _parse_calibration(path)) if path.is_file() else None


def _parse_calibration(path: Path) -> Calibration:
    if path.stat().st_size > _LARGEST_CALIBRATION_BYTES:
        raise InputError(f"{path} is too large for a calibration; check the file.")
    text = path.read_text(encoding="utf-8", errors="replace")
    found = {
        "cam0": re.search(rf"^cam0=\[\s*({_NUMBER})\s", text, re.MULTILINE),
        "doffs": re.search(rf"^doffs=\s*({_NUMBER})", text, re.MULTILINE),
        "baseline": re.search(rf"^baseline=\s*({_NUMBER})", text, re.MULTILINE),
    }
    missing = [name for name, match in found.items() if match is None]
    if missing:
        raise InputError(f"{path} is no Middlebury calibration (no {missing[0]}=); copy it again.")
    focal, doffs, baseline_mm = (float(match[1]) for match in found.values() if match is not None)
    return Calibration(focal_px=focal, baseline_m=baseline_mm / 1000, doffs_px=doffs)


def existing_root(root: Path | None, benchmark: str) -> Path:
    """The folder of a benchmark on disk; ConfigError if none was given, InputError if there is none."""
    if root is None:
        raise ConfigError(f"The benchmark {benchmark} needs its folder; give --root.")
    if not root.is_dir():
        raise InputError(f"There is no folder {root}; give the folder of {benchmark} with --root.")
    return root


def known_split(split: str | None, known: Collection[str], benchmark: str, default: str) -> str:
    """`split`, or the default; ConfigError if it is none of the known ones."""
    if split is not None and split not in known:
        raise ConfigError(f"The benchmark {benchmark} has no split {split!r}; use one of: {', '.join(known)}.")
    return split or default


def no_split(split: str | None, benchmark: str) -> None:
    """ConfigError if a split was asked of a benchmark without any."""
    if split is not None:
        raise ConfigError(f"The benchmark {benchmark} has no splits; leave out --split.")
