"""The benchmarks of our own files: `exact` reads rendered scenes with exact truth, `dataset` HDF5 shards.

`exact`: the folder is a sample folder (`gsstereo sample`), or holds several; the split is a baseline in millimetres,
such as "b100". `dataset`: the labels are taken as the truth, which is honest for `sample-pairs`, whose labels are
exact; for labels of an expert it measures agreement with that expert.
"""

import re
from functools import partial
from pathlib import Path

from gs_stereo.benchmarks.exact import ExactView, load_exact_scene
from gs_stereo.benchmarks.protocol import FolderBenchmark, OfficialProtocol
from gs_stereo.datasets.layouts.pair_files import Calibration, LabelledPair, PairSource, sorted_sources
from gs_stereo.datasets.samples import DatasetSamples
from gs_stereo.errors import ConfigError
from gs_stereo.imaging.images import read_photo


def find_exact(root: Path, split: str | None = None) -> list[PairSource]:
    """The test views of the scenes that have a true right image. ConfigError if the split is no baseline."""
    if split is not None and not re.fullmatch(r"b\d{1,5}", split):
        raise ConfigError(f"The split {split!r} of the benchmark exact must be a baseline in millimetres, as in b100.")
    wanted_m = int(split[1:]) / 1000 if split else None
    scenes = [load_exact_scene(path.parent) for path in [*root.glob("poses.json"), *root.glob("*/poses.json")]]
    found = [
        PairSource(
            name=f"{scene.name}/{Path(view.name).stem}_b{round(1000 * baseline_m):03d}",
            read=partial(_read_view, view, baseline_m),
            files=(view.image_path, view.right_image_paths[baseline_m], view.truth_path),
        )
        for scene in scenes
        for view in scene.test
        for baseline_m in view.right_image_paths
        if wanted_m is None or abs(baseline_m - wanted_m) < 1e-6
    ]
    return sorted_sources(found, where=f"{root} has no poses.json with right images of test views")


def _read_view(view: ExactView, baseline_m: float) -> LabelledPair:
    truth, focal_px = view.truth(), view.camera.focal_px
    return LabelledPair(
        left=read_photo(view.image_path, upright=False),
        right=read_photo(view.right_image_paths[baseline_m], upright=False),
        disparity=truth.disparity(focal_px * baseline_m),
        non_occluded=truth.occlusion_at(baseline_m, focal_px) == 0,
        calibration=Calibration(focal_px=focal_px, baseline_m=baseline_m),
    )


def find_samples(root: Path, split: str | None = None) -> list[PairSource]:
    """Every sample of the data set in the folder `root`."""
    samples = DatasetSamples(root)
    found = []
    for number in range(len(samples)):
        shard, position = samples.place(number)
        path = samples.shards[shard]
        read = partial(_read_sample, samples, number)
        found.append(PairSource(name=f"{path.stem}/{position:04d}", read=read, files=(path,)))
    return sorted_sources(found, where=f"{root} is empty")


def _read_sample(samples: DatasetSamples, number: int) -> LabelledPair:
    sample = samples.read(number)
    return LabelledPair(
        left=sample.left, right=sample.right, disparity=sample.disparity, non_occluded=sample.non_occluded
    )


EXACT = FolderBenchmark(
    name="exact",
    find=find_exact,
    splits=None,
    protocol=OfficialProtocol(
        headline="bad_1", region="noc", pooling="all_pixels", source="our own rule, as in evaluate-labels"
    ),
)
DATASET = FolderBenchmark(
    name="dataset",
    find=find_samples,
    protocol=OfficialProtocol(
        headline="epe", region="noc", pooling="image_mean", source="our own rule; the labels are taken as the truth"
    ),
)
