"""A stereo pair and the files it lies in: what the readers of all layouts return.

Nothing is read before a source's `read` is called. Files come from anywhere: what is missing, broken, or of another
size is an InputError.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gs_stereo.errors import InputError
from gs_stereo.geometry.pixels import intrinsics_from_opencv
from gs_stereo.imaging.images import read_photo
from gs_stereo.io.disparity_files import read_pfm

SEEN_BY_BOTH = 255
"""Of masks in Middlebury's way; 128 = only the left eye sees it, 0 = no label."""

_MAX_TEXT_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """A rectified rig: z = f b / (d + doffs).

    intrinsics: of the left camera, pixel centres at + 0.5; None = only its focal length is known. baseline_m: NaN =
    unknown scale. doffs_px: principal point of right minus left.
    """

    focal_px: float
    baseline_m: float
    doffs_px: float = 0.0
    intrinsics: Float[np.ndarray, "3 3"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledPair:
    """A rectified pair with the disparity of its left image, in pixels, NaN = unknown.

    non_occluded: pixels that both eyes see, None where the layout does not say. calibration: None = unknown.
    """

    left: UInt8[np.ndarray, "h w 3"]
    right: UInt8[np.ndarray, "h w 3"]
    disparity: Float[np.ndarray, "h w"]
    non_occluded: Bool[np.ndarray, "h w"] | None = None
    calibration: Calibration | None = None

    @property
    def largest_disparity_px(self) -> float:
        """Of the known ones; NaN without any."""
        known = self.disparity[np.isfinite(self.disparity)]
        return float(known.max()) if known.size else float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class PairSource:
    """One pair by name; `read` loads it and raises InputError for a missing or broken file.

    files: what its images, disparity and mask depend on, for checksums; () = not said.
    """

    name: str
    read: Callable[[], LabelledPair]
    files: tuple[Path, ...] = ()


def read_mask(path: Path) -> Bool[np.ndarray, "h w"]:
    """A mask image of the pixels that both eyes see."""
    return np.asarray(read_photo(path, upright=False)[..., 0] == SEEN_BY_BOTH)


@dataclass(frozen=True, kw_only=True)
class PairFiles:
    """Where a pair lies and how its parts are read. The mask of non-occluded pixels need not be there."""

    name: str
    left: Path
    right: Path
    disparity: Path
    read_disparity: Callable[[Path], np.ndarray] = read_pfm
    mask: Path | None = None
    read_mask: Callable[[Path], np.ndarray] = read_mask
    calibration: Callable[[], Calibration] | None = None

    def source(self) -> PairSource:
        mask = (self.mask,) if self.mask is not None and self.mask.is_file() else ()
        files = (self.left, self.right, self.disparity, *mask)
        return PairSource(name=self.name, read=partial(_read, self, *files), files=files)


def _read(files: PairFiles, left: Path, right: Path, disparity: Path, mask: Path | None = None) -> LabelledPair:
    pair = LabelledPair(
        left=read_photo(left, upright=False),
        right=read_photo(right, upright=False),
        disparity=files.read_disparity(disparity),
        non_occluded=files.read_mask(mask) if mask else None,
        calibration=files.calibration() if files.calibration else None,
    )
    maps = (pair.left, pair.right, pair.disparity, *(() if pair.non_occluded is None else (pair.non_occluded,)))
    if len({values.shape[:2] for values in maps}) > 1:
        raise InputError(f"The files of the pair {files.name} beside {left} differ in size; copy them again.")
    return pair


def sorted_sources(sources: Iterable[PairSource], *, where: str) -> list[PairSource]:
    """By name; InputError that describes the expected layout `where` it was looked for, if there is none."""
    found = sorted(sources, key=lambda source: source.name)
    if not found:
        raise InputError(f"No pair was found: {where}.")
    return found


def calibration_from_opencv(
    path: Path, matrix: Float[np.ndarray, "3 3"], baseline_m: float, doffs_px: float = 0.0
) -> Calibration:
    """What `path` says, with a camera matrix whose pixel centres are whole numbers; InputError if it is no camera."""
    if not np.isfinite([*matrix.ravel(), doffs_px]).all() or matrix[0, 0] <= 0 or np.isinf(baseline_m):
        raise InputError(f"{path} holds no camera; copy it again.")
    return Calibration(
        focal_px=float(matrix[0, 0]),
        baseline_m=baseline_m,
        doffs_px=doffs_px,
        intrinsics=intrinsics_from_opencv(matrix),
    )


def read_text(path: Path) -> str:
    """A small text file; InputError if it is missing, too large or no UTF-8."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_TEXT_BYTES + 1)
        if len(data) > _MAX_TEXT_BYTES:
            raise ValueError("it is too large")
        return data.decode("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"Cannot read {path} ({reason}); copy it again.") from error
