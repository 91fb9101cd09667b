"""Semi-global matching: what a pixel cannot tell comes from its surroundings, up to an edge."""

from __future__ import annotations

import numpy as np
import pytest

from gs_stereo.mvs.semi_global import aggregate, cheapest

_LABELS, _HEIGHT, _WIDTH = 7, 12, 16


def _cost(labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """0 at the label of a known pixel and 1 elsewhere; 1 everywhere at unknown pixels."""
    cost = np.ones((_LABELS, *labels.shape), np.float32)
    np.put_along_axis(cost, labels[None], np.where(known, 0.0, 1.0)[None].astype(np.float32), axis=0)
    return cost


def test_cheapest_is_the_first_minimum() -> None:
    cost = np.random.default_rng(0).integers(0, 3, (_LABELS, _HEIGHT, _WIDTH)).astype(np.float32)
    assert np.array_equal(cheapest(cost), cost.argmin(axis=0))


def test_known_labels_stay() -> None:
    labels = np.where(np.arange(_WIDTH) < _WIDTH // 2, 1, 5) * np.ones((_HEIGHT, 1), np.int64)
    total = aggregate(_cost(labels, np.ones(labels.shape, bool)), np.full(labels.shape, 0.5))
    assert np.array_equal(cheapest(total), labels)


@pytest.mark.parametrize("edge", [5, 11])
def test_unknown_pixels_take_the_label_on_their_side_of_an_edge(edge: int) -> None:
    left = np.arange(_WIDTH) < edge
    labels = np.where(left, 1, 5) * np.ones((_HEIGHT, 1), np.int64)
    known = np.zeros(labels.shape, bool)
    known[:, [0, 1, _WIDTH - 2, _WIDTH - 1]] = True
    gray = np.where(left, 0.2, 0.8) * np.ones((_HEIGHT, 1))
    assert np.array_equal(cheapest(aggregate(_cost(labels, known), gray)), labels)


def test_a_single_wrong_pixel_is_outvoted() -> None:
    labels = np.full((_HEIGHT, _WIDTH), 3)
    wrong = labels.copy()
    wrong[6, 8] = 6
    total = aggregate(_cost(wrong, np.ones(labels.shape, bool)), np.full(labels.shape, 0.5))
    assert np.array_equal(cheapest(total), labels)


def test_mirrored_costs_give_mirrored_totals() -> None:
    random = np.random.default_rng(1)
    cost = random.uniform(0, 2, (_LABELS, _HEIGHT, _WIDTH)).astype(np.float32)
    gray = random.uniform(0, 1, (_HEIGHT, _WIDTH))
    total = aggregate(cost, gray)
    assert aggregate(cost[:, :, ::-1], gray[:, ::-1])[:, :, ::-1] == pytest.approx(total, abs=1e-5)
    assert aggregate(cost[:, ::-1], gray[::-1])[:, ::-1] == pytest.approx(total, abs=1e-5)
    assert aggregate(cost.transpose(0, 2, 1), gray.T).transpose(0, 2, 1) == pytest.approx(total, abs=1e-5)
