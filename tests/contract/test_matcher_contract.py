"""What every registered matcher keeps: size, NaN for unknown, determinism, untouched inputs, honest provenance."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

import cv2
import numpy as np
import pytest

from gs_stereo.errors import InputError
from gs_stereo.matching.protocol import MATCHERS, StereoMatcher

# How to make each built-in without files of the user. Others are tested with their own stand-ins.
MAKERS: dict[str, Callable[[], StereoMatcher]] = {
    "sgbm": lambda: MATCHERS.load("sgbm")(),
    "lite": lambda: MATCHERS.load("lite")(),
}
SHIFT_PX = 6


@pytest.fixture(params=sorted(MAKERS))
def matcher(request: pytest.FixtureRequest) -> StereoMatcher:
    return MAKERS[request.param]()


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(3).integers(0, 256, (64, 128 + SHIFT_PX, 3), dtype=np.uint8)
    wide = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return wide[:, :128].copy(), wide[:, SHIFT_PX:].copy()


def test_prediction(matcher: StereoMatcher, pair: tuple[np.ndarray, np.ndarray]) -> None:
    left, right = pair
    copies = left.copy(), right.copy()
    prediction = matcher.predict(left, right)
    disparity = prediction.disparity
    assert disparity.shape == (64, 128)
    assert np.issubdtype(disparity.dtype, np.floating)
    assert not np.isinf(disparity).any()
    assert not (disparity < 0).any()
    assert abs(np.nanmedian(disparity) - SHIFT_PX) < 0.5  # of the left image, positive, in pixels
    if prediction.confidence is not None:
        assert prediction.confidence.shape == (64, 128)
        assert ((prediction.confidence >= 0) & (prediction.confidence <= 1)).all()
    np.testing.assert_array_equal(left, copies[0])
    np.testing.assert_array_equal(right, copies[1])


def test_deterministic(matcher: StereoMatcher, pair: tuple[np.ndarray, np.ndarray]) -> None:
    one, two = (matcher.predict(*pair).disparity for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_read_only_and_strided_inputs(matcher: StereoMatcher, pair: tuple[np.ndarray, np.ndarray]) -> None:
    left, right = (np.asfortranarray(image) for image in pair)
    left.flags.writeable = right.flags.writeable = False
    np.testing.assert_array_equal(matcher.predict(left, right).disparity, matcher.predict(*pair).disparity)


def test_two_sizes_are_refused(matcher: StereoMatcher, pair: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(InputError):
        matcher.predict(pair[0], pair[1][:-1])


def test_provenance(matcher: StereoMatcher) -> None:
    provenance = matcher.provenance
    assert provenance.name
    assert provenance.version
    assert provenance.licence
    assert json.loads(json.dumps(asdict(provenance), allow_nan=False)) == asdict(provenance)
