"""What every registered benchmark keeps: sorted items, one size a pair, NaN for unknown, a protocol that can be met."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import benchmark_folders as folders
import numpy as np
import pytest

from gs_stereo.benchmarks.evaluate_pairs import Answer, evaluate_pairs
from gs_stereo.benchmarks.protocol import BENCHMARKS, Benchmark, open_benchmark
from gs_stereo.errors import InputError

KITTI_2012 = (("colored_0", "colored_1"), ("disp_occ", "disp_noc"))
KITTI_2015 = (("image_2", "image_3"), ("disp_occ_0", "disp_noc_0"))
# How to make a folder of each built-in.
MAKERS: dict[str, Callable[[Path], None]] = {
    "folder": lambda root: folders.write_generic_pair(root / "shelf", 1),
    "motorcycle": folders.write_motorcycle,
    "middlebury-2014": lambda root: folders.write_middlebury(root / "trainingQ/Piano", 1),
    "middlebury-2021": lambda root: folders.write_middlebury(root / "data/artroom1", 1, "disp0.pfm", mask=False),
    "eth3d": lambda root: folders.write_middlebury(root / "delivery_area_1l", 1),
    "kitti-2012": lambda root: folders.write_kitti(root / "training", *KITTI_2012, 1),
    "kitti-2015": lambda root: folders.write_kitti(root / "training", *KITTI_2015, 1),
    "sceneflow": lambda root: folders.write_frame(root, "TEST/A/0000", 1),
    "foundationstereo": folders.write_foundation_stereo,
    "exact": folders.write_exact,
    "dataset": folders.write_dataset_of_two,
}


def test_every_built_in_is_tested() -> None:
    assert set(MAKERS) == set(BENCHMARKS.builtin)


@pytest.fixture(params=sorted(MAKERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def benchmark(name: str, tmp_path: Path) -> Benchmark:
    MAKERS[name](tmp_path)
    return open_benchmark(name, tmp_path)


def test_items_have_names_in_order(benchmark: Benchmark, name: str) -> None:
    names = [item.name for item in benchmark.pairs]
    assert names
    assert names == sorted(set(names))
    assert benchmark.name == name


def test_an_item_names_the_files_it_is_read_from(benchmark: Benchmark) -> None:
    for item in benchmark.pairs:
        assert item.files
        assert all(path.is_file() for path in item.files)
        if item.read().non_occluded is not None:
            assert len(item.files) != 3 or benchmark.name == "exact"  # the mask is one of them, or in the truth


def test_a_pair_has_one_size_and_nan_for_unknown(benchmark: Benchmark) -> None:
    for item in benchmark.pairs:
        pair = item.read()
        assert pair.left.shape == pair.right.shape == (*pair.disparity.shape, 3)
        assert pair.left.dtype == pair.right.dtype == np.uint8
        assert np.issubdtype(pair.disparity.dtype, np.floating)
        assert np.isfinite(pair.disparity).any()
        assert not np.isinf(pair.disparity).any()
        assert not (pair.disparity < 0).any()
        if pair.non_occluded is not None:
            assert pair.non_occluded.dtype == bool
            assert pair.non_occluded.shape == pair.disparity.shape


def test_reading_again_gives_the_same(benchmark: Benchmark) -> None:
    item = benchmark.pairs[0]
    first, again = item.read(), item.read()
    np.testing.assert_array_equal(first.left, again.left)
    np.testing.assert_array_equal(first.disparity, again.disparity)


def test_the_truth_itself_is_a_perfect_answer_to_the_protocol(benchmark: Benchmark) -> None:
    report = evaluate_pairs(benchmark, lambda pair: Answer(disparity=pair.disparity, seconds=0.0))
    assert report.headline == 0.0
    assert report.totals["all"].density == 1.0
    off = evaluate_pairs(benchmark, lambda pair: Answer(disparity=pair.disparity + 20, seconds=0.0))
    assert off.headline == pytest.approx(20.0 if benchmark.protocol.headline == "epe" else 1.0)


def test_a_damaged_file_is_one_sentence(benchmark: Benchmark, tmp_path: Path) -> None:
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError):
        benchmark.pairs[0].read()
