"""The trust model: its functions, its file, and that calibration recovers known probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from gs_stereo.errors import ConfigError
from gs_stereo.labels.calibrate import fit_variant
from gs_stereo.labels.evidence import EVIDENCE
from gs_stereo.labels.trust import Term, TrustModel, Variant, load_trust, to_values

GAP = Term(knots=(0.0, 1.0, 3.0), doubt=(0.0, 2.0, 6.0), unknown=1.0)
SMALL = Variant(kind="splat", bias=4.0, terms={"gap": GAP})
LARGE = Variant(kind="splat", bias=5.0, terms={"gap": GAP, "more": Term(knots=(0.0,), doubt=(0.0,), unknown=0.5)})
MODEL = TrustModel(version=3, trained_on=("a", "b"), variants=(SMALL, LARGE))


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def test_a_term_is_linear_between_knots_and_constant_outside() -> None:
    values = np.array([[-1.0, 0.5, 2.0, 9.0, np.nan]])
    expected = [sigmoid(4 - doubt) for doubt in (0, 1, 4, 6, 1)]
    np.testing.assert_allclose(MODEL.probability("splat", {"gap": values})[0], expected)


def test_the_variant_with_most_evidence_judges() -> None:
    values = np.zeros((1, 1))
    assert MODEL.probability("splat", {"gap": values, "more": values})[0, 0] == pytest.approx(sigmoid(5))
    assert MODEL.probability("splat", {"gap": values, "else": values})[0, 0] == pytest.approx(sigmoid(4))
    with pytest.raises(ConfigError, match="photos"):
        MODEL.probability("photos", {"gap": values})


def test_the_file_gives_the_model_back(tmp_path: Path) -> None:
    path = tmp_path / "trust.yaml"
    path.write_text(yaml.safe_dump(to_values(MODEL)))
    assert load_trust(path) == MODEL


@pytest.mark.parametrize(
    "damage",
    [
        {"format_version": 9},
        {"variants": [{"kind": "x", "bias": 0, "terms": {"gap": {"knots": [0, 1], "doubt": [1, 0], "unknown": 0}}}]},
        {"variants": [{"kind": "x", "bias": 0, "terms": {"gap": {"knots": [1, 0], "doubt": [0, 1], "unknown": 0}}}]},
        {"variants": [{"kind": "x"}]},
        {"variants": 3},
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, damage: dict[str, object]) -> None:
    path = tmp_path / "trust.yaml"
    path.write_text(yaml.safe_dump({**to_values(MODEL), **damage}))
    with pytest.raises(ConfigError, match=r"trust\.yaml"):
        load_trust(path)


def test_the_shipped_model_knows_all_evidence_and_is_sane() -> None:
    model = load_trust()
    assert model.trained_on
    assert "room_a" not in model.trained_on
    assert {variant.kind for variant in model.variants} == {"photos", "multibaseline", "splat", "matched"}
    for variant in model.variants:
        assert set(variant.terms) <= set(EVIDENCE)
        best = {name: np.full((1, 1), term.knots[0]) for name, term in variant.terms.items()}
        worst = {name: np.full((1, 1), term.knots[-1]) for name, term in variant.terms.items()}
        assert variant.logit(best)[0, 0] > variant.logit(worst)[0, 0]


def test_calibration_recovers_the_probabilities() -> None:
    rng = np.random.default_rng(0)
    gap = rng.gamma(1.0, 1.0, 20000)
    gap[::7] = np.nan
    noise = rng.random(len(gap))
    true_logit = 4 - 2 * np.nan_to_num(np.minimum(gap, 3), nan=1.5)
    right = rng.random(len(gap)) < 1 / (1 + np.exp(-true_logit))
    variant = fit_variant("splat", {"gap": gap, "noise": noise}, right)
    found = 1 / (1 + np.exp(-variant.logit({"gap": gap, "noise": noise})))
    for low in np.arange(0, 1, 0.1):
        there = (found >= low) & (found < low + 0.1)
        if there.sum() > 600:
            assert abs(found[there].mean() - right[there].mean()) < 0.06
    assert variant.terms["noise"].doubt[-1] < 0.3  # says nothing, so it counts for nothing
    assert variant.terms["gap"].doubt[-1] > 3


def test_evidence_that_speaks_the_wrong_way_is_ignored() -> None:
    rng = np.random.default_rng(1)
    good = rng.random(5000)
    right = rng.random(5000) < 0.2 + 0.7 * good
    doubt = fit_variant("splat", {"good": good}, right).terms["good"].doubt
    assert max(doubt) == 0.0
