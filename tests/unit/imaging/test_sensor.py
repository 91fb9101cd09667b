"""A camera's effects, each measured on its own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builders import noise

from gs_stereo.imaging.sensor import left_over, sensed
from gs_stereo.imaging.sensor_config import SensorConfig
from gs_stereo.imaging.sharpness import edge_width_px2

SCENE = noise((96, 128), 3, 2.0)


def flat(level: int) -> np.ndarray:
    return np.full((96, 128, 3), level, np.uint8)


def squares() -> np.ndarray:
    image = np.full((160, 160, 3), 60, np.uint8)
    for row in range(10, 150, 40):
        for column in range(10, 150, 40):
            image[row : row + 20, column : column + 20] = 190
    return image


def test_no_effect_leaves_the_images_alone() -> None:
    pair = sensed(SCENE, SCENE, SensorConfig(), 1)
    np.testing.assert_array_equal(pair.left, SCENE)
    np.testing.assert_array_equal(pair.right, SCENE)


@pytest.mark.parametrize("level", [40, 160])
def test_noise_has_the_variance_of_its_model(level: int) -> None:
    pair = sensed(flat(level), flat(level), SensorConfig(read_noise=1.5, shot_noise=0.3), 1)
    for image in (pair.left, pair.right):
        assert image.std() == pytest.approx(np.sqrt(1.5**2 + 0.3**2 * level + 1 / 12), rel=0.03)
    assert not np.array_equal(pair.left, pair.right)


def test_the_same_seed_gives_the_same_bytes_and_what_was_drawn() -> None:
    config = SensorConfig(read_noise=1, row_offset_px=0.5, rotation_deg=0.2, radial=0.01, exposure_range=0.1)
    one, two, other = (sensed(SCENE, SCENE, config, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.right, two.right)
    assert one.drawn == two.drawn != other.drawn
    assert abs(one.drawn["row_offset_px"]) <= 0.5
    assert abs(one.drawn["right_gain"] - 1) <= 0.1


def test_residue_moves_the_right_image_only() -> None:
    pair = sensed(SCENE, SCENE, SensorConfig(row_offset_px=2, rotation_deg=0.5, radial=0.01), 1)
    np.testing.assert_array_equal(pair.left, SCENE)
    assert np.abs(pair.right.astype(int) - SCENE).mean() > 1


def test_residue_has_the_stated_size_and_direction() -> None:
    np.testing.assert_array_equal(left_over(SCENE, row_offset_px=3.0)[3:], SCENE[:-3])
    dot = np.zeros((101, 101, 3), np.uint8)
    dot[50, 90] = 255
    turned = left_over(dot, rotation_deg=10.0)[..., 0]
    row, column = np.unravel_index(int(turned.argmax()), turned.shape)
    assert (row, column) == (round(50 + 40 * np.sin(np.deg2rad(10))), round(50 + 40 * np.cos(np.deg2rad(10))))
    stretched = left_over(dot, radial=0.1)[..., 0]
    assert int(stretched.argmax()) % 101 == 91  # 40 px of 71 to the corner, which keeps a tenth: 41.3 px


def test_edges_become_as_wide_as_asked_and_never_sharper() -> None:
    clean = squares()
    wide = sensed(clean, clean, SensorConfig(edge_px2=1.5), 1)
    assert edge_width_px2(wide.left) == pytest.approx(1.5, abs=0.25)
    soft = cv2.GaussianBlur(clean, (0, 0), 2.0)
    np.testing.assert_array_equal(sensed(soft, soft, SensorConfig(edge_px2=1.5), 1).left, soft)


def test_grey_exposure_and_jpeg() -> None:
    grey = sensed(SCENE, SCENE, SensorConfig(grey=True), 1).left
    assert (grey[..., 0] == grey[..., 2]).all()
    dark = sensed(flat(200), flat(200), SensorConfig(exposure=0.5), 1).left
    assert dark[0, 0, 0] == pytest.approx(200 * 0.5 ** (1 / 2.2), abs=1)
    error = np.abs(sensed(SCENE, SCENE, SensorConfig(jpeg_quality=40), 1).left.astype(int) - SCENE).mean()
    assert 0.5 < error < 12
