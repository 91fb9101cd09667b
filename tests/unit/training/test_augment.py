"""Augmentation keeps the label true, changes what it says, and depends on the generator only."""

from __future__ import annotations

import numpy as np
import pytest
from builders import shifted_pair

from gs_stereo.training.stereo.augment import TrainingPair, augmented
from gs_stereo.training.stereo.config import AugmentConfig

NOTHING = AugmentConfig(
    min_scale_log2=0,
    max_scale_log2=0,
    stretch_log2=0,
    brightness=0,
    contrast=0,
    saturation=0,
    gamma=0,
    grey_share=0,
    asymmetric=0,
    noise=0,
    blur_share=0,
    vertical_px=0,
    eraser_share=0,
)
SHIFT_PX = 6


@pytest.fixture
def pair() -> TrainingPair:
    left, right = shifted_pair((60, 100), SHIFT_PX, seed=0)
    disparity = np.full((60, 100), SHIFT_PX, np.float32)
    disparity[10:20, 30:40] = np.nan
    return TrainingPair(
        left=left.astype(np.float32) / 255,
        right=right.astype(np.float32) / 255,
        disparity=disparity,
        confidence=np.where(np.isnan(disparity), 0, 1).astype(np.float32),
        hidden=np.arange(100)[None].repeat(60, axis=0) < SHIFT_PX,
    )


def changed(pair: TrainingPair, seed: int = 0, **settings: object) -> TrainingPair:
    config = AugmentConfig.model_validate({**NOTHING.model_dump(), **settings})
    return augmented(pair, (40, 64), config, np.random.default_rng(seed))


def test_without_any_change_it_is_a_crop(pair: TrainingPair) -> None:
    crop = changed(pair)
    starts = [
        (row, column)
        for row in range(21)
        for column in range(37)
        if np.allclose(pair.left[row : row + 40, column : column + 64], crop.left, atol=1e-6)
    ]
    assert len(starts) == 1
    row, column = starts[0]
    for name in ("right", "disparity", "confidence", "hidden"):
        expected = getattr(pair, name)[row : row + 40, column : column + 64]
        np.testing.assert_allclose(getattr(crop, name), expected, atol=1e-6)


def test_resizing_keeps_the_label_true(pair: TrainingPair) -> None:
    scales = []
    for seed in range(8):
        crop = changed(pair, seed, min_scale_log2=-0.4, max_scale_log2=1, stretch_log2=0.3)
        known = np.unique(np.round(crop.disparity[np.isfinite(crop.disparity)], 3))
        assert len(known) == 1
        scales.append(known[0] / SHIFT_PX)
        shift = round(float(known[0]))
        if abs(known[0] - shift) < 0.1:
            difference = np.abs(crop.left[:, shift:] - crop.right[:, : 64 - shift])
            assert difference.mean() < 0.05
    assert min(scales) < 0.99 < 1.2 < max(scales)


def test_colour_differs_between_the_eyes_only_if_asymmetric(pair: TrainingPair) -> None:
    def difference(crop: TrainingPair) -> float:
        return float(np.abs(crop.left[:, SHIFT_PX:] - crop.right[:, :-SHIFT_PX]).mean())

    common = changed(pair, brightness=0.4, contrast=0.4, saturation=0.5, gamma=0.4)
    other = changed(pair, brightness=0.4, contrast=0.4, saturation=0.5, gamma=0.4, asymmetric=1)
    assert np.abs(common.left - changed(pair).left).mean() > 0.01
    assert difference(common) < 0.02 < difference(other)


@pytest.mark.parametrize(
    "settings",
    [{"noise": 0.1}, {"blur_share": 1, "blur_px": 2}, {"vertical_px": 2}, {"eraser_share": 1}, {"grey_share": 1}],
)
def test_each_part_changes_the_right_image_and_no_label(pair: TrainingPair, settings: dict[str, object]) -> None:
    plain, crop = changed(pair), changed(pair, **settings)
    assert np.abs(crop.right - plain.right).max() > 0.01
    np.testing.assert_array_equal(crop.disparity, plain.disparity)
    assert ((crop.right >= 0) & (crop.right <= 1)).all()


def test_turned_upside_down_it_still_matches(pair: TrainingPair) -> None:
    plain, crop = changed(pair), changed(pair, flip_share=1)
    np.testing.assert_allclose(crop.left, plain.left[::-1], atol=1e-6)
    np.testing.assert_array_equal(crop.disparity, plain.disparity[::-1])


def test_small_pairs_are_enlarged_to_the_crop(pair: TrainingPair) -> None:
    crop = augmented(pair, (96, 128), NOTHING, np.random.default_rng(0))
    assert crop.left.shape == (96, 128, 3)
    assert np.nanmedian(crop.disparity) == pytest.approx(SHIFT_PX * 1.28)


def test_the_generator_decides_and_the_input_stays(pair: TrainingPair) -> None:
    copies = {name: value.copy() for name, value in vars(pair).items()}
    one, two, other = (augmented(pair, (40, 64), AugmentConfig(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one.left, two.left)
    assert not np.array_equal(one.left, other.left)
    for name, value in copies.items():
        np.testing.assert_array_equal(getattr(pair, name), value)


def test_a_sensor_changes_the_images_and_not_the_label(pair: TrainingPair) -> None:
    sensor = {"grey": True, "read_noise": 3.0, "row_offset_px": 2.0}
    clean, seen = changed(pair), changed(pair, sensor=sensor, noise=0.4, blur_share=1.0, vertical_px=5.0)
    np.testing.assert_array_equal(seen.disparity, clean.disparity)
    np.testing.assert_array_equal(seen.hidden, clean.hidden)
    assert (seen.left[..., 0] == seen.left[..., 2]).all()
    grey = clean.left @ np.array([0.299, 0.587, 0.114], np.float32)
    assert (seen.left[..., 0] - grey).std() * 255 == pytest.approx(3.0, rel=0.15)  # and not the general noise and blur
    moved = np.abs(seen.right[..., 0] - clean.right @ np.array([0.299, 0.587, 0.114], np.float32)).mean()
    assert moved > 1.5 * np.abs(seen.left[..., 0] - grey).mean()
    again = changed(pair, sensor=sensor)
    np.testing.assert_array_equal(again.right, changed(pair, sensor=sensor).right)
