"""How confident labels must be for a promise: with 95 % confidence at most a share of them is wrong by over 1 px.

Learn then test (Angelopoulos et al. 2021): for each cut of the confidence the hypothesis "more than that share is
wrong" is tested on the planted objects. First for all labels, then from the strictest cut downwards, and the last cut
before the first that cannot be rejected is taken; each of the two has half of the doubt. Testing in a fixed order needs
no correction for the number of tests. Objects, not pixels, are drawn independently, so the test is Student's one-sided
one on the objects' sums of wrong - share x kept: it is exact for many objects, and near it for a few dozen. Labels on
objects weigh as much as the capture's own labels of such confidence do, for the promise is about these.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import Field

from gs_stereo.core.records import Record
from gs_stereo.metrics.recalibration import LEVELS

CONFIDENCE = 0.95
PROMISED_SHARES = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
"""Shares of wrong labels for which an audit looks for a cut."""
_FIRST_KEPT = 0.3
"""The strictest cut that is tested keeps so much of the labels: of fewer, too little is known."""
_FEWEST_OBJECTS = 8
_LEAST_OF_A_CLASS = 0.05
"""Classes of confidence hold so much of the labels on objects, so that none of these weighs much more than others."""


@dataclass(frozen=True, kw_only=True)
class ConfidenceCut(Record):
    """Labels of at least `min_confidence` (0 to 1) are wrong by more than 1 px in at most `max_bad_1` of the cases.

    min_confidence: None where no cut can be promised. coverage: share of the pixels that still have a label.
    """

    max_bad_1: Annotated[float, Field(gt=0, lt=1)]
    min_confidence: Annotated[float, Field(ge=0, le=1)] | None
    coverage: Annotated[float, Field(ge=0, le=1)] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelCounts:
    """Pixels of each object by the confidence of their label, 0 to 255. kept: labelled. wrong: by more than 1 px.

    pixels: of each object that both eyes see, labelled or not.
    """

    pixels: Float[np.ndarray, "k"]
    kept: Float[np.ndarray, "k 256"]
    wrong: Float[np.ndarray, "k 256"]


def confidence_cut(
    counts: LevelCounts, weights: Float[np.ndarray, "k"], own: Float[np.ndarray, "256"], max_bad_1: float
) -> ConfidenceCut:
    """The lowest cut that keeps the promise. weights: of the objects, see `PlantedScores`. own: labels of the capture
    by confidence.
    """
    seen = (counts.pixels > 0) & (weights > 0)
    scale = weights[seen, None] * _like_own(weights[seen] @ counts.kept[seen], own)
    # Column c: labels of confidence c or more.
    kept, wrong = (np.cumsum((scale * table[seen])[:, ::-1], axis=1)[:, ::-1] for table in (counts.kept, counts.wrong))
    nothing = ConfidenceCut(max_bad_1=max_bad_1, min_confidence=None, coverage=None)
    total = kept[:, 0].sum()
    if seen.sum() < _FEWEST_OBJECTS or total == 0:
        return nothing
    enough = np.flatnonzero(kept.sum(axis=0) >= _FIRST_KEPT * total)
    excess = wrong - max_bad_1 * kept
    found = 0 if _at_most_0(excess[:, 0]) else None
    for level in range(int(enough[-1]), 0, -1) if found is None else ():
        if not _at_most_0(excess[:, level]):
            break
        found = level
    if found is None:
        return nothing
    labelled = float((weights[seen] @ counts.kept[seen]).sum() / (weights[seen] @ counts.pixels[seen]))
    coverage = labelled * float(kept[:, found].sum() / total)
    return ConfidenceCut(max_bad_1=max_bad_1, min_confidence=found / (LEVELS - 1), coverage=coverage)


def _like_own(kept: Float[np.ndarray, "256"], own: Float[np.ndarray, "256"]) -> Float[np.ndarray, "256"]:
    """A weight for each confidence, the same within a class, so that objects have as many labels of each as `own`."""
    total = kept.sum()
    if total == 0 or own.sum() == 0:
        return np.ones(LEVELS)
    of_class = np.minimum((np.cumsum(kept) - 0.5 * kept) / total / _LEAST_OF_A_CLASS, 1 / _LEAST_OF_A_CLASS - 1)
    group = of_class.astype(np.int64)
    there, wanted = (np.bincount(group, weights=labels, minlength=LEVELS) for labels in (kept, own))
    ratio = np.divide(wanted / own.sum(), there / total, out=np.zeros(LEVELS), where=there > 0)
    return np.asarray(ratio[group])


def _at_most_0(excess: Float[np.ndarray, "k"]) -> bool:
    """Whether the mean is at most 0, with half of the doubt that a promise may have."""
    count = len(excess)
    error = float(excess.std(ddof=1)) / np.sqrt(count)
    return float(excess.mean()) + _student_quantile((1 + CONFIDENCE) / 2, count - 1) * error <= 0


def _student_quantile(share: float, freedom: int) -> float:
    """Quantile of Student's distribution (Abramowitz and Stegun 26.7.5), within 0.1 % for 7 degrees of freedom."""
    z = NormalDist().inv_cdf(share)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2
