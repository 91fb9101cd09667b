"""Laws of the disparity metrics."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gs_stereo.metrics.disparity import DisparityMetrics, edge_mask

MAPS = arrays(np.float64, (4, 6), elements=st.one_of(st.floats(0.0, 300.0), st.just(float("nan"))))


def _scores(pairs, **options):
    metrics = DisparityMetrics(**options)
    for predicted, truth in pairs:
        metrics.update(predicted, truth)
    return metrics.compute()


@given(MAPS, MAPS, MAPS, MAPS)
def test_pooling_is_the_same_as_one_large_image(a, b, c, d):
    apart = _scores([(a, b), (c, d)])
    together = _scores([(np.vstack([a, c]), np.vstack([b, d]))])
    assert apart.pixels == together.pixels
    np.testing.assert_allclose(apart.epe_all_pixels, together.epe_all_pixels, rtol=1e-12, equal_nan=True)
    np.testing.assert_equal(list(apart.bad_all_pixels.values()), list(together.bad_all_pixels.values()))


@given(MAPS, MAPS)
def test_a_larger_threshold_never_counts_more(predicted, truth):
    shares = list(_scores([(predicted, truth)], uncovered_counts_as_bad=True).bad_all_pixels.values())
    assert all(np.isnan(shares)) or all(a >= b for a, b in pairwise(shares))


@given(MAPS)
def test_a_prediction_of_the_truth_is_perfect(truth):
    scores = _scores([(truth, truth)])
    assert scores.pixels == np.isfinite(truth).sum()
    if scores.pixels:
        assert (scores.coverage, scores.epe_all_pixels, scores.d1_all_pixels) == (1.0, 0.0, 0.0)


@given(MAPS, MAPS)
def test_uncovered_as_bad_is_never_kinder(predicted, truth):
    strict = _scores([(predicted, truth)], uncovered_counts_as_bad=True)
    kind = _scores([(predicted, truth)])
    for limit, share in kind.bad_all_pixels.items():
        assert np.isnan(share) or strict.bad_all_pixels[limit] >= share - 1e-12


@given(arrays(np.float64, (5, 7), elements=st.floats(0.5, 10.0)), st.integers(0, 4))
def test_edges_grow_with_the_radius_and_ignore_the_unit(depth, radius):
    inner = edge_mask(depth, radius)
    assert not (inner & ~edge_mask(depth, radius + 1)).any()
    np.testing.assert_array_equal(edge_mask(depth * 2.0, radius), inner)
