"""The benchmarks `kitti-2012` (Geiger et al., CVPR 2012) and `kitti-2015` (Menze and Geiger, CVPR 2015).

    ROOT[/training]/colored_0, colored_1 (or image_0, image_1), disp_occ, disp_noc     2012
    ROOT[/training]/image_2, image_3, disp_occ_0, disp_noc_0                            2015

Files are <number>_10.png; truth is uint16 / 256, 0 = unknown. The occ maps give `all`, the noc maps `noc`. The split
of 2012 is "colour" or "gray", by default colour if it is there. The official programs fill missing predictions from
their row before they count; the rule "fill" comes close to that.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from gs_stereo.benchmarks.pair_files import PairFiles, existing_root, known_split, no_split
from gs_stereo.benchmarks.protocol import BenchmarkItem, OfficialProtocol, PairList, pair_list
from gs_stereo.errors import InputError
from gs_stereo.io.disparity_files import read_kitti_png

PROTOCOL_2012 = OfficialProtocol(
    headline="bad_3", region="noc", pooling="image_mean", source="KITTI 2012's table: Out-Noc at 3 px"
)
PROTOCOL_2015 = OfficialProtocol(
    headline="d1", region="all", pooling="all_pixels", source="KITTI 2015's table: D1-all, above 3 px and 5 %"
)
_IMAGES_2012 = {"colour": ("colored_0", "colored_1"), "gray": ("image_0", "image_1")}


def open_kitti_2012(root: Path | None, split: str | None) -> PairList:
    """The training pairs with truth."""
    folder = _training(existing_root(root, "kitti-2012"))
    there = "colour" if (folder / "colored_0").is_dir() else "gray"
    images = _IMAGES_2012[known_split(split, _IMAGES_2012, "kitti-2012", there)]
    return _pairs("kitti-2012", PROTOCOL_2012, folder, images, ("disp_occ", "disp_noc"))


def open_kitti_2015(root: Path | None, split: str | None) -> PairList:
    """The training pairs with truth."""
    no_split(split, "kitti-2015")
    folder = _training(existing_root(root, "kitti-2015"))
    return _pairs("kitti-2015", PROTOCOL_2015, folder, ("image_2", "image_3"), ("disp_occ_0", "disp_noc_0"))


def _training(root: Path) -> Path:
    return root / "training" if (root / "training").is_dir() else root


def _pairs(
    name: str, protocol: OfficialProtocol, folder: Path, images: tuple[str, str], truths: tuple[str, str]
) -> PairList:
    """One item for each map of the first truth folder that is there; without an occ folder the noc maps are all."""
    known = [truth for truth in truths if (folder / truth).is_dir()]
    if not known:
        raise InputError(f"{folder} has neither {truths[0]} nor {truths[1]}; give the folder that holds training/.")
    items = [_item(folder, images, path, folder / truths[1]) for path in (folder / known[0]).glob("*_10.png")]
    return pair_list(name, protocol, items, where=f"{folder / known[0]} has no <number>_10.png")


def _known(path: Path) -> Bool[np.ndarray, "h w"]:
    """Where a map of the pixels that both eyes see has a value."""
    return np.isfinite(read_kitti_png(path))


def _item(folder: Path, images: tuple[str, str], truth: Path, noc_folder: Path) -> BenchmarkItem:
    return PairFiles(
        name=truth.stem,
        left=folder / images[0] / truth.name,
        right=folder / images[1] / truth.name,
        disparity=truth,
        read_disparity=read_kitti_png,
        mask=noc_folder / truth.name,
        read_mask=_known,
    ).item()
