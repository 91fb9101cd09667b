"""The benchmark `exact`: pairs of our rendered scenes, with exact disparity and exact occlusion.

ROOT is a sample folder (`gsstereo sample`), or holds several. The split is a baseline in millimetres, such as "b100".
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from gs_stereo.benchmarks.exact import ExactScene, ExactView, load_exact_scene
from gs_stereo.benchmarks.pair_files import existing_root
from gs_stereo.benchmarks.protocol import (
    BenchmarkItem,
    BenchmarkPair,
    Calibration,
    OfficialProtocol,
    PairList,
    pair_list,
)
from gs_stereo.errors import ConfigError
from gs_stereo.imaging.images import read_photo

PROTOCOL = OfficialProtocol(
    headline="bad_1", region="noc", pooling="all_pixels", source="our own rule, as in evaluate-labels"
)


def open_exact(root: Path | None, split: str | None) -> PairList:
    """The test views of the scenes that have a true right image. ConfigError if the split is no baseline."""
    folder = existing_root(root, "exact")
    if split is not None and not re.fullmatch(r"b\d{1,5}", split):
        raise ConfigError(f"The split {split!r} of the benchmark exact must be a baseline in millimetres, as in b100.")
    baseline_m = int(split[1:]) / 1000 if split else None
    scenes = [path.parent for path in [*folder.glob("poses.json"), *folder.glob("*/poses.json")]]
    items = [item for scene in scenes for item in _items(load_exact_scene(scene), baseline_m)]
    return pair_list("exact", PROTOCOL, items, where=f"{folder} has no poses.json with right images of test views")


def _items(scene: ExactScene, baseline_m: float | None) -> list[BenchmarkItem]:
    return [
        BenchmarkItem(
            name=f"{scene.name}/{Path(view.name).stem}_b{round(1000 * known):03d}",
            read=partial(_read, view, known),
            files=(view.image_path, view.right_image_paths[known], view.truth_path),
        )
        for view in scene.test
        for known in view.right_image_paths
        if baseline_m is None or abs(known - baseline_m) < 1e-6
    ]


def _read(view: ExactView, baseline_m: float) -> BenchmarkPair:
    truth, focal_px = view.truth(), view.camera.focal_px
    return BenchmarkPair(
        left=read_photo(view.image_path, upright=False),
        right=read_photo(view.right_image_paths[baseline_m], upright=False),
        disparity=truth.disparity(focal_px * baseline_m),
        non_occluded=truth.occlusion_at(baseline_m, focal_px) == 0,
        calibration=Calibration(focal_px=focal_px, baseline_m=baseline_m),
    )
