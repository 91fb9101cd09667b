"""SceneFlow, as FlyingThings3D: `frames_cleanpass/<SPLIT>/A/<scene>/left|right` and `disparity/...` as PFM.

Mayer et al., A Large Dataset to Train Convolutional Networks for Disparity, Optical Flow, and Scene Flow Estimation,
CVPR 2016. Disparity of the left image is positive, float32, bottom row first as PFM has it. The original is dense;
where we have no label it is infinity, which fails the test `disparity < limit` of every loader we know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gs_stereo.datasets.layouts.parts import find_files, folder_name, read_image, same_size
from gs_stereo.datasets.layouts.protocol import ExportedSample, ExportJob, Holds
from gs_stereo.datasets.schema import ShardSample
from gs_stereo.errors import InputError
from gs_stereo.imaging.images import write_png
from gs_stereo.io.disparity_files import read_pfm, write_pfm

_ROOT = Path("FlyingThings3D")
_TEST_SPLITS = frozenset({"test", "val", "valid", "validation"})


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
        place = Path(split, "A", folder_name(job.info.scene))
        images, disparities = folder / _ROOT / "frames_cleanpass" / place, folder / _ROOT / "disparity" / place
        names = []
        for number, sample in enumerate(samples):
            name = f"{number:06d}"
            write_png(images / "left" / f"{name}.png", sample.left)
            write_png(images / "right" / f"{name}.png", sample.right)
            write_pfm(disparities / "left" / f"{name}.pfm", sample.disparity)
            names.append((place / name).as_posix())
        return names

    def read(self, folder: Path) -> Iterator[ExportedSample]:
        images = folder / _ROOT / "frames_cleanpass"
        for path in find_files(images, "*/*/*/left/*.png"):
            place = path.parents[1].relative_to(images)
            file = folder / _ROOT / "disparity" / place / "left" / f"{path.stem}.pfm"
            left, disparity = read_image(path), read_pfm(file)
            same_size(file, disparity, left)
            if disparity.ndim != 2 or (disparity < 0).any():
                raise InputError(f"{file} is no disparity map; export again.")
            yield ExportedSample(
                name=(place / path.stem).as_posix(),
                left=left,
                right=read_image(path.parents[1] / "right" / path.name, left),
                disparity=disparity,
            )
