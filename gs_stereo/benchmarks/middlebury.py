"""The benchmarks `middlebury-2014` and `middlebury-2021` (Scharstein et al., GCPR 2014; vision.middlebury.edu/stereo).

Any of these lies on people's disks; <scene> may be at ROOT or below trainingQ, trainingH, trainingF, data:

    <scene>/im0.png, im1.png, disp0GT.pfm, mask0nocc.png, calib.txt    the evaluation kit, MiddEval3
    <scene>/im0.png, im1.png, disp0.pfm, calib.txt                     the data set pages of 2014 and 2021

Splits are resolutions: Q (default where several are there), H, F. Disparities are of the left image, infinity =
unknown; calib.txt's doffs is the shift of the principal points, which depth needs and disparity does not.
"""

from __future__ import annotations

from pathlib import Path

from gs_stereo.benchmarks.pair_files import (
    PairFiles,
    existing_root,
    known_split,
    middlebury_calibration,
    read_positive_pfm,
)
from gs_stereo.benchmarks.protocol import OfficialProtocol, PairList, pair_list
from gs_stereo.errors import InputError

PROTOCOL = OfficialProtocol(
    headline="bad_2",
    region="noc",
    pooling="image_mean",
    source="MiddEval3's default table, bad 2.0 of non-occluded pixels; its weights of hard scenes are not applied",
)
PROTOCOL_2021 = OfficialProtocol(
    headline="bad_2", region="all", pooling="image_mean", source="bad 2.0; the set of 2021 has no occlusion masks"
)
_SPLITS = ("Q", "H", "F")
_TRUTH = ("disp0GT.pfm", "disp0.pfm")


def open_middlebury_2014(root: Path | None, split: str | None) -> PairList:
    """MiddEval3's training scenes or the scenes of 2014."""
    return _open("middlebury-2014", PROTOCOL, root, split)


def open_middlebury_2021(root: Path | None, split: str | None) -> PairList:
    """The mobile data sets of 2021: data/<scene>/im0.png ..., the first lighting and exposure only."""
    return _open("middlebury-2021", PROTOCOL_2021, root, split)


def _open(name: str, protocol: OfficialProtocol, root: Path | None, split: str | None) -> PairList:
    folder = existing_root(root, name)
    resolution = known_split(split, _SPLITS, name, "")
    base = _base(folder, resolution)
    if base is None:
        raise InputError(f"{folder} has no folder training{resolution}; choose another --split or another --root.")
    scenes = sorted({path.parent for truth in _TRUTH for path in base.glob(f"*/{truth}")})
    where = f"{base} has no <scene>/im0.png, im1.png and disp0.pfm or disp0GT.pfm"
    return pair_list(name, protocol, [_files(scene).item() for scene in scenes], where=where)


def _base(folder: Path, resolution: str) -> Path | None:
    """The folder of the scenes. Without a resolution the smallest that is there, else the folder itself."""
    for part in [resolution] if resolution else _SPLITS:
        for path in (folder / f"training{part}", folder / "MiddEval3" / f"training{part}"):
            if path.is_dir():
                return path
    named = folder.name == f"training{resolution}"
    if resolution and not named:
        return None
    return folder / "data" if (folder / "data").is_dir() else folder


def _files(scene: Path) -> PairFiles:
    truth = next(scene / name for name in _TRUTH if (scene / name).is_file())
    return PairFiles(
        name=scene.name,
        left=scene / "im0.png",
        right=scene / "im1.png",
        disparity=truth,
        read_disparity=read_positive_pfm,
        mask=scene / "mask0nocc.png",
        calibration=middlebury_calibration(scene / "calib.txt"),
    )
