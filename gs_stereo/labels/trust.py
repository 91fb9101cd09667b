"""From evidence to a probability: a calibrated additive model, stored as a small YAML file.

P(|error| < 1 px) = sigmoid(bias - sum of doubt_k(evidence_k)). Every doubt is a non-decreasing piecewise linear
function, so more reason for doubt never raises the confidence; unknown evidence (NaN) has a doubt of its own. This is
a generalised additive model (Hastie & Tibshirani 1986) with monotone terms. There is one set of terms (a variant) for
each kind of source that a disparity can come from and each set of evidence that can be at hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gs_stereo.config import load_yaml
from gs_stereo.errors import ConfigError

MODEL_FILE = Path(__file__).parent / "trust.yaml"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Term:
    """One piece of evidence: doubt (in logits) at knots, linear in between, constant outside; and where unknown."""

    knots: tuple[float, ...]
    doubt: tuple[float, ...]
    unknown: float


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The model for disparities of one kind of source, given these terms' evidence."""

    kind: str
    bias: float
    terms: Mapping[str, Term]

    def logit(self, evidence: Mapping[str, Float[np.ndarray, "*shape"]]) -> Float[np.ndarray, "*shape"]:
        """bias - doubts; every term's evidence must be there."""
        total = np.asarray(self.bias)
        for name, term in self.terms.items():
            doubt = np.interp(evidence[name], term.knots, term.doubt)
            total = total - np.where(np.isnan(evidence[name]), term.unknown, doubt)
        return total


@dataclass(frozen=True, kw_only=True)
class TrustModel:
    """All variants, and what they were calibrated on."""

    version: int
    trained_on: tuple[str, ...]
    variants: tuple[Variant, ...]

    def probability(
        self, kind: str, evidence: Mapping[str, Float[np.ndarray, "*shape"]]
    ) -> Float[np.ndarray, "*shape"]:
        """P(|error| < 1 px) of a disparity that came from `kind` of source, by the variant that uses most evidence."""
        fitting = [v for v in self.variants if v.kind == kind and set(v.terms) <= set(evidence)]
        if not fitting:
            raise ConfigError(f"The trust model knows no disparity of kind {kind!r} with this evidence; calibrate it.")
        best = max(fitting, key=lambda variant: len(variant.terms))
        return np.asarray(1 / (1 + np.exp(-best.logit(evidence))))


@lru_cache(maxsize=4)
def load_trust(path: Path = MODEL_FILE) -> TrustModel:
    """Read a model; ConfigError names what is wrong with it."""
    values = load_yaml(path)
    try:
        if values["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {values['format_version']} is unknown")
        return TrustModel(
            version=int(values["version"]),
            trained_on=tuple(str(scene) for scene in values["trained_on"]),
            variants=tuple(_variant(item) for item in values["variants"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"The trust model {path} is broken ({error}); install the package again.") from error


def to_values(model: TrustModel) -> dict[str, Any]:
    """The model as YAML values, the inverse of `load_trust`."""
    return {
        "format_version": FORMAT_VERSION,
        "version": model.version,
        "trained_on": list(model.trained_on),
        "variants": [
            {
                "kind": variant.kind,
                "bias": variant.bias,
                "terms": {
                    name: {"knots": list(term.knots), "doubt": list(term.doubt), "unknown": term.unknown}
                    for name, term in variant.terms.items()
                },
            }
            for variant in model.variants
        ],
    }


def _variant(values: Mapping[str, Any]) -> Variant:
    terms = {str(name): _term(term) for name, term in values["terms"].items()}
    return Variant(kind=str(values["kind"]), bias=float(values["bias"]), terms=terms)


def _term(values: Mapping[str, Any]) -> Term:
    knots, doubt = (tuple(float(value) for value in values[key]) for key in ("knots", "doubt"))
    rising = all(a < b for a, b in pairwise(knots))
    monotone = all(a <= b for a, b in pairwise(doubt))
    unknown = float(values["unknown"])
    finite = all(map(math.isfinite, (*knots, *doubt, unknown)))
    if not (len(knots) == len(doubt) >= 1 and rising and monotone and finite):
        raise ValueError("a term is not a non-decreasing function")
    return Term(knots=knots, doubt=doubt, unknown=unknown)
