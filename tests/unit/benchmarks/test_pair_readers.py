"""Every benchmark layout that people have on disk, read from tiny folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmark_folders import image, seen_by_both, truth, write_generic_pair, write_image, write_motorcycle

from gs_stereo.benchmarks.protocol import BENCHMARKS, open_benchmark
from gs_stereo.datasets.layouts.motorcycle import CALIBRATION, read_disparity_npz
from gs_stereo.errors import ConfigError, InputError, PluginError
from gs_stereo.geometry.disparity import depth_from_disparity


def test_generic_folder(tmp_path: Path) -> None:
    write_generic_pair(tmp_path / "b_shelf", 3)
    write_generic_pair(tmp_path / "a_road", 5, mask=False)
    (tmp_path / "b_shelf/calib.json").write_text(json.dumps({"fx": 500, "baseline_m": 0.1, "doffs": 7.5}))
    (tmp_path / "notes").mkdir()
    road, shelf = open_benchmark("folder", tmp_path).pairs
    assert (road.name, shelf.name) == ("a_road", "b_shelf")
    pair = shelf.read()
    np.testing.assert_array_equal(pair.left, image(3))
    np.testing.assert_array_equal(pair.right, image(4))
    np.testing.assert_array_equal(pair.disparity, truth(3))
    np.testing.assert_array_equal(pair.non_occluded, seen_by_both(3))
    assert pair.calibration is not None
    assert (pair.calibration.focal_px, pair.calibration.baseline_m, pair.calibration.doffs_px) == (500, 0.1, 7.5)
    assert road.read().non_occluded is None


def test_a_split_of_the_generic_folder_is_a_prefix(tmp_path: Path) -> None:
    for name in ("kitti_1", "kitti_2", "room"):
        write_generic_pair(tmp_path / name)
    assert [item.name for item in open_benchmark("folder", tmp_path, "kitti").pairs] == ["kitti_1", "kitti_2"]
    with pytest.raises(InputError, match="with the prefix 'x'"):
        open_benchmark("folder", tmp_path, "x")


@pytest.mark.parametrize("text", ["[]", "{", '{"fx": "a", "baseline_m": 1}', '{"fx": -1, "baseline_m": 1}', "[" * 9999])
def test_a_broken_calibration_is_one_sentence(tmp_path: Path, text: str) -> None:
    write_generic_pair(tmp_path / "pair")
    (tmp_path / "pair/calib.json").write_text(text)
    with pytest.raises(InputError, match=r"calib\.json"):
        open_benchmark("folder", tmp_path).pairs[0].read()


def test_files_of_different_sizes_are_refused(tmp_path: Path) -> None:
    write_generic_pair(tmp_path / "pair")
    write_image(tmp_path / "pair/right.png", image(1, (12, 19)))
    with pytest.raises(InputError, match="differ in size"):
        open_benchmark("folder", tmp_path).pairs[0].read()


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    write_generic_pair(tmp_path / "pair")
    (tmp_path / "pair/right.png").unlink()
    with pytest.raises(InputError, match=r"has no right\.png"):
        open_benchmark("folder", tmp_path)


@pytest.mark.parametrize("name", [name for name in BENCHMARKS.builtin if name != "motorcycle"])
def test_every_benchmark_says_what_is_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give --root"):
        open_benchmark(name, None)
    with pytest.raises(InputError, match="There is no folder"):
        open_benchmark(name, tmp_path / "none")
    with pytest.raises(InputError):
        open_benchmark(name, tmp_path)


def test_an_unknown_benchmark_lists_the_known_ones() -> None:
    with pytest.raises(PluginError, match="motorcycle"):
        open_benchmark("nope", None)


def test_motorcycle_from_a_folder(tmp_path: Path) -> None:
    write_motorcycle(tmp_path)
    (item,) = open_benchmark("motorcycle", tmp_path).pairs
    pair = item.read()
    np.testing.assert_array_equal(pair.disparity, truth())
    assert pair.calibration == CALIBRATION
    with pytest.raises(ConfigError, match="no splits"):
        open_benchmark("motorcycle", tmp_path, "all")


def test_motorcycle_without_scikit_image_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gs_stereo.datasets.layouts.motorcycle.find_spec", lambda name: None)
    with pytest.raises(PluginError, match="pip install 'gs_stereo\\[benchmarks"):
        open_benchmark("motorcycle", None)


def test_motorcycle_of_the_installed_scikit_image() -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    (item,) = open_benchmark("motorcycle", None).pairs
    pair = item.read()
    assert pair.left.shape == pair.right.shape == (500, 741, 3)
    assert 7 < np.nanmin(pair.disparity) < 8
    assert 59 < pair.largest_disparity_px < 60
    rig = pair.calibration
    depth = depth_from_disparity(pair.disparity.astype(np.float64), rig.focal_px * rig.baseline_m, rig.doffs_px)
    assert 2.0 < np.nanmin(depth) < np.nanmax(depth) < 6.0


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not a zip"])
def test_a_broken_npz_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(InputError, match="missing or broken"):
        read_disparity_npz(tmp_path / "x.npz")


def test_a_pickle_in_an_npz_is_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="missing or broken"):
        read_disparity_npz(tmp_path / "x.npz")


def test_exact_scene(step_scene: Path) -> None:
    for name in ("test/images", "test/right_b100"):
        write_image(step_scene / name / "000.png", image(1, (24, 32)))
    (item,) = open_benchmark("exact", step_scene.parent).pairs
    assert item.name == "step/000_b100"
    pair = item.read()
    assert set(np.unique(pair.disparity)) == {2.0, 4.0}
    assert pair.non_occluded is not None
    assert not pair.non_occluded[:, [0, 1, 10, 11]].any()
    assert pair.non_occluded.mean() == 28 / 32
    with pytest.raises(ConfigError, match="must be a baseline"):
        open_benchmark("exact", step_scene, "test")
    with pytest.raises(InputError, match="No pair"):
        open_benchmark("exact", step_scene, "b050")
