"""The pair Motorcycle of Middlebury 2014 (Scharstein et al., GCPR 2014) at 741 x 500, as scikit-image ships it.

It has the disparity of the left image and no occlusion mask. scikit-image itself is not imported.
"""

import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gs_stereo.datasets.layouts.pair_files import Calibration, PairFiles, PairSource, sorted_sources
from gs_stereo.errors import InputError, PluginError

CALIBRATION = Calibration(focal_px=994.978, baseline_m=0.193001, doffs_px=31.086)
_DISPARITY = "motorcycle_disp.npz"


def find_motorcycle(root: Path, split: str | None = None) -> list[PairSource]:
    """The pair in `root`."""
    pair = PairFiles(
        name="motorcycle",
        left=root / "motorcycle_left.png",
        right=root / "motorcycle_right.png",
        disparity=root / _DISPARITY,
        read_disparity=read_disparity_npz,
        calibration=lambda: CALIBRATION,
    )
    return sorted_sources([pair.source()], where=f"{root}")


def installed_data() -> Path:
    """Where scikit-image is installed; PluginError if it is not."""
    spec = find_spec("skimage")
    folders = [Path(place) / "data" for place in (spec.submodule_search_locations or ())] if spec else []
    found = next((folder for folder in folders if (folder / _DISPARITY).is_file()), None)
    if found is None:
        raise PluginError(
            "The benchmark 'motorcycle' is read from scikit-image, which is not installed or does not ship the pair; "
            "pip install 'gs_stereo[benchmarks]'."
        )
    return found


def read_disparity_npz(path: Path) -> Float[np.ndarray, "h w"]:
    """The only array of the file as float32, with NaN where it is not finite. InputError if the file is broken."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            values = np.asarray(archive[archive.files[0]], np.float32)
    except (OSError, ValueError, KeyError, IndexError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"The disparity {path} is missing or broken; install scikit-image again.") from error
    return np.where(np.isfinite(values), values, np.float32(np.nan))
