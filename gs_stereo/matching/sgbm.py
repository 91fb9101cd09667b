"""OpenCV's semi-global block matching behind the matcher protocol, checked in both directions."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2

from gs_stereo.core.cores import cores
from gs_stereo.errors import ConfigError
from gs_stereo.matching.both_sides import OneDirectionMatcher, Pair
from gs_stereo.mvs.sgbm import semi_global_disparity
from gs_stereo.mvs.sgbm_config import SgbmConfig
from gs_stereo.types import DisparityPrediction, Provenance


class SgbmMatcher(OneDirectionMatcher):
    """StereoMatcher by OpenCV's StereoSGBM. Deterministic; changes no global state of OpenCV; safe in threads.

    Confidence is None: block matching costs are no probabilities.
    """

    config: SgbmConfig

    def __init__(self, config: SgbmConfig | None = None) -> None:
        self.config = SgbmConfig() if config is None else config
        if self.config.block_size % 2 == 0 or self.config.p2 <= self.config.p1:
            raise ConfigError("SGBM needs an odd block_size, and p2 above p1; correct experts.sgbm.block_size or .p2.")

    @property
    def provenance(self) -> Provenance:
        return Provenance(
            name="sgbm",
            version=f"opencv-{cv2.__version__}",
            licence="Apache-2.0",
            settings=self.config.model_dump(mode="json"),
        )

    def left_disparities(self, pairs: Sequence[Pair], max_disparity_px: float | None) -> list[DisparityPrediction]:
        with ThreadPoolExecutor(min(2, cores())) as pool:  # OpenCV releases the interpreter lock
            found = pool.map(lambda pair: semi_global_disparity(pair[0], pair[1], self.config, max_disparity_px), pairs)
            return [DisparityPrediction(disparity=disparity) for disparity in found]
