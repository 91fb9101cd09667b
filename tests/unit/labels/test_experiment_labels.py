"""What the experiment's two splat labels mean: all of the depth, or only what every check lets through."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from builders import Board, board_pair

from gs_stereo.config import parse_config
from gs_stereo.labels.config import LabelConfig
from gs_stereo.labels.splat import splat_label
from gs_stereo.pipeline.recipe import LabelSource, load_recipe
from gs_stereo.types import StereoPair


@pytest.fixture
def sources() -> dict[str, LabelSource]:
    matrix = load_recipe(Path("expert_vs_splat")).matrix
    assert matrix is not None
    return matrix.labels


@pytest.fixture
def scene() -> tuple[StereoPair, np.ndarray, np.ndarray]:
    """A board before a wall, with a see-through and an ambiguous stripe; the pair, its disparity, what is hidden."""
    pair, disparity, hidden = board_pair((Board(disparity_px=4.0), Board(disparity_px=20.0, x_from=70, x_to=100)))
    alpha, expected = pair.left_depth.alpha.copy(), pair.left_depth.expected.copy()
    alpha[:, 120:124] = 0.6
    expected[:, 130:134] *= 1.5
    depth = dataclasses.replace(pair.left_depth, alpha=alpha, expected=expected)
    return dataclasses.replace(pair, left_depth=depth), disparity, hidden


def rules(source: LabelSource) -> LabelConfig:
    return parse_config(LabelConfig, source.label["rules"], where="the recipe")


def test_raw_splat_drops_nothing(sources: dict[str, LabelSource], scene: tuple[StereoPair, np.ndarray, np.ndarray]):
    pair, disparity, _ = scene
    np.testing.assert_allclose(splat_label(pair, rules(sources["raw_splat"])).disparity, disparity, rtol=1e-6)
    assert sources["raw_splat"].loss == {"weigh_by_confidence": False}


def test_filtered_splat_keeps_what_both_eyes_see_clearly(
    sources: dict[str, LabelSource], scene: tuple[StereoPair, np.ndarray, np.ndarray]
) -> None:
    pair, disparity, hidden = scene
    source = sources["filtered_splat"]
    label = splat_label(pair, rules(source))
    used = np.isfinite(label.disparity) & (label.confidence >= 255 * source.loss["min_confidence"])
    expected = ~hidden & (np.arange(160) >= 4)
    for stripe in (slice(120, 124), slice(130, 134)):
        expected[:, stripe] = False
    np.testing.assert_array_equal(used, expected)
    np.testing.assert_allclose(label.disparity[used], disparity[used], rtol=1e-6)


def test_expected_depth_is_the_mean_along_the_ray(scene: tuple[StereoPair, np.ndarray, np.ndarray]) -> None:
    pair, disparity, _ = scene
    matrix = load_recipe(Path("labels_with_power")).matrix
    assert matrix is not None
    found = splat_label(pair, rules(matrix.labels["stock_splat_expected"])).disparity
    np.testing.assert_allclose(found[:, 130:134], disparity[:, 130:134] / 1.5, rtol=1e-6)
    np.testing.assert_allclose(found[:, :130], disparity[:, :130], rtol=1e-6)
