"""The confidence of a label: the probability that a disparity is off by less than 1 px, and how it is stored.

`probability_within_one_px` needs no calibration: independent hints about the error, each a scale in pixels, add up as
variances. Stereo errors have heavy tails, so the error is modelled as Laplace with that standard deviation s:
P(|error| < 1 px) = 1 - exp(-sqrt(2) / s). This is monotone in every hint, and a sensible prior.
"""

import math

import numpy as np
from jaxtyping import Float, UInt8

_MOST_LOWERED = 0.03
_HALF_LOWERED_PX = 0.15


def probability_within_one_px(*scales_px: Float[np.ndarray, "h w"] | float) -> Float[np.ndarray, "h w"]:
    """P(|error| < 1 px) of the combined scales; a scale of NaN is unknown and gives NaN."""
    scale = np.sqrt(sum(np.square(np.asarray(scale, dtype=np.float64)) for scale in scales_px))
    return 1.0 - np.exp(-math.sqrt(2.0) / np.maximum(scale, np.finfo(np.float64).tiny))


def with_order(
    probability: Float[np.ndarray, "*shape"], expected_error_px: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """The probability, lowered by up to 0.03 as the expected error m grows: by 0.03 m / (m + 0.15 px).

    Most pixels are right within 1 px for certain: in the 256 steps of a shard they would all look alike, be their error
    0.01 or 0.2 px. This keeps their order, for less than 0.01 of calibration error where labels are good.
    """
    lowered = _MOST_LOWERED * expected_error_px / (expected_error_px + _HALF_LOWERED_PX)
    return np.maximum(probability - lowered, 0.0)


def quantised(probability: Float[np.ndarray, "h w"], labelled: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """round(255 p) as stored in shards; 0 where there is no label or p is unknown."""
    known = labelled & np.isfinite(probability)
    return np.rint(255.0 * np.clip(np.where(known, probability, 0.0), 0.0, 1.0)).astype(np.uint8)
