"""A rectified pair rendered for a look: left | right, its disparity, and a line about both."""

import math
import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from gs_stereo.geometry.disparity import disparity_from_depth
from gs_stereo.imaging.colour_maps import shown_range, side_by_side
from gs_stereo.splat.pairs import SplatRenderer
from gs_stereo.types import StereoRig
from gs_stereo.viewer.frame import DisplayFrame
from gs_stereo.viewer.pictures import disparity_colours

_LEAST_STEPS, _STEPS_IN_ROUND = 100, 10
_LARGEST_SHARE = 0.5
_USUAL_SHARE = 0.1
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class LivePair:
    """Pictures of a pair and a sentence about it."""

    eyes: UInt8[np.ndarray, "h w2 3"]
    disparity: UInt8[np.ndarray, "h w 3"]
    caption: str


@dataclass(frozen=True, kw_only=True)
class BaselineRange:
    """Of the slider, in scene units: `largest` is a whole number of round steps."""

    step: float
    largest: float
    usual: float


def render_live_pair(renderer: SplatRenderer, rig: StereoRig) -> LivePair:
    """Render a rig at the size of its camera."""
    start = time.perf_counter()
    left, right = renderer.render_stereo(rig)
    milliseconds = 1e3 * (time.perf_counter() - start)
    disparity = disparity_from_depth(left.depth.median, rig.focal_times_baseline)
    size = f"{rig.left.width} x {rig.left.height} px, {milliseconds:.0f} ms"
    return LivePair(
        eyes=side_by_side(left.image, right.image),
        disparity=disparity_colours(disparity),
        caption=f"{describe_disparity(disparity)} ({size})",
    )


def describe_disparity(disparity: np.ndarray) -> str:
    """The range of a disparity map in px, as shown by the colours (1st to 99th percentile), and its median."""
    known = disparity[np.isfinite(disparity)]
    if known.size == 0:
        return "No disparity: nothing is seen here."
    low, high = shown_range(known)
    return f"Disparity {low:.1f} (blue) to {high:.1f} px (red), median {np.median(known):.1f} px"


def baseline_range(frame: DisplayFrame, rigs: tuple[StereoRig, ...]) -> BaselineRange:
    """Up to half of the typical distance; `usual` is that of the first rig, or a tenth of the distance."""
    distance = 1.0 / frame.display_per_unit
    wanted = max([_LARGEST_SHARE * distance, *(rig.baseline for rig in rigs)])
    step = 10.0 ** math.floor(math.log10(wanted / _LEAST_STEPS))
    largest = math.ceil(wanted / step / _STEPS_IN_ROUND - _ROUNDING) * _STEPS_IN_ROUND * step
    usual = rigs[0].baseline if rigs else round(_USUAL_SHARE * distance / step) * step
    return BaselineRange(step=step, largest=largest, usual=min(max(usual, 0.0), largest))
