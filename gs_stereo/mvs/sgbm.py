"""OpenCV's semi-global block matching of a rectified pair, in one direction, without a check against the other.

The images are padded by the search range, so that pixels near the left border are matched too when their match is in
frame. Disparities have OpenCV's resolution of 1/16 px. Deterministic; safe in threads: OpenCV releases the interpreter
lock.
"""

import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from gs_stereo.errors import InputError
from gs_stereo.mvs.sgbm_config import SgbmConfig

_STEP_PX = 16
_FIXED_POINT = 16.0
_MODES = {
    "8": cv2.STEREO_SGBM_MODE_HH,
    "5": cv2.STEREO_SGBM_MODE_SGBM,
    "3": cv2.STEREO_SGBM_MODE_SGBM_3WAY,
}


def searched_disparities(width: int, config: SgbmConfig, hint_px: float | None = None) -> int:
    """Number of disparities searched: a multiple of 16, no more than the width needs.

    hint_px: the range where the settings leave it open; without one it is a share of the width.
    """
    wanted = next(
        (value for value in (config.max_disparity_px, hint_px) if value is not None),
        config.max_disparity_share * width,
    )
    if not math.isfinite(wanted) or wanted <= 0:
        raise InputError(f"The disparity range {wanted} px is not positive; give the largest disparity in pixels.")
    # Disparities 0..n-1 are searched, and sub-pixel refinement needs one more on the far side.
    return _STEP_PX * math.ceil((min(wanted, width) + 2) / _STEP_PX)


def semi_global_disparity(
    left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"], config: SgbmConfig, hint_px: float | None
) -> Float[np.ndarray, "h w"]:
    """Disparity of the left image in pixels (Hirschmueller, PAMI 2008); NaN where there is none."""
    width = left.shape[1]
    count = searched_disparities(width, config, hint_px)
    narrow = max(0, config.block_size - width)  # OpenCV wants at least a block beside the search range
    padded = [cv2.copyMakeBorder(image, 0, 0, count, narrow, cv2.BORDER_REPLICATE) for image in (left, right)]
    fixed = _engine(count, config).compute(*padded)[:, count : count + width]
    disparity = fixed.astype(np.float32) / _FIXED_POINT
    usable = fixed >= 0
    if not config.keep_out_of_frame:
        usable &= np.arange(width) - disparity >= -0.5
    return np.where(usable, disparity, np.float32(np.nan))


def _engine(count: int, config: SgbmConfig) -> cv2.StereoSGBM:
    unit = 3 * config.block_size**2
    return cv2.StereoSGBM.create(
        minDisparity=0,
        numDisparities=count,
        blockSize=config.block_size,
        P1=round(config.p1 * unit),
        P2=round(config.p2 * unit),
        disp12MaxDiff=config.own_left_right_px,
        preFilterCap=config.prefilter_cap,
        uniquenessRatio=config.uniqueness_percent,
        speckleWindowSize=config.speckle_window_px,
        speckleRange=config.speckle_range_px,
        mode=_MODES[config.paths],
    )
