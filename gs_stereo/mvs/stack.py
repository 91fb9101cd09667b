"""The `multibaseline` matcher: disparity from a rectified stack, the images that only a rendered scene can give."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from gs_stereo.errors import InputError
from gs_stereo.mvs.config import MultiViewConfig
from gs_stereo.mvs.sweep import sweep
from gs_stereo.mvs.views import DepthRange, InverseDepthPrior, RectifiedStack, SweepResult
from gs_stereo.types import DisparityPrediction

_COST_SCALE = 0.35
_SPREAD_SCALE_PX = 2.0
_AMBIGUITY_SCALE = 0.5
_FULL_SUPPORT = 2.0


def match_stack(
    stack: RectifiedStack,
    config: MultiViewConfig,
    *,
    baseline: float,
    depth_range: DepthRange,
    prior: InverseDepthPrior | None = None,
) -> DisparityPrediction:
    """Disparity of the left image in pixels for a rig of `baseline` scene units.

    The stack may hold any offsets on both sides, wider ones for precision and narrower ones against occlusion.
    """
    if not baseline > 0:
        raise InputError(f"The baseline must be positive, not {baseline}.")
    result = sweep(stack.left, stack.posed_views(), depth_range, config, prior=prior)
    return prediction(result, stack.left.camera.focal_px * baseline)


def prediction(result: SweepResult, focal_times_baseline: float) -> DisparityPrediction:
    """A sweep's answer as a disparity in pixels, with the confidence of `raw_confidence`."""
    disparity = (result.inverse_depth * focal_times_baseline).astype(np.float32)
    confidence = np.where(np.isfinite(disparity), raw_confidence(result), np.float32(0.0))
    return DisparityPrediction(disparity=disparity, confidence=confidence)


def raw_confidence(result: SweepResult) -> Float[np.ndarray, "h w"]:
    """A ranking of pixels in [0, 1], not a probability: low cost, calm surroundings, one depth only, enough views."""
    cost = np.exp(-((result.cost / _COST_SCALE) ** 2))
    calm = np.exp(-result.spread_px / _SPREAD_SCALE_PX)
    unique = np.exp(-((np.nan_to_num(result.ambiguity) / _AMBIGUITY_SCALE) ** 2) / 4)
    support = np.minimum(result.supporting_views / _FULL_SUPPORT, 1.0)
    return np.asarray((cost * calm * unique) ** (1 / 3) * (0.25 + 0.75 * support), np.float32)
