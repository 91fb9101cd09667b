"""The benchmark `eth3d`: the low-resolution two-view benchmark (Schoeps et al., CVPR 2017; eth3d.net).

    ROOT/two_view_training/<scene>/im0.png, im1.png, calib.txt
    ROOT/two_view_training_gt/<scene>/disp0GT.pfm, mask0nocc.png

or both parts unpacked into one folder: ROOT/<scene>/im0.png, im1.png, disp0GT.pfm, mask0nocc.png.
"""

from __future__ import annotations

from pathlib import Path

from gs_stereo.benchmarks.pair_files import (
    PairFiles,
    existing_root,
    middlebury_calibration,
    no_split,
    read_positive_pfm,
)
from gs_stereo.benchmarks.protocol import OfficialProtocol, PairList, pair_list

PROTOCOL = OfficialProtocol(
    headline="bad_1", region="noc", pooling="image_mean", source="ETH3D's default table: bad 1.0, non-occluded"
)


def open_eth3d(root: Path | None, split: str | None) -> PairList:
    """Every training scene whose truth is there."""
    no_split(split, "eth3d")
    folder = existing_root(root, "eth3d")
    apart = (folder / "two_view_training_gt").is_dir()
    images, truths = (folder / "two_view_training", folder / "two_view_training_gt") if apart else (folder, folder)
    scenes = [path.parent.name for path in truths.glob("*/disp0GT.pfm")]
    pairs = [_files(images / scene, truths / scene).item() for scene in scenes]
    return pair_list("eth3d", PROTOCOL, pairs, where=f"{truths} has no <scene>/disp0GT.pfm")


def _files(images: Path, truth: Path) -> PairFiles:
    return PairFiles(
        name=images.name,
        left=images / "im0.png",
        right=images / "im1.png",
        disparity=truth / "disp0GT.pfm",
        read_disparity=read_positive_pfm,
        mask=truth / "mask0nocc.png",
        calibration=middlebury_calibration(images / "calib.txt"),
    )
