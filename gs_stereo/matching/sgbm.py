"""OpenCV's semi-global block matching behind the matcher protocol, checked in both directions.

The left images are padded by the search range, so that pixels near the left border are matched too when their match
is in frame. Disparities have OpenCV's resolution of 1/16 px.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from jaxtyping import UInt8

from gs_stereo.errors import ConfigError, InputError
from gs_stereo.matching.both_sides import OneDirectionMatcher, mirrored
from gs_stereo.matching.config import SgbmConfig
from gs_stereo.matching.contracts import check_pair
from gs_stereo.types import DisparityPrediction, Provenance

_STEP_PX = 16
_FIXED_POINT = 16.0
_MODES = {
    "8": cv2.STEREO_SGBM_MODE_HH,
    "5": cv2.STEREO_SGBM_MODE_SGBM,
    "3": cv2.STEREO_SGBM_MODE_SGBM_3WAY,
}


class SgbmMatcher(OneDirectionMatcher):
    """StereoMatcher by OpenCV's StereoSGBM. Deterministic; changes no global state of OpenCV; safe in threads.

    max_disparity_px: the search range when the config leaves it open; a caller that renders knows it from depth.
    Confidence is None: block matching costs are no probabilities.
    """

    config: SgbmConfig

    def __init__(self, config: SgbmConfig | None = None, *, max_disparity_px: float | None = None) -> None:
        self.config = SgbmConfig() if config is None else config
        self.max_disparity_px = max_disparity_px
        if self.config.block_size % 2 == 0 or self.config.p2 <= self.config.p1:
            raise ConfigError("The SGBM block_size must be odd and p2 above p1; correct matching.sgbm.")

    @property
    def provenance(self) -> Provenance:
        return Provenance(
            name="sgbm",
            version=f"opencv-{cv2.__version__}",
            licence="Apache-2.0",
            settings=self.config.model_dump(mode="json"),
        )

    def predict_both(
        self,
        left: UInt8[np.ndarray, "h w 3"],
        right: UInt8[np.ndarray, "h w 3"],
        *,
        max_disparity_px: float | None = None,
    ) -> tuple[DisparityPrediction, DisparityPrediction]:
        """(left, right) disparities without a check, both at once.

        max_disparity_px: range for this pair. Order of precedence: config, this, the constructor's, a share of width.
        """
        with ThreadPoolExecutor(2) as pool:  # OpenCV releases the interpreter lock
            forward = pool.submit(self.one_direction, left, right, max_disparity_px)
            backward = pool.submit(self.one_direction, mirrored(right), mirrored(left), max_disparity_px)
            return forward.result(), DisparityPrediction(disparity=mirrored(backward.result().disparity))

    def search_range_px(self, width: int, hint_px: float | None = None) -> int:
        """Number of disparities searched: a multiple of 16, no more than the width needs."""
        wanted = next(
            (value for value in (self.config.max_disparity_px, hint_px, self.max_disparity_px) if value is not None),
            self.config.max_disparity_share * width,
        )
        if not math.isfinite(wanted) or wanted <= 0:
            raise InputError(f"The disparity range {wanted} px is not positive; give the largest disparity in pixels.")
        # Disparities 0..n-1 are searched, and sub-pixel refinement needs one more on the far side.
        return _STEP_PX * math.ceil((min(wanted, width) + 2) / _STEP_PX)

    def one_direction(self, left: np.ndarray, right: np.ndarray, hint_px: float | None) -> DisparityPrediction:
        check_pair(left, right)
        width = left.shape[1]
        count = self.search_range_px(width, hint_px)
        narrow = max(0, self.config.block_size - width)  # OpenCV wants at least a block beside the search range
        padded = [cv2.copyMakeBorder(image, 0, 0, count, narrow, cv2.BORDER_REPLICATE) for image in (left, right)]
        fixed = self._engine(count).compute(*padded)[:, count : count + width]
        disparity = fixed.astype(np.float32) / _FIXED_POINT
        usable = fixed >= 0
        if not self.config.keep_out_of_frame:
            usable &= np.arange(width) - disparity >= -0.5
        return DisparityPrediction(disparity=np.where(usable, disparity, np.float32(np.nan)))

    def _engine(self, count: int) -> cv2.StereoSGBM:
        config = self.config
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
