"""The official benchmarks in the folder layouts of their download pages, made of a few pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmark_folders import (
    image,
    seen_by_both,
    truth,
    write_frame,
    write_generic_pair,
    write_image,
    write_kitti,
    write_middlebury,
    write_truth,
)

from gs_stereo.benchmarks.protocol import open_benchmark
from gs_stereo.datasets.layouts.pair_files import LabelledPair
from gs_stereo.errors import ConfigError, InputError


def check(pair: LabelledPair, seed: int, *, mask: bool = True) -> None:
    np.testing.assert_array_equal(pair.left, image(seed))
    np.testing.assert_array_equal(pair.right, image(seed + 1))
    np.testing.assert_array_equal(pair.disparity, truth(seed))
    if mask:
        np.testing.assert_array_equal(pair.non_occluded, seen_by_both(seed))
    else:
        assert pair.non_occluded is None


def test_middlebury_evaluation_kit(tmp_path: Path) -> None:
    for resolution, seed in (("Q", 1), ("H", 5)):
        write_middlebury(tmp_path / f"MiddEval3/training{resolution}/Piano", seed)
        write_middlebury(tmp_path / f"MiddEval3/training{resolution}/Adirondack", seed + 2)
    first, second = open_benchmark("middlebury-2014", tmp_path).pairs
    assert (first.name, second.name) == ("Adirondack", "Piano")
    pair = second.read()
    check(pair, 1)
    assert pair.calibration is not None
    assert (pair.calibration.focal_px, pair.calibration.doffs_px) == (994.978, 31.086)
    assert pair.calibration.baseline_m == pytest.approx(0.193001)
    check(open_benchmark("middlebury-2014", tmp_path, "H").pairs[1].read(), 5)
    check(open_benchmark("middlebury-2014", tmp_path / "MiddEval3/trainingH", "H").pairs[1].read(), 5)
    with pytest.raises(InputError, match="no folder trainingF"):
        open_benchmark("middlebury-2014", tmp_path, "F")
    with pytest.raises(ConfigError, match="no split 'X'"):
        open_benchmark("middlebury-2014", tmp_path, "X")


@pytest.mark.parametrize("below", ["", "data/"])
def test_middlebury_scenes_of_2014_and_2021_as_downloaded(tmp_path: Path, below: str) -> None:
    write_middlebury(tmp_path / f"{below}artroom1", 3, "disp0.pfm", mask=False)
    (item,) = open_benchmark("middlebury-2021", tmp_path).pairs
    check(item.read(), 3, mask=False)
    assert [item.name for item in open_benchmark("middlebury-2014", tmp_path).pairs] == ["artroom1"]


@pytest.mark.parametrize("text", ["", "cam0=[1 0 0]\nbaseline=5\n", "doffs=1\n"])
def test_a_broken_middlebury_calibration_is_one_sentence(tmp_path: Path, text: str) -> None:
    write_middlebury(tmp_path / "scene", 1)
    (tmp_path / "scene/calib.txt").write_text(text)
    with pytest.raises(InputError, match="no Middlebury calibration"):
        open_benchmark("middlebury-2014", tmp_path).pairs[0].read()


@pytest.mark.parametrize("apart", [True, False])
def test_eth3d(tmp_path: Path, apart: bool) -> None:
    write_middlebury(tmp_path / "two_view_training/delivery_area_1l", 2)
    gt = tmp_path / ("two_view_training_gt" if apart else "two_view_training") / "delivery_area_1l"
    gt.mkdir(parents=True, exist_ok=True)
    for name in ("disp0GT.pfm", "mask0nocc.png"):
        (tmp_path / "two_view_training/delivery_area_1l" / name).rename(gt / name)
    (item,) = open_benchmark("eth3d", tmp_path if apart else tmp_path / "two_view_training").pairs
    assert item.name == "delivery_area_1l"
    check(item.read(), 2)


@pytest.mark.parametrize("below", ["", "training"])
@pytest.mark.parametrize(
    ("name", "images", "truths"),
    [
        ("kitti-2012", ("colored_0", "colored_1"), ("disp_occ", "disp_noc")),
        ("kitti-2012", ("image_0", "image_1"), ("disp_occ", "disp_noc")),
        ("kitti-2015", ("image_2", "image_3"), ("disp_occ_0", "disp_noc_0")),
    ],
)
def test_kitti(tmp_path: Path, name: str, images: tuple[str, str], truths: tuple[str, str], below: str) -> None:
    write_kitti(tmp_path / below, images, truths, 4)
    (item,) = open_benchmark(name, tmp_path).pairs
    assert item.name == "000003_10"
    pair = item.read()
    np.testing.assert_array_equal(pair.disparity, truth(4))  # steps of 1/16 px are exact in KITTI's 1/256
    known = np.isfinite(truth(4))
    np.testing.assert_array_equal(pair.non_occluded, seen_by_both(4) & known)
    np.testing.assert_array_equal(pair.left, image(4))


def test_gray_kitti_of_2012_can_be_asked_for(tmp_path: Path) -> None:
    write_kitti(tmp_path, ("colored_0", "colored_1"), ("disp_occ", "disp_noc"), 4)
    write_image(tmp_path / "image_0/000003_10.png", image(7)[..., 0])
    write_image(tmp_path / "image_1/000003_10.png", image(8)[..., 0])
    (item,) = open_benchmark("kitti-2012", tmp_path, "gray").pairs
    np.testing.assert_array_equal(item.read().left, np.repeat(image(7)[..., :1], 3, axis=2))


def test_kitti_with_the_noc_maps_alone(tmp_path: Path) -> None:
    write_kitti(tmp_path, ("image_2", "image_3"), ("other", "disp_noc_0"), 4)
    pair = open_benchmark("kitti-2015", tmp_path).pairs[0].read()
    np.testing.assert_array_equal(np.isfinite(pair.disparity), pair.non_occluded)


def test_sceneflow_with_all_three_parts(tmp_path: Path) -> None:
    write_frame(tmp_path / "FlyingThings3D", "TEST/A/0032", 1)
    write_frame(tmp_path / "FlyingThings3D", "TRAIN/A/0000", 3)
    write_frame(tmp_path / "driving", "15mm_focallength/scene_forwards/fast", 5)
    write_frame(tmp_path / "monkaa", "eating_x2", 7)
    items = {item.name: item for item in open_benchmark("sceneflow", tmp_path).pairs}
    assert sorted(items) == [
        "FlyingThings3D/TEST/A/0032/0006",
        "driving/15mm_focallength/scene_forwards/fast/0006",
        "monkaa/eating_x2/0006",
    ]
    for item, seed in zip((items[name] for name in sorted(items)), (1, 5, 7), strict=True):
        check(item.read(), seed, mask=False)


def test_one_part_of_sceneflow_and_the_final_pass(tmp_path: Path) -> None:
    write_frame(tmp_path, "TEST/B/0001", 1, "frames_finalpass")
    (item,) = open_benchmark("sceneflow", tmp_path, "final").pairs
    assert item.name == "TEST/B/0001/0006"
    with pytest.raises(InputError, match="frames_cleanpass"):
        open_benchmark("sceneflow", tmp_path, "clean")


def test_the_subset_of_flyingthings_and_the_other_sign(tmp_path: Path) -> None:
    write_frame(tmp_path / "val", ".", 1, "image_clean", "0000000")
    write_frame(tmp_path / "train", ".", 3, "image_clean", "0000000")
    write_truth(tmp_path / "val/disparity/left/0000000.pfm", -truth(1))
    (item,) = open_benchmark("sceneflow", tmp_path).pairs
    assert item.name == "val/0000000"
    check(item.read(), 1, mask=False)


def test_a_truth_with_both_signs_is_refused(tmp_path: Path) -> None:
    write_frame(tmp_path, "TEST/B/0001", 1)
    write_truth(tmp_path / "disparity/TEST/B/0001/left/0006.pfm", truth(1) - 4)
    with pytest.raises(InputError, match="both signs"):
        open_benchmark("sceneflow", tmp_path).pairs[0].read()


def test_each_protocol_names_its_source_and_a_known_metric(tmp_path: Path) -> None:
    write_middlebury(tmp_path / "scene", 1)
    write_middlebury(tmp_path / "mid21", 1, "disp0.pfm")
    write_kitti(tmp_path, ("image_2", "image_3"), ("disp_occ_0", "disp_noc_0"), 4)
    write_kitti(tmp_path, ("image_0", "image_1"), ("disp_occ", "disp_noc"), 4)
    write_frame(tmp_path, "TEST/B/0001", 1)
    write_generic_pair(tmp_path / "pair")
    wanted = {
        "middlebury-2014": ("bad_2", "noc", "image_mean"),
        "middlebury-2021": ("bad_2", "all", "image_mean"),
        "eth3d": ("bad_1", "noc", "image_mean"),
        "kitti-2012": ("bad_3", "noc", "image_mean"),
        "kitti-2015": ("d1", "all", "all_pixels"),
        "sceneflow": ("epe", "all", "all_pixels"),
        "folder": ("bad_2", "noc", "image_mean"),
    }
    for name, (headline, region, pooling) in wanted.items():
        rules = open_benchmark(name, tmp_path).protocol
        assert (rules.headline, rules.region, rules.pooling) == (headline, region, pooling)
        assert rules.source
