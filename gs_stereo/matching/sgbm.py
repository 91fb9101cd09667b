"""OpenCV's semi-global block matching behind the matcher protocol, checked in both directions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from jaxtyping import UInt8

from gs_stereo.errors import ConfigError
from gs_stereo.matching.both_sides import OneDirectionMatcher, mirrored
from gs_stereo.matching.contracts import check_pair
from gs_stereo.mvs.sgbm import semi_global_disparity
from gs_stereo.mvs.sgbm_config import SgbmConfig
from gs_stereo.types import DisparityPrediction, Provenance


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

    def one_direction(self, left: np.ndarray, right: np.ndarray, hint_px: float | None) -> DisparityPrediction:
        check_pair(left, right)
        hint = self.max_disparity_px if hint_px is None else hint_px
        return DisparityPrediction(disparity=semi_global_disparity(left, right, self.config, hint))
