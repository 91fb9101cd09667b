"""From error scales to a confidence: the probability that a disparity is off by less than 1 px.

Independent hints about the error, each a scale in pixels, add up as variances. Stereo errors have heavy tails, so
the error is modelled as Laplace with that standard deviation s: P(|error| < 1 px) = 1 - exp(-sqrt(2) / s).
This is monotone in every hint, and a sensible prior, not yet a calibrated probability.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, UInt8


def probability_within_one_px(*scales_px: Float[np.ndarray, "h w"] | float) -> Float[np.ndarray, "h w"]:
    """P(|error| < 1 px) of the combined scales; a scale of NaN is unknown and gives NaN."""
    scale = np.sqrt(sum(np.square(np.asarray(scale, dtype=np.float64)) for scale in scales_px))
    return 1.0 - np.exp(-math.sqrt(2.0) / np.maximum(scale, np.finfo(np.float64).tiny))


def quantised(probability: Float[np.ndarray, "h w"], labelled: np.ndarray) -> UInt8[np.ndarray, "h w"]:
    """round(255 p) as stored in shards; 0 where there is no label or p is unknown."""
    known = labelled & np.isfinite(probability)
    return np.rint(255.0 * np.clip(np.where(known, probability, 0.0), 0.0, 1.0)).astype(np.uint8)
