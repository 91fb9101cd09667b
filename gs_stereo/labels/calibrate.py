"""Fits the trust model: a monotone additive logistic regression by Newton steps with bounds, in plain numpy.

The program tests/perf/calibrate_labels.py gathers the evidence from sample scenes and calls `fit_variant`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.labels.trust import Term, Variant

_QUANTILES = (0.0, 0.5, 0.75, 0.9, 0.95, 0.98, 0.995)
_RIDGE = 1e-5
_STEPS = 15
_SWEEPS = 30
_MOST_PIXELS = 40000
_LEAST_WEIGHT = 1e-4
_SIGNIFICANT = 4


def fit_variant(kind: str, evidence: Mapping[str, Float[np.ndarray, "n"]], right: Bool[np.ndarray, "n"]) -> Variant:
    """The variant that explains best which pixels were right (|error| < 1 px). NaN evidence is unknown.

    Of more than 40,000 pixels an even selection is used.
    """
    chosen = np.linspace(0, len(right) - 1, min(len(right), _MOST_PIXELS)).astype(np.int64)
    evidence, right = {name: values[chosen] for name, values in evidence.items()}, right[chosen]
    knots = {name: _knots(values) for name, values in evidence.items()}
    columns = [np.ones((len(right), 1))]
    lower = [np.full(1, -np.inf)]
    for name, values in evidence.items():
        columns += [-_steps(values, knots[name]), -np.isnan(values)[:, None].astype(np.float64)]
        lower += [np.zeros(len(knots[name]) - 1), np.full(1, -np.inf)]
    weights = _bounded_logistic(np.concatenate(columns, axis=1), right.astype(np.float64), np.concatenate(lower))
    terms, at = {}, 1
    for name, places in knots.items():
        count = len(places) - 1
        doubt = np.concatenate([[0.0], np.cumsum(weights[at : at + count])])
        terms[name] = Term(knots=_rounded(places), doubt=_rounded(doubt), unknown=_rounded(weights[at + count])[0])
        at += count + 1
    return Variant(kind=kind, bias=_rounded(weights[0])[0], terms=terms)


def _knots(values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "k"]:
    """Quantiles of what is known, at least one percent of the range apart, so that every step has pixels."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return np.zeros(1)
    places = np.quantile(known, _QUANTILES)
    kept = [places[0]]
    for place in places[1:]:
        if place > kept[-1] + 1e-3 * max(abs(places[-1]), 1e-6):
            kept.append(place)
    return np.array(_rounded(np.array(kept)))


def _steps(values: Float[np.ndarray, "n"], knots: Float[np.ndarray, "k"]) -> Float[np.ndarray, "n k-1"]:
    """How far a value has climbed each step between knots, 0 to 1; unknown values have climbed none."""
    span = np.diff(knots)
    filled = np.nan_to_num(values, nan=float(knots[0]), posinf=float(knots[-1]))
    return np.clip((filled[:, None] - knots[:-1]) / span, 0.0, 1.0)


def _bounded_logistic(
    design: Float[np.ndarray, "n p"], right: Float[np.ndarray, "n"], lower: Float[np.ndarray, "p"]
) -> Float[np.ndarray, "p"]:
    """Weights of the ridge logistic regression with lower bounds."""
    weights = np.zeros(design.shape[1])
    share = np.clip(right.mean(), 1e-4, 1 - 1e-4)
    weights[0] = np.log(share / (1 - share))
    loss = _loss(design, right, weights)
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-design @ weights))
        curvature = np.maximum(probability * (1 - probability), _LEAST_WEIGHT)
        hessian = design.T @ (design * curvature[:, None]) / len(right) + _RIDGE * np.eye(len(weights))
        gradient = design.T @ (probability - right) / len(right) + _RIDGE * weights
        step = _bounded_quadratic(hessian, gradient, lower - weights)
        scale = 1.0
        while (trial := _loss(design, right, weights + scale * step)) > loss and scale > 1e-4:
            scale /= 2
        if loss - trial < 1e-7:
            break
        weights, loss = weights + scale * step, trial
    return np.maximum(weights, lower)


def _loss(design: np.ndarray, right: np.ndarray, weights: np.ndarray) -> float:
    logit = design @ weights
    return float(np.mean(np.logaddexp(0, logit) - right * logit) + 0.5 * _RIDGE * weights @ weights)


def _bounded_quadratic(
    hessian: Float[np.ndarray, "p p"], gradient: Float[np.ndarray, "p"], lower: Float[np.ndarray, "p"]
) -> Float[np.ndarray, "p"]:
    """argmin of 1/2 s H s + g s with s >= lower, by coordinate descent."""
    step = np.zeros(len(gradient))
    slope = gradient.copy()
    for _ in range(_SWEEPS):
        for k in range(len(step)):
            new = max(step[k] - slope[k] / hessian[k, k], lower[k])
            if new != step[k]:
                slope += hessian[:, k] * (new - step[k])
                step[k] = new
    return step


def _rounded(values: np.ndarray | float) -> tuple[float, ...]:
    return tuple(float(f"{value:.{_SIGNIFICANT}g}") for value in np.atleast_1d(values))
