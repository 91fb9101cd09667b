"""Where a view shows the sky: it has no parallax and no texture, so that nothing finds its depth.

Without a network the sky is what reaches the top of the picture, is smooth, has a colour of the sky (blue, or blown out
to white) and got no label but the farthest. White walls indoors are darker than blown out; a blue one is mistaken, if
nothing on it could be labelled.
"""

import numpy as np
from jaxtyping import Bool, UInt8

from gs_stereo.types import LabelFlag, StereoImages, StereoLabel

CONFIDENCE = 0.8
"""That a pixel of the sky has a disparity under 1 px. Two generated terraces had no wrong pixel among those found, but
that is one sky: too little to promise more."""

_BLUER = 12  # levels that blue lies above red; a neutral wall in daylight stays below
_LEAST_BLUE = 90
_WHITE = 238  # levels of the darkest channel
_SMOOTH_LEVELS, _SMOOTH_PX = 6.0, 7
_FAR_SHARE = 0.05  # of the labels: those may be of the sky too
_LEAST_AREA, _LEAST_TOP = 0.01, 0.1  # of the picture, of its width
_NO_PARALLAX_PX, _MOST_LABELLED = 1.0, 0.1
_GAP_PX = 3


def sky_of(pair: StereoImages, label: StereoLabel) -> Bool[np.ndarray, "h w"]:
    """The left pixels that show the sky."""
    import cv2

    labelled = np.isfinite(label.disparity)
    nearest = np.quantile(label.disparity[labelled], _FAR_SHARE) if labelled.any() else 0.0
    far = ~labelled | (label.disparity <= max(float(nearest), _NO_PARALLAX_PX))
    kernel = np.ones((_GAP_PX, _GAP_PX), np.uint8)
    candidate = cv2.morphologyEx((_looks_like_sky(pair.left) & far).astype(np.uint8), cv2.MORPH_OPEN, kernel)
    height, width = candidate.shape
    count, parts, stats, _ = cv2.connectedComponentsWithStats(candidate, connectivity=4)
    sky = np.zeros(candidate.shape, bool)
    for part in range(1, count):
        inside = parts == part
        wide = inside[0].sum() >= _LEAST_TOP * width
        large = stats[part, cv2.CC_STAT_AREA] >= _LEAST_AREA * height * width
        if wide and large and (label.disparity[inside] > _NO_PARALLAX_PX).mean() <= _MOST_LABELLED:
            sky |= inside
    return sky


def with_sky(label: StereoLabel, sky: Bool[np.ndarray, "h w"], *, zero: bool) -> StereoLabel:
    """The label with the sky flagged: without disparity there, or with disparity 0."""
    if not sky.any():
        return label
    confidence = round(255 * CONFIDENCE) if zero else 0
    return StereoLabel(
        disparity=np.where(sky, np.float32(0.0 if zero else np.nan), label.disparity),
        confidence=np.where(sky, np.uint8(confidence), label.confidence),
        flags=np.where(sky, label.flags | np.uint16(LabelFlag.SKY), label.flags),
    )


def _looks_like_sky(image: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    import cv2

    red, green, blue = (image[..., channel].astype(np.int16) for channel in range(3))
    is_blue = (blue - red >= _BLUER) & (blue >= green) & (blue >= _LEAST_BLUE)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    size = (_SMOOTH_PX, _SMOOTH_PX)
    spread = cv2.blur(gray * gray, size) - cv2.blur(gray, size) ** 2
    return np.asarray((is_blue | (image.min(axis=-1) >= _WHITE)) & (spread < _SMOOTH_LEVELS**2))
