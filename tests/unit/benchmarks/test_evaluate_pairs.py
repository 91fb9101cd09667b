"""Scores of a benchmark against an obvious, slow twin that knows nothing of the fast code."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from benchmark_folders import image, seen_by_both, truth

from gs_stereo.benchmarks.evaluate_pairs import Answer, ScoringRules, evaluate_pairs, filled_from_left
from gs_stereo.benchmarks.protocol import Benchmark, OfficialProtocol
from gs_stereo.datasets.layouts.pair_files import LabelledPair, PairSource
from gs_stereo.errors import StageError

PROTOCOL = OfficialProtocol(headline="bad_2", region="noc", pooling="image_mean", source="a test")
MASKS = (True, False, True)


def make_pair(seed: int, mask: bool = True) -> LabelledPair:
    return LabelledPair(
        left=image(seed),
        right=image(seed + 1),
        disparity=truth(seed),
        non_occluded=seen_by_both(seed) if mask else None,
    )


def make_benchmark(pairs: list[LabelledPair], protocol: OfficialProtocol = PROTOCOL) -> Benchmark:
    items = [PairSource(name=f"pair{k}", read=partial(lambda pair: pair, pair)) for k, pair in enumerate(pairs)]
    return Benchmark(name="tiny", protocol=protocol, pairs=tuple(items))


PAIRS = [make_pair(seed, mask) for seed, mask in enumerate(MASKS)]


def noisy_prediction(pair: LabelledPair) -> np.ndarray:
    """Errors from none to many pixels, and a tenth of the pixels without an answer."""
    rng = np.random.default_rng(int(pair.left.sum()))
    predicted = np.nan_to_num(pair.disparity, nan=4.0) + rng.normal(0, 2.5, pair.disparity.shape)
    predicted[rng.random(predicted.shape) < 0.1] = np.nan
    return predicted


def predict(pair: LabelledPair) -> Answer:
    return Answer(disparity=noisy_prediction(pair), seconds=1.0)


def slow_scores(pairs: list[LabelledPair], region: str, missing: str) -> dict[str, float]:
    """Every pixel by itself, in plain Python."""
    per_image, everything = [], []
    for pair in pairs:
        if region == "noc" and pair.non_occluded is None:
            continue
        predicted, pixels = noisy_prediction(pair), []
        for row in range(pair.disparity.shape[0]):
            for column in range(pair.disparity.shape[1]):
                true = float(pair.disparity[row, column])
                if math.isnan(true) or (region == "noc" and not pair.non_occluded[row, column]):
                    continue
                value = float(predicted[row, column])
                pixels.append((None if math.isnan(value) else abs(value - true), true))
        per_image.append(pixels)
        everything += pixels
    scores = {f"{name}_all_pixels": value for name, value in slow_image(everything, missing).items()}
    for name in slow_image(everything, missing):
        scores[f"{name}_image_mean"] = sum(slow_image(pixels, missing)[name] for pixels in per_image) / len(per_image)
    return scores


def slow_image(pixels: list[tuple[float | None, float]], missing: str) -> dict[str, float]:
    errors = [error for error, _ in pixels if error is not None]
    counted = len(pixels) if missing == "bad" else len(errors)
    absent = len(pixels) - len(errors) if missing == "bad" else 0
    scores = {"epe": sum(errors) / len(errors)}
    for limit in (0.5, 1.0, 2.0, 3.0):
        scores[f"bad_{limit:g}"] = (absent + sum(error > limit for error in errors)) / counted
    outliers = [error for error, true in pixels if error is not None and error > 3 and error > 0.05 * true]
    scores["d1"] = (absent + len(outliers)) / counted
    return scores


@pytest.mark.parametrize("missing", ["bad", "ignore"])
@pytest.mark.parametrize("region", ["noc", "all"])
def test_scores_equal_the_slow_twin(region: str, missing: str) -> None:
    found = evaluate_pairs(make_benchmark(PAIRS), predict, ScoringRules(missing=missing)).to_json()["totals"][region]
    wanted = slow_scores(PAIRS, region, missing)
    assert len(wanted) == 12
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


def test_the_two_poolings_differ_when_images_have_different_numbers_of_pixels() -> None:
    sparse = replace(PAIRS[0], disparity=np.where(np.arange(20) < 3, PAIRS[0].disparity, np.float32(np.nan)))
    totals = evaluate_pairs(make_benchmark([sparse, PAIRS[2]]), predict).to_json()["totals"]["all"]
    assert totals["epe_all_pixels"] != pytest.approx(totals["epe_image_mean"], rel=1e-3)


def test_a_pair_without_mask_is_in_all_and_not_in_noc() -> None:
    report = evaluate_pairs(make_benchmark(PAIRS), predict)
    assert report.totals["all"].scores.images == 3
    assert report.totals["noc"].scores.images == 2
    assert [sorted(pair.regions) for pair in report.pairs] == [["all", "noc"], ["all"], ["all", "noc"]]


def test_missing_predictions_are_counted_and_the_rule_is_in_the_report() -> None:
    pair = replace(PAIRS[1], disparity=np.full((12, 20), 4.0, np.float32))
    half = np.where(np.arange(20) < 10, 4.0, np.nan) * np.ones((12, 1))
    answers = {
        rule: evaluate_pairs(
            make_benchmark([pair]), lambda _: Answer(disparity=half, seconds=0.1), ScoringRules(missing=rule)
        )
        for rule in ("bad", "ignore", "fill")
    }
    for report in answers.values():
        assert report.totals["all"].density == 0.5
    bad = {rule: report.totals["all"].value("bad_3", "all_pixels") for rule, report in answers.items()}
    assert bad == {"bad": 0.5, "ignore": 0.0, "fill": 0.0}
    assert "counts as bad" in answers["bad"].to_table()
    assert "left" in answers["fill"].to_json()["missing"]


def test_filling_takes_the_left_neighbour_and_at_the_start_of_a_row_the_first_known() -> None:
    nan = np.nan
    given = np.array([[nan, 2.0, nan, nan, 5.0, nan], [nan] * 6, [1.0, nan, 3.0, nan, nan, 6.0]])
    wanted = np.array([[2.0, 2.0, 2.0, 2.0, 5.0, 5.0], [nan] * 6, [1.0, 1.0, 3.0, 3.0, 3.0, 6.0]])
    np.testing.assert_array_equal(filled_from_left(given), wanted)
    assert np.isnan(given[0, 0])  # the input is not modified


def test_truth_beyond_the_protocol_is_left_out() -> None:
    protocol = replace(PROTOCOL, largest_truth_px=5.0)
    report = evaluate_pairs(make_benchmark(PAIRS, protocol), predict)
    wanted = sum(int((pair.disparity < 5).sum()) for pair in PAIRS)
    assert report.totals["all"].scores.pixels == wanted
    assert "5 px and more is left out" in report.to_table()


def test_seconds_are_the_median_without_the_first() -> None:
    seconds = iter([50.0, 3.0, 1.0])
    report = evaluate_pairs(
        make_benchmark(PAIRS), lambda pair: Answer(disparity=noisy_prediction(pair), seconds=next(seconds))
    )
    assert report.seconds_a_frame == 2.0
    assert report.peak_memory_bytes is None


def test_the_headline_is_the_metric_of_the_protocol() -> None:
    for metric in ("epe", "d1", "bad_1"):
        protocol = replace(PROTOCOL, headline=metric, pooling="all_pixels", region="all")
        report = evaluate_pairs(make_benchmark(PAIRS, protocol), predict)
        assert report.headline == report.to_json()["totals"]["all"][f"{metric}_all_pixels"]
        assert f"{metric.replace('_', '-')} all, all_pixels" in report.to_table()


def test_json_is_json_even_where_nothing_is_known() -> None:
    pair = replace(PAIRS[1], disparity=np.full((12, 20), np.nan, np.float32))
    values = json.loads(json.dumps(evaluate_pairs(make_benchmark([pair]), predict).to_json(), allow_nan=False))
    assert values["headline"] is None
    assert values["pairs"][0]["regions"]["all"]["epe"] is None


def test_a_prediction_of_another_size_is_an_error() -> None:
    with pytest.raises(StageError, match="must answer at the size of the image"):
        evaluate_pairs(make_benchmark(PAIRS), lambda _: Answer(disparity=np.zeros((3, 3)), seconds=0.0))
