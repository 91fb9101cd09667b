"""The benchmark `motorcycle`: one real pair without a download, read from an installed scikit-image.

It is the pair Motorcycle of Middlebury 2014 (Scharstein et al., GCPR 2014) at 741 x 500, with the disparity of the
left image and without an occlusion mask. scikit-image itself is not imported.
"""

from __future__ import annotations

import zipfile
import zlib
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gs_stereo.benchmarks.pair_files import PairFiles, no_split
from gs_stereo.benchmarks.protocol import Calibration, OfficialProtocol, PairList, pair_list
from gs_stereo.errors import InputError, PluginError

PROTOCOL = OfficialProtocol(
    headline="bad_2", region="all", pooling="image_mean", source="Middlebury's bad 2.0; the pair has no occlusion mask"
)
CALIBRATION = Calibration(focal_px=994.978, baseline_m=0.193001, doffs_px=31.086)


def open_motorcycle(root: Path | None, split: str | None) -> PairList:
    """The pair in `root`, or where scikit-image is installed; PluginError if it is not."""
    no_split(split, "motorcycle")
    folder = _installed_data() if root is None else root
    files = PairFiles(
        name="motorcycle",
        left=folder / "motorcycle_left.png",
        right=folder / "motorcycle_right.png",
        disparity=folder / "motorcycle_disp.npz",
        read_disparity=read_disparity_npz,
        calibration=partial(lambda known: known, CALIBRATION),
    )
    return pair_list("motorcycle", PROTOCOL, [files.item()], where=str(folder))


def _installed_data() -> Path:
    spec = find_spec("skimage")
    places = list(spec.submodule_search_locations or ()) if spec else []
    folders = [Path(place) / "data" for place in places]
    found = [folder for folder in folders if (folder / "motorcycle_disp.npz").is_file()]
    if not found:
        raise PluginError(
            "The benchmark 'motorcycle' is read from scikit-image, which is not installed or does not ship the pair; "
            "pip install 'gs_stereo[benchmarks]'."
        )
    return found[0]


def read_disparity_npz(path: Path) -> Float[np.ndarray, "h w"]:
    """The only array of the file as float32, with NaN where it is not finite. InputError if the file is broken."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            values = np.asarray(archive[archive.files[0]], np.float32)
    except (OSError, ValueError, KeyError, IndexError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"The disparity {path} is missing or broken; install scikit-image again.") from error
    return np.where(np.isfinite(values), values, np.float32(np.nan))
