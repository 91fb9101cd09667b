"""Similarity transforms and the sources of scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import camera_at, make_points, make_scene

from gs_stereo.config import parse_config
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.geometry.rotations import matrix_from_quaternion
from gs_stereo.imaging.exif import GpsPosition
from gs_stereo.io.colmap import model_from_sparse_scene, sparse_scene_from_model
from gs_stereo.io.colmap_model import ColmapModel
from gs_stereo.sfm.config import ReconstructConfig
from gs_stereo.sfm.scale import (
    Similarity,
    align_robustly,
    apply_similarity,
    camera_centres,
    choose_scaling,
    gps_problem,
    local_metres,
    median_depth,
    read_camera_positions,
    umeyama,
)

RANDOM = np.random.default_rng(3)
TRUTH = Similarity(
    scale=2.5, rotation=matrix_from_quaternion(np.array([0.3, -0.5, 0.7, 0.2])), translation=np.array([10.0, -4.0, 2.0])
)


def model(count: int = 8, on_line: bool = False) -> ColmapModel:
    cameras = []
    for index in range(count):
        centre = (0.3 * index, 0.0, 0.0) if on_line else (0.3 * index, 0.2 * (index % 3), 0.1 * (index % 2))
        look = {"size": (320, 240), "focal_px": 300.0, "turn_deg": (2.3 * index, 1.1, 0.0)}
        cameras.append(camera_at(f"{index}.jpg", *centre, **look))
    xyz = np.random.default_rng(0).uniform([-1, -1, 3], [2, 1, 6], (40, 3))
    points = make_points(xyz, rgb=0, track_length=1)
    return model_from_sparse_scene(make_scene(cameras, points, visible_points=(np.arange(40),) * count))


def write_positions(path: Path, positions: dict[str, np.ndarray]) -> Path:
    path.write_text("".join(f"{name} {' '.join(map(repr, p.tolist()))}\n" for name, p in positions.items()))
    return path


def test_umeyama_recovers_an_exact_similarity() -> None:
    old = RANDOM.normal(size=(10, 3))
    found = umeyama(old, TRUTH(old))
    assert found.scale == pytest.approx(2.5)
    np.testing.assert_allclose(found.rotation, TRUTH.rotation, atol=1e-12)
    np.testing.assert_allclose(found(old), TRUTH(old), atol=1e-12)


def test_alignment_survives_a_third_of_wrong_positions() -> None:
    old = RANDOM.normal(size=(15, 3))
    new = TRUTH(old) + RANDOM.normal(scale=1e-3, size=old.shape)
    new[:5] += RANDOM.normal(scale=30, size=(5, 3))
    found = align_robustly(old, new, seed=0)
    assert found.scale == pytest.approx(2.5, rel=2e-3)
    np.testing.assert_allclose(found(old[5:]), new[5:], atol=0.01)


def test_similarity_keeps_every_projection() -> None:
    before, after = (sparse_scene_from_model(m) for m in (model(), apply_similarity(model(), TRUTH)))
    for old, new in zip(before.cameras, after.cameras, strict=True):
        in_old = before.points.xyz_in_world @ old.cam_from_world[:3, :3].T + old.cam_from_world[:3, 3]
        in_new = after.points.xyz_in_world @ new.cam_from_world[:3, :3].T + new.cam_from_world[:3, 3]
        np.testing.assert_allclose(in_new, 2.5 * in_old, atol=1e-12)


def test_pure_scaling_leaves_rotations_alone() -> None:
    scaled = apply_similarity(model(), Similarity.scaling(3.0))
    for image_id, image in model().images.items():
        np.testing.assert_array_equal(scaled.images[image_id].qvec_wxyz, image.qvec_wxyz)
        np.testing.assert_allclose(scaled.images[image_id].tvec, 3 * image.tvec)


def scaled_by(config: ReconstructConfig, scene: ColmapModel, gps: dict[str, GpsPosition] | None = None) -> ColmapModel:
    return apply_similarity(scene, choose_scaling(scene, config, gps or {}, seed=0).similarity)


def test_default_is_median_depth_one() -> None:
    scaling = choose_scaling(model(), ReconstructConfig(), {}, 0)
    assert (scaling.metres_per_unit, scaling.source) == (None, "none")
    assert median_depth(apply_similarity(model(), scaling.similarity)) == pytest.approx(1.0)


def test_metres_per_unit_is_of_the_normalised_frame() -> None:
    config = ReconstructConfig(metres_per_unit=4.0)
    assert median_depth(scaled_by(config, model())) == pytest.approx(4.0)
    assert choose_scaling(model(), config, {}, 0).metres_per_unit == 1.0


def test_known_distance() -> None:
    config = ReconstructConfig(known_distance=("0.jpg", "7.jpg", 12.5))
    centres = camera_centres(scaled_by(config, model()))
    assert np.linalg.norm(centres["0.jpg"] - centres["7.jpg"]) == pytest.approx(12.5)


@pytest.mark.parametrize(("a", "b", "expected"), [("0.jpg", "x.jpg", "x.jpg"), ("0.jpg", "0.jpg", "same place")])
def test_known_distance_that_cannot_be(a: str, b: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        choose_scaling(model(), ReconstructConfig(known_distance=(a, b, 1.0)), {}, 0)


def test_camera_positions_give_frame_and_scale(tmp_path: Path) -> None:
    truth = {name: TRUTH(centre[None])[0] for name, centre in camera_centres(model()).items()}
    truth["3.jpg"] = truth["3.jpg"] + 50
    path = write_positions(tmp_path / "positions.txt", truth)
    found = camera_centres(scaled_by(ReconstructConfig(camera_positions=str(path)), model()))
    for name, centre in found.items():
        if name != "3.jpg":
            np.testing.assert_allclose(centre, truth[name], atol=1e-9)


def test_positions_on_a_line_give_scale_only(tmp_path: Path) -> None:
    straight = model(on_line=True)
    truth = {name: TRUTH(centre[None])[0] for name, centre in camera_centres(straight).items()}
    config = ReconstructConfig(camera_positions=str(write_positions(tmp_path / "p.txt", truth)))
    scaling = choose_scaling(straight, config, {}, 0)
    assert scaling.similarity.scale == pytest.approx(2.5)
    np.testing.assert_array_equal(scaling.similarity.rotation, np.eye(3))
    assert "one line" in scaling.notes[0]


def test_positions_on_a_map_are_taken_and_ones_beyond_the_earth_refused(tmp_path: Path) -> None:
    far = {name: centre + np.array([5e5, 4e6, 0]) for name, centre in camera_centres(model()).items()}
    config = ReconstructConfig(camera_positions=str(write_positions(tmp_path / "p.txt", far)))
    moved = apply_similarity(model(), choose_scaling(model(), config, {}, 0).similarity)
    for name, centre in camera_centres(moved).items():
        np.testing.assert_allclose(centre, far[name], atol=1e-6)
    beyond = {name: centre * 1e3 for name, centre in far.items()}
    config = ReconstructConfig(camera_positions=str(write_positions(tmp_path / "q.txt", beyond)))
    with pytest.raises(InputError, match="check their unit"):
        choose_scaling(model(), config, {}, 0)


@pytest.mark.parametrize(
    "text",
    [
        "a.jpg 1 2 3\nb c.jpg 4 5 6e0\n",
        "name,x,y,z\na.jpg,1,2,3\nb c.jpg, 4, 5, 6\n",
        "# m\na.jpg;1;2;3\n\nb c.jpg;4;5;6",
    ],
)
def test_ways_to_write_positions(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    found = read_camera_positions(tmp_path / "p.csv")
    assert {name: position.tolist() for name, position in found.items()} == {"a.jpg": [1, 2, 3], "b c.jpg": [4, 5, 6]}


@pytest.mark.parametrize(
    "text", ["", "a.jpg 1 2\n", "a.jpg 1 2 nan\n", "a.jpg 1 2 3\na.jpg 1 2 3\n", "x\0y 1 2 3 inf\n"]
)
def test_bad_positions_are_input_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError, match=r"p\.csv"):
        read_camera_positions(tmp_path / "p.csv")


def gps_of(metres_east: float, metres_north: float) -> GpsPosition:
    """Near 45 degrees north, from the WGS84 lengths of a degree there (111131.7 m and 78846.8 m)."""
    return GpsPosition(
        latitude_deg=45 + metres_north / 111131.745, longitude_deg=7 + metres_east / 78846.835, altitude_m=300
    )


def test_local_metres_measure_as_a_map_does() -> None:
    found = local_metres({"a": gps_of(0, 0), "b": gps_of(100, 0), "c": gps_of(0, 50)})
    np.testing.assert_allclose(found["b"] - found["a"], [100, 0, 0], atol=0.02)
    np.testing.assert_allclose(found["c"] - found["a"], [0, 50, 0], atol=0.02)


def test_gps_scales_the_scene_when_asked() -> None:
    centres = camera_centres(model())
    gps = {name: gps_of(30 * centre[0], 30 * centre[1]) for name, centre in centres.items()}
    scaling = choose_scaling(model(), ReconstructConfig(gps="auto"), gps, 0)
    assert (scaling.source, scaling.metres_per_unit) == ("gps", 1.0)
    assert scaling.similarity.scale == pytest.approx(30, rel=0.02)
    assert choose_scaling(model(), ReconstructConfig(), gps, 0).source == "none"


def test_gps_within_its_noise_is_not_used_and_says_so() -> None:
    gps = {name: gps_of(*(5 * centre[:2])) for name, centre in camera_centres(model()).items()}
    scaling = choose_scaling(model(), ReconstructConfig(gps="auto"), gps, 0)
    assert scaling.source == "none"
    assert "GPS was not used" in scaling.notes[0]
    assert gps_problem({}) is not None


def test_two_sources_of_scale_are_a_config_error() -> None:
    with pytest.raises(ConfigError, match="only one source of scale"):
        parse_config(ReconstructConfig, {"metres_per_unit": 1.0, "gps": "auto"}, where="test")


@pytest.mark.parametrize("values", [{"metres_per_unit": 0}, {"metres_per_unit": float("nan")}, {"max_image_size": 0}])
def test_impossible_settings_are_config_errors(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        parse_config(ReconstructConfig, values, where="test")
