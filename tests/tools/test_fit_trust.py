"""Calibration recovers known errors and probabilities, for every set of sources, the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from fit_trust import SCENARIOS, Examples, FitSettings, Origin, fit_trust

from gs_stereo.labels.trust import TrustModel, to_values

ORIGIN = Origin(version=7, scenes=("one",), experts=("sgbm", "other"))
SETTINGS = FitSettings(evidence=("skew_px", "photos_px", "texture"), hidden=8, steps=400, batch=256, rate=0.02)


def made_up(count: int = 8000) -> Examples:
    """Errors that grow with skew and distance to the photos; texture says nothing."""
    rng = np.random.default_rng(0)
    evidence = {name: rng.gamma(1.0, 0.5, count) for name in ("skew_px", "photos_px")}
    evidence["texture"] = rng.random(count) * 30
    scale = 0.05 + evidence["skew_px"] * (0.2 + evidence["photos_px"])
    error = rng.laplace(0, scale)
    error[::11] = np.nan
    evidence["skew_px"][::13] = np.nan
    return Examples(kind="splat", evidence=evidence, error_px=error)


@pytest.fixture(scope="module")
def model() -> TrustModel:
    return fit_trust([made_up()], ORIGIN, SETTINGS)


def test_the_model_says_what_it_was_made_of(model: TrustModel) -> None:
    assert (model.version, model.trained_on, model.experts) == (7, ("one",), ("sgbm", "other"))
    assert [(scale.name, scale.doubt) for scale in model.inputs] == [
        ("skew_px", True),
        ("photos_px", True),
        ("texture", False),
    ]


@pytest.mark.parametrize("hidden", [(), ("photos_px",)])
def test_probability_and_expected_error_are_right_on_average(model: TrustModel, hidden: tuple[str, ...]) -> None:
    examples = made_up().known()
    seen = {name: values for name, values in examples.evidence.items() if name not in hidden}
    judged = model.judge("splat", seen)
    right = examples.error_px < 1
    for part in np.array_split(np.argsort(judged.probability), 6):
        assert judged.probability[part].mean() == pytest.approx(right[part].mean(), abs=0.05)
    for part in np.array_split(np.argsort(judged.expected_error_px), 4):
        assert judged.expected_error_px[part].mean() == pytest.approx(examples.error_px[part].mean(), rel=0.3)


def test_the_same_examples_give_the_same_model(model: TrustModel) -> None:
    assert to_values(fit_trust([made_up()], ORIGIN, SETTINGS)) == to_values(model)


def test_scenarios_are_whole_and_leave_a_source_its_own_evidence() -> None:
    assert sum(scenario.share for scenario in SCENARIOS) == pytest.approx(1)
    alone = next(scenario for scenario in SCENARIOS if scenario.name == "alone")
    assert "photos_px" not in alone.hidden_of("photos")
    assert "left_right_px" not in alone.hidden_of("matched")
    assert set(alone.hidden_of("splat")) == set(alone.hidden)
