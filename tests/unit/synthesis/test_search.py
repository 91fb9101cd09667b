"""The baseline search: it finds a planted scale, demands coverage, and works with any matcher."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gs_stereo.config import parse_config
from gs_stereo.errors import ConfigError, InputError
from gs_stereo.matching.sgbm import SgbmMatcher
from gs_stereo.synthesis.protocol import SourceView, SynthesizerSettings
from gs_stereo.synthesis.search import RealPair, SearchConfig, search_baseline
from gs_stereo.synthesis.warp import WarpSynthesizer
from gs_stereo.types import DisparityPrediction, Provenance

SIZE = (96, 160)


def source() -> SourceView:
    noise = np.random.default_rng(0).normal(size=(*SIZE, 3))
    image = np.clip(128 + 300 * cv2.GaussianBlur(noise, (0, 0), 1.5), 0, 255).astype(np.uint8)
    depth = np.full(SIZE, 1.0)
    depth[30:70, 60:110] = 0.6
    return SourceView(image=image, intrinsics=np.array([[80.0, 0, 80], [0, 80, 48], [0, 0, 1]]), depth=depth)


def made_at(baseline: float) -> np.ndarray:
    return WarpSynthesizer(SynthesizerSettings()).synthesize(source(), baseline, 0).image


class ShiftMatcher:
    """A matcher of third parties that knows no range: one whole shift for the whole picture."""

    @property
    def provenance(self) -> Provenance:
        return Provenance(name="shift", version="1", licence="CC0-1.0")

    def predict(self, left: np.ndarray, right: np.ndarray) -> DisparityPrediction:
        errors = [
            np.abs(left[:, d:].astype(float) - right[:, : right.shape[1] - d].astype(float)).mean() for d in range(30)
        ]
        return DisparityPrediction(disparity=np.full(left.shape[:2], float(np.argmin(errors)), np.float32))


@pytest.mark.parametrize("planted", [0.06, 0.17])
def test_it_finds_a_planted_scale(planted: float) -> None:
    real = RealPair.of(source().image, made_at(planted), SgbmMatcher())
    found = search_baseline(made_at, real)
    assert found.best.baseline == pytest.approx(planted, rel=0.06)
    assert found.best.rmse_px < 0.5
    assert found.covered
    assert found.best.coverage > 0.7
    assert len(found.tried) == 8 + 2 * 4
    assert [each.baseline for each in found.tried] == sorted(each.baseline for each in found.tried)


def test_a_matcher_without_a_range_will_do() -> None:
    real = RealPair.of(source().image, made_at(0.17), ShiftMatcher())
    found = search_baseline(made_at, real)
    assert abs(found.best.baseline * 80 - 0.17 * 80) < 1.5


def test_pictures_that_cannot_be_matched_do_not_win() -> None:
    real = RealPair.of(source().image, made_at(0.17), SgbmMatcher())
    noise = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)

    def make(baseline: float) -> np.ndarray:
        return noise if baseline > 0.1 else made_at(baseline)

    found = search_baseline(make, real)
    assert found.best.baseline <= 0.1
    nothing = search_baseline(lambda baseline: noise, real)
    assert not nothing.covered
    assert nothing.best.coverage < 0.3


def test_one_picture_is_matched_once() -> None:
    asked = []

    class Counting(SgbmMatcher):
        def left_disparities(self, pairs, max_disparity_px):  # type: ignore[no-untyped-def]
            asked.append(max_disparity_px)
            return super().left_disparities(pairs, max_disparity_px)

    real = RealPair.of(source().image, made_at(0.1), Counting())
    before = len(asked)
    search_baseline(lambda baseline: source().image, real)
    assert len(asked) == before + 1
    assert asked[-1] == pytest.approx(real.range_px)


def test_what_cannot_be_searched_is_said() -> None:
    flat = np.zeros((*SIZE, 3), np.uint8)
    noise = np.random.default_rng(1).integers(0, 256, (*SIZE, 3), np.uint8)
    with pytest.raises(InputError, match="real pair cannot be matched"):
        RealPair.of(flat, noise, SgbmMatcher())
    with pytest.raises(ConfigError, match="smallest must be below largest"):
        parse_config(SearchConfig, {"smallest": 2.0}, where="test")
