"""What every stereo matcher takes and gives."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from gs_stereo.plugins import Registry
from gs_stereo.types import DisparityPrediction, Provenance


@runtime_checkable
class StereoMatcher(Protocol):
    """Predicts the disparity of the left image of a rectified pair.

    Images are sRGB uint8 (H, W, 3) of one size. The answer has that size; NaN where there is no disparity.
    Matchers are deterministic and do not change their inputs.
    """

    @property
    def provenance(self) -> Provenance: ...

    def predict(self, left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"]) -> DisparityPrediction: ...


MATCHERS: Registry[Callable[..., StereoMatcher]] = Registry(
    kind="matcher",
    builtin={
        "sgbm": "gs_stereo.matching.sgbm:SgbmMatcher",
        "lite": "gs_stereo.matching.checkpoint:lite_matcher",
        "onnx": "gs_stereo.matching.onnx:OnnxMatcher",
        "foundationstereo": "gs_stereo.matching.foundation_stereo:FoundationStereoMatcher",
        "checkpoint": "gs_stereo.matching.checkpoint:CheckpointMatcher",
    },
    install_hints={"onnx": "pip install 'gs_stereo[experts]'"},
)
