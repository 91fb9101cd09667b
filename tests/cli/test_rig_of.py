"""`gsstereo rig-of`: what a known sensor did to pairs is found again, and the file it writes is a rig."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from builders import noise
from typer.testing import CliRunner

from gs_stereo.cli.main import app
from gs_stereo.imaging.images import write_png
from gs_stereo.imaging.noise import noise_of
from gs_stereo.imaging.sensor import sensed
from gs_stereo.imaging.sensor_config import SensorConfig
from gs_stereo.io.rigs import read_rig

SIZE, SHIFT_PX = (192, 256), 11
CALIBRATION = {"width": 256, "height": 192, "fx": 200.0, "cx": 128.0, "cy": 96.0, "baseline_m": 0.1}


def scene(seed: int) -> np.ndarray:
    """Smooth shades with sharp squares on the upper half: edges, texture to match, and flat parts."""
    height, width = SIZE[0], SIZE[1] + SHIFT_PX
    image = np.linspace(40, 210, height)[:, None].repeat(width, 1)
    image = image + 0.15 * (noise((height, width), seed, 3.0)[..., 0].astype(float) - 128)
    rng = np.random.default_rng(seed)
    for row, column in rng.integers(0, (height // 2 - 16, width - 16), (60, 2)):
        image[row : row + 12, column : column + 12] += rng.uniform(-40, 40)
    return np.clip(np.repeat(image[..., None], 3, 2), 0, 255).astype(np.uint8)


def write_pairs(folder: Path, sensor: SensorConfig, count: int = 3) -> Path:
    for number in range(count):
        wide = scene(number)
        pair = sensed(wide[:, :-SHIFT_PX], wide[:, SHIFT_PX:], sensor, number)
        write_png(folder / "left" / f"{number}.png", pair.left)
        write_png(folder / "right" / f"{number}.png", pair.right)
    return folder


def test_the_sensor_is_found_again(tmp_path: Path) -> None:
    sensor = SensorConfig(grey=True, read_noise=1.5, row_offset_px=1.5, exposure_range=0.2, blur_px=0.8)
    pairs = write_pairs(tmp_path / "pairs", sensor)
    (tmp_path / "calibration.yaml").write_text(yaml.safe_dump(CALIBRATION))
    arguments = [
        "rig-of",
        pairs,
        "--calibration",
        tmp_path / "calibration.yaml",
        "--to",
        tmp_path / "rig.yaml",
        "--json",
    ]
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["disparity_px"][2] == pytest.approx(SHIFT_PX, abs=0.2)
    found = read_rig(tmp_path / "rig.yaml")
    assert found.baseline_m == 0.1
    assert found.sensor.grey
    assert found.sensor.read_noise == pytest.approx(1.5, abs=0.4)
    drawn = [sensed(scene(n)[:, :-SHIFT_PX], scene(n)[:, SHIFT_PX:], sensor, n).drawn for n in range(3)]
    assert found.sensor.row_offset_px == pytest.approx(max(abs(d["row_offset_px"]) for d in drawn), abs=0.2)
    assert found.sensor.exposure_range == pytest.approx(max(abs(d["right_gain"] - 1) for d in drawn), abs=0.05)
    assert found.sensor.edge_px2 == pytest.approx(0.8**2, abs=0.35)


def test_pairs_that_cannot_be_matched_are_told(tmp_path: Path) -> None:
    for eye in ("left", "right"):
        write_png(tmp_path / "pairs" / eye / "a.png", np.full((*SIZE, 3), 90, np.uint8))
    (tmp_path / "calibration.yaml").write_text(yaml.safe_dump(CALIBRATION))
    arguments = [
        "rig-of",
        tmp_path / "pairs",
        "--calibration",
        tmp_path / "calibration.yaml",
        "--to",
        tmp_path / "r.yaml",
    ]
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    assert "are they rectified?" in result.stdout
    assert read_rig(tmp_path / "r.yaml").sensor.read_noise == 0


def test_pairs_of_another_size_than_the_calibration_are_named(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs", SensorConfig(), count=1)
    (tmp_path / "calibration.yaml").write_text(yaml.safe_dump({**CALIBRATION, "width": 640}))
    arguments = ["rig-of", pairs, "--calibration", tmp_path / "calibration.yaml", "--to", tmp_path / "rig.yaml"]
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 3
    assert "256x192" in result.stderr
    assert not (tmp_path / "rig.yaml").exists()


@pytest.mark.parametrize(("read", "shot"), [(2.0, 0.0), (0.5, 0.25), (1.5, 0.2)])
def test_noise_is_found_in_a_ramp_and_not_in_texture(read: float, shot: float) -> None:
    ramp = np.repeat(np.repeat(np.linspace(20, 230, 640)[None, :, None], 480, 0), 3, 2).astype(np.uint8)
    cv2.circle(ramp, (300, 200), 90, (255, 0, 90), -1)
    made = sensed(ramp, ramp, SensorConfig(read_noise=read, shot_noise=shot), 1)
    found = noise_of([made.left, made.right])
    for level in (40, 200):
        wanted = np.sqrt(read**2 + shot**2 * level)
        assert np.sqrt(found.read**2 + found.shot**2 * level) == pytest.approx(wanted, rel=0.12)
