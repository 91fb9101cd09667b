"""Depth maps of pictures from the user's files, in any unit: NumPy arrays, PFM, or gray PNGs of 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.imaging.png import read_gray16_png
from gs_stereo.io.disparity_files import read_pfm


def read_depth(folder: Path, name: str) -> Float[np.ndarray, "h w"]:
    """`NAME.npy`, `NAME.pfm` or `NAME.png` of a folder, a slash in the name as `_`; NaN = unknown.

    Not above 0 and infinite are unknown. InputError if there is none, or it is no map.
    """
    plain = name.replace("/", "_")
    path = next((each for suffix in (".npy", ".pfm", ".png") if (each := folder / f"{plain}{suffix}").is_file()), None)
    if path is None:
        raise InputError(f"There is no depth map {folder / plain}.npy, .pfm or .png; make one, or leave warp out.")
    depth = (_read_npy if path.suffix == ".npy" else read_pfm if path.suffix == ".pfm" else read_gray16_png)(path)
    values = depth.astype(np.float64)
    known = np.isfinite(values) & (values > 0)
    if not known.any():
        raise InputError(f"The depth map {path} holds no depth above 0; make it again.")
    return np.where(known, values, np.nan)


def _read_npy(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"The depth map {path} cannot be read ({error}); write it with numpy.save.") from error
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiu":
        raise InputError(f"The depth map {path} is no array of rows and columns of numbers; write it again.")
    return values
