"""The trust model: what it says, its file, its law of doubt, and that the shipped one is sane."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from trust_models import KINDS, one_eyed

from gs_stereo.errors import ConfigError
from gs_stereo.labels.confidence import with_order
from gs_stereo.labels.config import TRUST_MODEL_FILE
from gs_stereo.labels.evidence import DOUBTS, EVIDENCE
from gs_stereo.labels.trust import load_trust, to_values


def some_evidence(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Everything from tiny to huge, a tenth unknown."""
    known = {name: np.exp(rng.uniform(-6, 4, count)) for name in EVIDENCE}
    return {name: np.where(rng.random(count) < 0.1, np.nan, values) for name, values in known.items()}


def test_the_network_is_evaluated_as_described() -> None:
    values = np.array([[0.0, 0.5, 3.0, 1e9, np.nan]])
    scaled = np.array([np.clip(np.log(value + 0.01), -4.6, 2.0) if value == value else 0.0 for value in values[0]])
    judged = one_eyed().judge("splat", {"views_px": values})
    hidden = scaled / (1 + np.abs(scaled))
    np.testing.assert_allclose(judged.probability[0], 1 / (1 + np.exp(6 * hidden - 0.5)), rtol=1e-5)
    np.testing.assert_allclose(judged.expected_error_px[0], np.exp(2 * hidden - 2.5), rtol=1e-5)


def test_evidence_that_is_not_given_is_unknown() -> None:
    values = np.full((2, 3), np.nan)
    asked = one_eyed().judge("splat", {"views_px": values, "other_px": values})
    absent = one_eyed().judge("splat", {"other_px": values})
    np.testing.assert_array_equal(asked.confidence, absent.confidence)


def test_evidence_that_is_unknown_here_weighs_as_if_it_were_unknown_everywhere() -> None:
    known = {"splat_px": np.array([[0.1, 0.5, 2.0]])}
    here = load_trust().judge("splat", {**known, "views_px": np.array([[np.nan, np.nan, 0.0]])})
    everywhere = load_trust().judge("splat", known)
    np.testing.assert_allclose(here.confidence[0, :2], everywhere.confidence[0, :2], rtol=1e-6)
    assert abs(here.probability[0, 2] - everywhere.probability[0, 2]) > 1e-4


def test_many_pixels_give_what_each_gives() -> None:
    evidence = some_evidence(np.random.default_rng(0), 40000)
    whole = load_trust().judge("photos", evidence)
    some = slice(30000, 30010)
    part = load_trust().judge("photos", {name: values[some] for name, values in evidence.items()})
    np.testing.assert_allclose(whole.confidence[some], part.confidence, rtol=1e-5)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ConfigError, match="lidar"):
        one_eyed().judge("lidar", {"views_px": np.zeros((1, 1))})


def test_confidence_keeps_the_order_of_errors_where_the_probability_is_one() -> None:
    error = np.geomspace(0.005, 1, 50)
    stored = np.rint(255 * with_order(np.ones(50), error))
    assert (np.diff(stored) <= 0).all()
    assert len(np.unique(stored)) >= 7
    assert with_order(np.array([0.01]), np.array([5.0]))[0] == 0
    assert (1 - with_order(np.ones(50), error) <= 0.03).all()


def test_the_file_gives_the_model_back(tmp_path: Path) -> None:
    path = tmp_path / "trust.yaml"
    path.write_text(yaml.safe_dump(to_values(one_eyed())))
    assert to_values(load_trust(path)) == to_values(one_eyed())


def changed(path: list[Any], value: Any) -> dict[str, Any]:
    values = copy.deepcopy(to_values(one_eyed()))
    place: Any = values
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return values


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["format_version"], 9),
        (["layers"], 3),
        (["layers"], []),
        (["layers", 0, "weights", 0, 0], -1.0),
        (["layers", 1, "weights"], [[1.0], [-1.0]]),
        (["layers", 1, "weights"], [[1.0, 1.0], [1.0, 1.0]]),
        (["layers", 1, "bias"], [0.0, float("nan")]),
        (["inputs", 0, "spread"], 0.0),
        (["inputs", 0], {"name": "x"}),
        (["kinds"], ["splat"]),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, path: list[Any], value: Any) -> None:
    file = tmp_path / "trust.yaml"
    file.write_text(yaml.safe_dump(changed(path, value)))
    with pytest.raises(ConfigError, match=r"trust\.yaml"):
        load_trust(file)


def test_the_shipped_model_says_where_it_comes_from_and_uses_what_there_is() -> None:
    model = load_trust()
    assert model.trained_on
    assert "room_a" not in model.trained_on
    assert model.experts
    assert set(model.kinds) == set(KINDS)
    assert {scale.name for scale in model.inputs} <= set(EVIDENCE)
    assert {scale.name for scale in model.inputs if scale.doubt} <= set(DOUBTS)
    assert TRUST_MODEL_FILE.stat().st_size < 40_000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DOUBTS)
def test_more_reason_for_doubt_never_raises_the_shipped_confidence(kind: str, name: str) -> None:
    evidence = some_evidence(np.random.default_rng(1), 500)
    before = np.nan_to_num(evidence[name], nan=0.1)
    less = load_trust().judge(kind, {**evidence, name: before})
    more = load_trust().judge(kind, {**evidence, name: before * 3 + 0.01})
    assert (more.confidence <= less.confidence + 1e-6).all()
    assert (more.expected_error_px >= less.expected_error_px * (1 - 1e-5)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_model_trusts_agreement_and_not_contradiction(kind: str) -> None:
    context = {"disparity_px": np.full(1, 15.0), "texture": np.full(1, 20.0)}
    agreed = {name: np.full(1, 0.01) for name in DOUBTS} | context
    against = agreed | {name: np.full(1, 8.0) for name in DOUBTS if name.endswith("_px")}
    assert load_trust().judge(kind, agreed).confidence > 0.95
    assert load_trust().judge(kind, against).confidence < 0.5
