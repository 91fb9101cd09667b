"""SceneFlow (Mayer et al., CVPR 2016): FlyingThings3D, Driving and Monkaa read, FlyingThings3D written too.

    ROOT/frames_cleanpass/<path>/left/0006.png, .../right/0006.png    (or frames_finalpass; .webp too)
    ROOT/disparity/<path>/left/0006.pfm

<path> is TEST/A/0000 for FlyingThings3D, 15mm_focallength/scene_forwards/fast for Driving, a scene's name for Monkaa.
ROOT may also hold these as subfolders (FlyingThings3D, Driving, Monkaa in any spelling). The DispNet subset of
FlyingThings3D has other names:

    ROOT/val/image_clean/left/0000000.png, right/0000000.png, ROOT/val/disparity/left/0000000.pfm

Disparity of the left image is float32. The original is dense; where we have no label it is infinity, which fails the
test `disparity < limit` of every loader we know.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gs_stereo.datasets.layouts.pair_files import PairFiles, PairSource, sorted_sources
from gs_stereo.datasets.layouts.protocol import ExportJob, Holds
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import write_png
from gs_stereo.io.disparity_files import read_pfm, write_pfm

PASSES = {"clean": ("frames_cleanpass", "image_clean"), "final": ("frames_finalpass", "image_final")}
_ROOT = Path("FlyingThings3D")
_TEST_SPLITS = frozenset({"test", "val", "valid", "validation"})
_NOT_READ = "train"  # of the subset
_SUFFIXES = (".png", ".webp")


class SceneFlowExporter:
    """The layout of FlyingThings3D."""

    name = "sceneflow"
    holds = Holds(
        files=(
            ("FlyingThings3D/frames_cleanpass/TRAIN/A/<scene>/left/000000.png", "left image"),
            ("FlyingThings3D/frames_cleanpass/TRAIN/A/<scene>/right/000000.png", "right image"),
            ("FlyingThings3D/disparity/TRAIN/A/<scene>/left/000000.pfm", "disparity of the left image, float32 px"),
        ),
        unknown="infinity",
    )

    def write(self, folder: Path, samples: Iterable[ShardSample], job: ExportJob) -> list[str]:
        split = "TEST" if job.info.split.lower() in _TEST_SPLITS else "TRAIN"
        place = Path(split, "A", job.scene_folder)
        images, disparities = folder / _ROOT / PASSES["clean"][0] / place, folder / _ROOT / "disparity" / place
        names = []
        for number, sample in enumerate(samples):
            name = f"{number:06d}"
            write_png(images / "left" / f"{name}.png", sample.left)
            write_png(images / "right" / f"{name}.png", sample.right)
            write_pfm(disparities / "left" / f"{name}.pfm", sample.disparity)
            names.append((place / name).as_posix())
        return names


def find_sceneflow(root: Path, split: str | None = None) -> list[PairSource]:
    """Every frame of the pass "clean" (default) or "final" with truth and both images.

    Of FlyingThings3D only TEST is read where it is there, as everybody reports it, and of its subset only val; the
    other two have no test part.
    """
    passed = PASSES[split or "clean"]
    parts = [path for path in [root, *sorted(root.iterdir())] if (path / "disparity").is_dir()]
    pairs = (pair for part in parts if part.name != _NOT_READ for pair in _frames(root, part, passed))
    return sorted_sources(pairs, where=f"{root} has no disparity/<path>/left/*.pfm with images in {passed[0]}/<path>")


def _frames(root: Path, part: Path, passed: tuple[str, ...]) -> Iterator[PairSource]:
    truths = part / "disparity"
    images = next((part / name for name in passed if (part / name).is_dir()), part)
    start = truths / "TEST" if (truths / "TEST").is_dir() else truths
    for truth in start.rglob("left/*.pfm"):
        scene = truth.parent.parent.relative_to(truths)
        left, right = (_image(images / scene / eye, truth.stem) for eye in ("left", "right"))
        if left and right:
            name = "/".join([*part.relative_to(root).parts, *scene.parts, truth.stem])
            files = PairFiles(name=name, left=left, right=right, disparity=truth, read_disparity=_read_disparity)
            yield files.source()


def _image(folder: Path, stem: str) -> Path | None:
    return next((path for suffix in _SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def _read_disparity(path: Path) -> Float[np.ndarray, "h w"]:
    """The PFM's disparity; negative everywhere in some releases, which is the same map with the other sign."""
    values = read_pfm(path)
    known = values[np.isfinite(values)]
    if known.size and known.min() < 0 < known.max():
        raise InputError(f"{path} is no disparity of a left image (it has both signs); copy it again.")
    return np.abs(values)
