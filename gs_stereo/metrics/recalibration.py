"""What a stored confidence is worth in one capture: fitted where truth is known, applied where it is not.

The log odds of a wrong label become offset + slope times those that its confidence says (Platt 1999), with a slope of
at least 0, so that the order of labels stays; and a share of labels, `floor`, is wrong whatever the confidence says, as
those of thin things that the splat does not show. Few numbers, because a few dozen objects know no more. Applied to
labels without truth it tells how many of these are wrong: the confidence carries what is known over to places that are
unlike those with truth (prediction-powered inference, Angelopoulos et al. 2023).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from pydantic import Field

from gs_stereo.config import Config

LEVELS = 256
_CONFIDENCE = np.arange(LEVELS) / (LEVELS - 1)
_USUAL, _USUAL_SPREAD = np.array([0.0, 1.0]), np.array([1.0, 0.5])
"""Offset and slope where nothing is known, and their standard deviations: on rooms with truth a stored confidence was
right or promised up to six times too many wrong labels."""
_LIKENESS, _LIKENESS_KNOWN = 0.02, 8
"""Correlation of being wrong among labels of one object (0.015 and 0.026 on two rooms); counts as so many objects."""
_ROUNDS = 40
_LARGEST_STEP = 0.5


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


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedRecalibration:
    """The likeliest recalibration, without a floor, and how sure its offset and slope are."""

    best: Recalibration
    covariance: Float[np.ndarray, "2 2"]

    def drawn(self, rng: np.random.Generator) -> Recalibration:
        """One that is as likely as the labels say."""
        return _bounded(rng.multivariate_normal([self.best.offset, self.best.slope], self.covariance))


def fitted_recalibration(
    kept: Float[np.ndarray, "k 256"], wrong: Float[np.ndarray, "k 256"], weights: Float[np.ndarray, "k"]
) -> FittedRecalibration:
    """By Newton's method. kept, wrong: labels of each object by confidence.

    Labels of an object are wrong together, so they count as far fewer than they are: by how much more the sums of
    objects differ than sums of independent labels would (quasi-likelihood, McCullagh and Nelder 1989). What few objects
    leave open is as it usually is.
    """
    kept, wrong = (weights[:, None] * table for table in (kept, wrong))
    labels, objects = kept.sum(axis=0), int((kept.sum(axis=1) > 0).sum())
    says = np.stack([np.ones(LEVELS), log_odds_of_wrong(_CONFIDENCE)])
    usual = np.diag(_USUAL_SPREAD**-2.0)
    found, curvature = _USUAL.copy(), usual
    for _ in range(_ROUNDS if objects else 0):
        expected = 1 / (1 + np.exp(-found @ says))
        gradients = (wrong - kept * expected) @ says.T
        information = (says * (labels * expected * (1 - expected))) @ says.T
        counts_as = _labels_that_count_as_one(kept.sum(axis=1), gradients[:, 0], float(information[0, 0]))
        curvature = information / counts_as + usual
        step = np.linalg.solve(curvature, gradients.sum(axis=0) / counts_as - usual @ (found - _USUAL))
        bounded = _bounded(found + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP))
        found = np.array([bounded.offset, bounded.slope])
    return FittedRecalibration(best=_bounded(found), covariance=np.linalg.inv(curvature))


def _labels_that_count_as_one(labels: Float[np.ndarray, "k"], excess: Float[np.ndarray, "k"], variance: float) -> float:
    """labels: of each object. excess: wrong ones beyond those expected. variance: of all if they were independent."""
    objects = int((labels > 0).sum())
    usual = 1 + _LIKENESS * float((labels**2).sum() / labels.sum())
    seen = float((excess**2).sum()) / max(variance, 1e-9) * objects / max(objects - 1, 1)
    return (objects * seen + _LIKENESS_KNOWN * usual) / (objects + _LIKENESS_KNOWN)


def _bounded(offset_and_slope: np.ndarray) -> Recalibration:
    return Recalibration(
        offset=float(np.clip(offset_and_slope[0], -50, 50)), slope=float(np.clip(offset_and_slope[1], 0, 50))
    )


def share_wrong(by: Recalibration, labels: Float[np.ndarray, "256"]) -> float:
    """Expected share of wrong labels among `labels`, counted by stored confidence; NaN without any."""
    total = labels.sum()
    return float((1 - recalibrated(_CONFIDENCE, by)) @ labels / total) if total else float("nan")
