"""What a stored confidence is worth in one capture: fitted where truth is known, applied where it is not.

The log odds of a wrong label become offset + slope times those that its confidence says (Platt 1999), with a slope of
at least 0, so that the order of labels stays; and a share of labels, `floor`, is wrong whatever the confidence says, as
those of thin things that the splat does not show. Few numbers, because a few dozen objects know no more. Applied to
labels without truth it tells how many of these are wrong: the confidence carries what is known over to places that are
unlike those with truth (prediction-powered inference, Angelopoulos et al. 2023).
"""

import numpy as np
from jaxtyping import Float
from pydantic import Field

from gs_stereo.config import Config

LEVELS = 256
_CONFIDENCE = np.arange(LEVELS) / (LEVELS - 1)
_UNIT_WEIGHT = 1e-3
"""How much the stored confidence is believed, in units of all labels with truth: it decides where these say nothing, as
where none of them is wrong."""
_ROUNDS = 40
_LARGEST_STEP = 1.0


class Recalibration(Config):
    """What a confidence is made into: a share of the labels is wrong anyhow, and of the rest the log odds of a wrong
    one become offset + slope times what they are.
    """

    offset: float = Field(default=0.0, ge=-50, le=50, description="Added to the log odds; negative: surer than thought")
    slope: float = Field(default=1.0, ge=0, le=50, description="Of the log odds; 0: the confidence says nothing")
    floor: float = Field(default=0.0, ge=0, lt=1, description="Share that is wrong whatever the confidence says")


def log_odds_of_wrong(confidence: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Of confidences from 0 to 1, kept finite by half a level of those that are stored."""
    right = np.clip(confidence, 0.5 / (LEVELS - 1), 1 - 0.5 / (LEVELS - 1))
    return np.log((1 - right) / right)


def recalibrated(confidence: Float[np.ndarray, "*shape"], by: Recalibration) -> Float[np.ndarray, "*shape"]:
    """The confidence, 0 to 1, that labels deserve whose stored confidence is this."""
    return np.asarray((1 - by.floor) / (1 + np.exp(by.offset + by.slope * log_odds_of_wrong(confidence))))


def fitted_recalibration(
    kept: Float[np.ndarray, "k 256"], wrong: Float[np.ndarray, "k 256"], weights: Float[np.ndarray, "k"]
) -> Recalibration:
    """The likeliest one without a floor, by Newton's method. kept, wrong: labels of each object by confidence."""
    labels, bad = (weights @ table for table in (kept, wrong))
    total = labels.sum()
    if total == 0:
        return Recalibration()
    labels, bad = labels / total, bad / total
    says = np.stack([np.ones(LEVELS), log_odds_of_wrong(_CONFIDENCE)])
    usual = np.array([0.0, 1.0])
    found = usual.copy()
    for _ in range(_ROUNDS):
        expected = 1 / (1 + np.exp(-found @ says))
        gradient = says @ (bad - labels * expected) - _UNIT_WEIGHT * (found - usual)
        curvature = (says * (labels * expected * (1 - expected))) @ says.T + _UNIT_WEIGHT * np.eye(2)
        found = found + np.clip(np.linalg.solve(curvature, gradient), -_LARGEST_STEP, _LARGEST_STEP)
        found = np.array([np.clip(found[0], -50, 50), np.clip(found[1], 0, 50)])
    return Recalibration(offset=float(found[0]), slope=float(found[1]))


def share_wrong(by: Recalibration, labels: Float[np.ndarray, "256"]) -> float:
    """Expected share of wrong labels among `labels`, counted by stored confidence; NaN without any."""
    total = labels.sum()
    return float((1 - recalibrated(_CONFIDENCE, by)) @ labels / total) if total else float("nan")
