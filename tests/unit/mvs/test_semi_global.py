"""Semi-global matching: what a pixel cannot tell comes from its surroundings, up to an edge."""

from __future__ import annotations

import numpy as np
import pytest

from gs_stereo.mvs.config import SweepConfig
from gs_stereo.mvs.kernels import aggregate

_LABELS, _HEIGHT, _WIDTH = 7, 12, 16
_CONFIG = SweepConfig()


def _cost(labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """0 at the label of a known pixel and 1 elsewhere; 1 everywhere at unknown pixels."""
    cost = np.ones((*labels.shape, _LABELS), np.float32)
    np.put_along_axis(cost, labels[..., None], np.where(known, 0.0, 1.0)[..., None].astype(np.float32), axis=2)
    return cost


def _cheapest(cost: np.ndarray, gray: np.ndarray) -> np.ndarray:
    return aggregate(cost, gray, _CONFIG, 1).argmin(axis=2)


def _even(shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, 128, np.uint8)


def test_known_labels_stay() -> None:
    labels = np.where(np.arange(_WIDTH) < _WIDTH // 2, 1, 5) * np.ones((_HEIGHT, 1), np.int64)
    known = np.ones(labels.shape, bool)
    guide = np.where(labels == 1, 51, 204).astype(np.uint8)
    assert np.array_equal(_cheapest(_cost(labels, known), guide), labels)


@pytest.mark.parametrize("edge", [5, 11])
def test_unknown_pixels_take_the_label_on_their_side_of_an_edge(edge: int) -> None:
    left = np.arange(_WIDTH) < edge
    labels = np.where(left, 1, 5) * np.ones((_HEIGHT, 1), np.int64)
    known = np.zeros(labels.shape, bool)
    known[:, [0, 1, _WIDTH - 2, _WIDTH - 1]] = True
    guide = (np.where(left, 51, 204) * np.ones((_HEIGHT, 1))).astype(np.uint8)
    assert np.array_equal(_cheapest(_cost(labels, known), guide), labels)


def test_a_single_wrong_pixel_is_outvoted() -> None:
    labels = np.full((_HEIGHT, _WIDTH), 3)
    wrong = labels.copy()
    wrong[6, 8] = 6
    assert np.array_equal(_cheapest(_cost(wrong, np.ones(labels.shape, bool)), _even(labels.shape)), labels)


def test_mirrored_costs_give_mirrored_totals() -> None:
    random = np.random.default_rng(1)
    cost = random.uniform(0, 2, (_HEIGHT, _WIDTH, _LABELS)).astype(np.float32)
    gray = random.integers(0, 256, (_HEIGHT, _WIDTH), np.uint8)
    total = aggregate(cost, gray, _CONFIG, 1)
    assert aggregate(cost[:, ::-1], gray[:, ::-1], _CONFIG, 1)[:, ::-1] == pytest.approx(total, abs=1e-4)
    assert aggregate(cost[::-1], gray[::-1], _CONFIG, 1)[::-1] == pytest.approx(total, abs=1e-4)
    turned = aggregate(cost.transpose(1, 0, 2), gray.T, _CONFIG, 1).transpose(1, 0, 2)
    assert turned == pytest.approx(total, abs=1e-4)
