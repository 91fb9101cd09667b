"""The benchmark `sceneflow`: FlyingThings3D, Driving and Monkaa (Mayer et al., CVPR 2016) with true disparity.

    ROOT/frames_cleanpass/<path>/left/0006.png, .../right/0006.png    (or frames_finalpass; .webp too)
    ROOT/disparity/<path>/left/0006.pfm

<path> is TEST/A/0000 for FlyingThings3D, 15mm_focallength/scene_forwards/fast for Driving, a scene's name for Monkaa.
ROOT may also hold these as subfolders (FlyingThings3D, Driving, Monkaa in any spelling). Of FlyingThings3D only TEST
is read, as everybody reports it; the other two have no test part. The DispNet subset of FlyingThings3D has other
names, of which only val is read:

    ROOT/val/image_clean/left/0000000.png, right/0000000.png, ROOT/val/disparity/left/0000000.pfm

The split is "clean" or "final".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from gs_stereo.benchmarks.pair_files import PairFiles, existing_root, known_split
from gs_stereo.benchmarks.protocol import BenchmarkItem, OfficialProtocol, PairList, pair_list
from gs_stereo.errors import InputError
from gs_stereo.io.disparity_files import read_pfm

PROTOCOL = OfficialProtocol(
    headline="epe",
    region="all",
    pooling="all_pixels",
    source="EPE of pixels with a true disparity under 192 px, as in the literature since Chang and Chen, CVPR 2018",
    largest_truth_px=192.0,
)
_PASSES = {"clean": ("frames_cleanpass", "image_clean"), "final": ("frames_finalpass", "image_final")}
_NOT_READ = "train"  # of the subset
_SUFFIXES = (".png", ".webp")


def open_sceneflow(root: Path | None, split: str | None) -> PairList:
    """Every frame with truth and both images."""
    folder = existing_root(root, "sceneflow")
    passed = _PASSES[known_split(split, _PASSES, "sceneflow", "clean")]
    parts = [path for path in [folder, *sorted(folder.iterdir())] if (path / "disparity").is_dir()]
    items = [item for part in parts if part.name != _NOT_READ for item in _items(folder, part, passed)]
    where = f"{folder} has no disparity/<path>/left/*.pfm with images in {passed[0]}/<path>"
    return pair_list("sceneflow", PROTOCOL, items, where=where)


def _items(root: Path, part: Path, passed: tuple[str, ...]) -> list[BenchmarkItem]:
    truths = part / "disparity"
    images = next((part / name for name in passed if (part / name).is_dir()), part)
    start = truths / "TEST" if (truths / "TEST").is_dir() else truths
    found = []
    for truth in sorted(start.rglob("left/*.pfm")):
        scene = truth.parent.parent.relative_to(truths)
        left = _image(images / scene / "left", truth.stem)
        right = _image(images / scene / "right", truth.stem)
        if left and right:
            name = "/".join([*part.relative_to(root).parts, *scene.parts, truth.stem])
            files = PairFiles(name=name, left=left, right=right, disparity=truth, read_disparity=read_left_disparity)
            found.append(files.item())
    return found


def _image(folder: Path, stem: str) -> Path | None:
    return next((path for suffix in _SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def read_left_disparity(path: Path) -> Float[np.ndarray, "h w"]:
    """The PFM's disparity; negative everywhere in some releases, which is the same map with the other sign."""
    values = read_pfm(path)
    known = values[np.isfinite(values)]
    if values.ndim != 2 or (known.size and known.min() < 0 < known.max()):
        raise InputError(f"{path} is no disparity of a left image (it has both signs or colours); copy it again.")
    return np.abs(values)
