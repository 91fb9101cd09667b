"""Stereo cameras from our own rig files and from calibrations of other programs, all of one and the same camera."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from builders import camera_at

from gs_stereo.errors import InputError
from gs_stereo.geometry.rotations import matrix_from_quaternion
from gs_stereo.imaging.sensor_config import SensorConfig
from gs_stereo.io.rigs import read_rig, rig_text

SIZE = (640, 480)
K1 = np.array([[450.0, 0, 310.0], [0, 452.0, 250.0], [0, 0, 1]])
K2 = np.array([[455.0, 0, 322.0], [0, 456.0, 241.0], [0, 0, 1]])
D1, D2 = np.array([-0.05, 0.01, 0.0005, -0.0003]), np.array([-0.04, 0.008, -0.0002, 0.0004])
R = matrix_from_quaternion(np.array([1, 0.002, -0.004, 0.003]))
T = np.array([-0.0751, 0.0004, -0.0006])
RECTIFIED = {"width": 640, "height": 480, "fx": 451.0, "cx": 299.0, "cy": 255.0, "baseline_m": 0.075}


def opencv_yaml(path: Path, **matrices: np.ndarray) -> Path:
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in matrices.items():
        storage.write(name, value if value.ndim > 1 else value[:, None])
    storage.write("image_width", SIZE[0])
    storage.write("image_height", SIZE[1])
    storage.release()
    return path


def rectified() -> tuple[np.ndarray, np.ndarray]:
    _, _, p1, p2, *_ = cv2.stereoRectify(K1, D1, K2, D2, SIZE, R, T[:, None], flags=cv2.CALIB_ZERO_DISPARITY, alpha=0)
    return p1, p2


def raw_of_opencv(folder: Path) -> Path:
    return opencv_yaml(folder / "stereo.yml", M1=K1, D1=D1, M2=K2, D2=D2, R=R, T=T)


def projections_of_opencv(folder: Path) -> Path:
    p1, p2 = rectified()
    return opencv_yaml(folder / "extrinsics.yml", P1=p1, P2=p2, R=R)


def q_of_opencv(folder: Path) -> Path:
    found = cv2.stereoRectify(K1, D1, K2, D2, SIZE, R, T[:, None], flags=cv2.CALIB_ZERO_DISPARITY, alpha=0)
    return opencv_yaml(folder / "q.yml", Q=found[4])


def ros(folder: Path) -> Path:
    for name, projection in zip(("left", "right"), rectified(), strict=True):
        matrix = {"rows": 3, "cols": 4, "data": projection.ravel().tolist()}
        values = {"image_width": 640, "image_height": 480, "camera_name": name, "projection_matrix": matrix}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values))
    (folder / "rig.yaml").write_text("calibration: [left.yaml, right.yaml]\nsensor: {read_noise: 2}\n")
    return folder / "rig.yaml"


def kalibr(folder: Path) -> Path:
    chain = {}
    for name, matrix, distortion in (("cam0", K1, D1), ("cam1", K2, D2)):
        numbers = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
        chain[name] = {
            "camera_model": "pinhole",
            "distortion_model": "radtan",
            "intrinsics": [float(number) for number in numbers],
            "distortion_coeffs": distortion.tolist(),
            "resolution": list(SIZE),
        }
    pose = np.block([[R, T[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])
    chain["cam1"]["T_cn_cnm1"] = pose.tolist()
    (folder / "camchain.yaml").write_text(yaml.safe_dump(chain))
    return folder / "camchain.yaml"


def depthai(folder: Path) -> Path:
    def camera(matrix: np.ndarray, distortion: np.ndarray, rotation: np.ndarray, translation: np.ndarray, to: int):
        outer = {"rotationMatrix": rotation.tolist(), "toCameraSocket": to}
        outer["translation"] = dict(zip("xyz", (100 * translation).tolist(), strict=True))
        values = {"intrinsicMatrix": matrix.tolist(), "distortionCoeff": distortion.tolist(), "extrinsics": outer}
        return {**values, "width": SIZE[0], "height": SIZE[1], "cameraType": 0}

    cameras = [[1, camera(K1, D1, R, T, 2)], [2, camera(K2, D2, np.eye(3), np.array([0, 0, 0.0]), 0)]]
    (folder / "device.json").write_text(json.dumps({"cameraData": cameras, "stereoConfigData": {}}))
    return folder / "device.json"


@pytest.mark.parametrize("write", [raw_of_opencv, projections_of_opencv, q_of_opencv, ros, kalibr, depthai])
def test_every_format_describes_the_same_rectified_camera(tmp_path: Path, write) -> None:
    rig = read_rig(write(tmp_path))
    p1, p2 = rectified()
    np.testing.assert_allclose(rig.intrinsics, p1[:, :3] + [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]], atol=1e-3)
    assert rig.baseline_m == pytest.approx(-p2[0, 3] / p2[0, 0], rel=1e-6) == pytest.approx(0.0751, rel=1e-3)
    assert (rig.width, rig.height) == SIZE
    assert rig.doffs_px == pytest.approx(0, abs=1e-6)
    assert rig.sensor.read_noise == (2 if write is ros else 0)
    assert all(path.is_file() for path in rig.files)


def test_principal_points_that_differ_are_doffs(tmp_path: Path) -> None:
    p1, p2 = rectified()
    p2[0, 2] += 3
    q = np.array([[1, 0, 0, -300], [0, 1, 0, -250], [0, 0, 0, 450], [0, 0, 1 / 0.1, 3 / 0.1]])
    for name, matrices in (("p", {"P1": p1, "P2": p2}), ("q", {"Q": q})):
        assert read_rig(opencv_yaml(tmp_path / f"{name}.yml", **matrices)).doffs_px == pytest.approx(3)


def test_a_stated_rig_is_seen_from_a_view_and_written_back(tmp_path: Path) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump({**RECTIFIED, "doffs": 1.5, "sensor": {"grey": True, "blur_px": 0.7}}))
    rig = read_rig(path)
    assert rig.sensor == SensorConfig(grey=True, blur_px=0.7)
    assert rig.intrinsics.tolist() == [[451, 0, 299.5], [0, 451, 255.5], [0, 0, 1]]
    view = camera_at("photo", 1.0)
    left = rig.at(view)
    assert (left.name, left.width, left.height) == ("photo", 640, 480)
    assert left.cam_from_world is view.cam_from_world
    path.write_text(rig_text(rig, "what it is\nand how it was found"))
    again = read_rig(path)
    assert (again.doffs_px, again.baseline_m, again.sensor) == (1.5, 0.075, rig.sensor)
    np.testing.assert_array_equal(again.intrinsics, rig.intrinsics)


def test_the_calibration_beside_a_pair(tmp_path: Path) -> None:
    values = {"width": 640, "height": 480, "fx": 451.0, "fy": 451.0, "cx_left": 299.0, "cx_right": 299.0, "cy": 255.0}
    (tmp_path / "calib.json").write_text(json.dumps({**values, "doffs": 0.0, "baseline_m": 0.075, "model": "pinhole"}))
    rig = read_rig(tmp_path / "calib.json")
    assert (rig.width, rig.intrinsics[0, 2], rig.baseline_m) == (640, 299.5, 0.075)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no rig"),
        ("width: 640\n", "does not say height, fx, cx, cy, baseline_m"),
        (yaml.safe_dump({**RECTIFIED, "sensor": {"noise": 1}}), "sensor.noise"),
        ("calibration: missing.yaml\n", "There is no file"),
        ("image_width: 640\ncamera_matrix: {data: [1]}\n", r"calibration: \[left.yaml, right.yaml\]"),
        ("Q: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0]\nsize: [64, 48]\n", "cannot be used"),
        ("P1: [1]\nP2: [1]\nimage_width: 640\nimage_height: 480\n", "cannot be used"),
        ("%YAML:1.0\n---\nM1: !!opencv-matrix\n  data: [.nan]\nsize: [640, 480]\n", "cannot be used"),
        ("a: &a [*a]\n", "not readable YAML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rig.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_rig(tmp_path / "rig.yaml")


def test_millimetres_are_found_out_and_can_be_stated(tmp_path: Path) -> None:
    opencv_yaml(tmp_path / "mm.yml", M1=K1, D1=D1, M2=K2, D2=D2, R=R, T=1000 * T)
    with pytest.raises(InputError, match=r"metres_per_calibration_unit: 0.001"):
        read_rig(tmp_path / "mm.yml")
    (tmp_path / "rig.yaml").write_text("calibration: mm.yml\nmetres_per_calibration_unit: 0.001\n")
    assert read_rig(tmp_path / "rig.yaml").baseline_m == pytest.approx(0.0751, rel=1e-3)
