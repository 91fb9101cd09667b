"""How far things moved between the eyes of a pair with a generated one, by matching."""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from gs_stereo.imaging.images import resize_to
from gs_stereo.matching.both_sides import agreeing, predict_both
from gs_stereo.matching.sgbm import SgbmMatcher

_RANGE_SHARE = 0.25
_SAME_PX = 1.0


def parallax(
    left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"], side_px: int
) -> Float32[np.ndarray, "h w"]:
    """Disparity of the left image in px by SGBM; NaN where its two directions disagree.

    side_px: the model works at about side x side pixels. A larger pair is matched at that size: there is no more to see
    in the generated eye.
    """
    height, width = left.shape[:2]
    scale = min(1.0, side_px / (width * height) ** 0.5)
    size = round(width * scale), round(height * scale)
    eyes = [resize_to(eye, *size) for eye in (left, right)]
    found = agreeing(*predict_both(SgbmMatcher(), eyes[0], eyes[1], _RANGE_SHARE * size[0]), _SAME_PX).disparity
    grown = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(grown * np.float32(width / size[0]))
