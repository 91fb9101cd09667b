"""Feature matches between the two eyes of a pair: what the images themselves say about rows and disparity.

SIFT (Lowe 2004) with the ratio test, matched both ways. The label is not looked at.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8

_MAX_FEATURES = 2000
_CONTRAST = 0.02
_RATIO = 0.8
_MAX_EDGE_PX = 1280
_MAX_ROW_OFFSET = 0.04
_LEAST_ROW_OFFSET_PX = 6.0


@dataclass(frozen=True, kw_only=True, eq=False)
class PairMatches:
    """Matched points of the left and the right image, in pixels of the stored resolution (image plane)."""

    left_xy: Float[np.ndarray, "n 2"]
    right_xy: Float[np.ndarray, "n 2"]

    def __len__(self) -> int:
        return len(self.left_xy)

    @property
    def row_offset_px(self) -> Float[np.ndarray, "n"]:
        """How much lower a point lies in the right image; 0 in a rectified pair."""
        return self.right_xy[:, 1] - self.left_xy[:, 1]

    @property
    def disparity_px(self) -> Float[np.ndarray, "n"]:
        """x_left - x_right."""
        return self.left_xy[:, 0] - self.right_xy[:, 0]


def match_features(left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"]) -> PairMatches:
    """Match the eyes of a pair. Matches far off the row (4 % of the height) are chance and are left out."""
    height, width = left.shape[:2]
    left_xy, left_descriptors = _features(left)
    right_xy, right_descriptors = _features(right)
    if len(left_xy) < 2 or len(right_xy) < 2:
        return PairMatches(left_xy=np.zeros((0, 2)), right_xy=np.zeros((0, 2)))
    index = _mutual_matches(left_descriptors, right_descriptors)
    left_xy, right_xy = left_xy[index[:, 0]], right_xy[index[:, 1]]
    limit = max(_LEAST_ROW_OFFSET_PX, _MAX_ROW_OFFSET * height)
    near = (np.abs(right_xy[:, 1] - left_xy[:, 1]) <= limit) & (np.abs(right_xy[:, 0] - left_xy[:, 0]) <= width / 2)
    return PairMatches(left_xy=left_xy[near], right_xy=right_xy[near])


def _mutual_matches(left: Float[np.ndarray, "n 128"], right: Float[np.ndarray, "m 128"]) -> Int64[np.ndarray, "k 2"]:
    """Rows of the left and the right descriptors that are nearest to each other, and clearly nearer than the next."""
    squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)
    distances = squares - 2 * left @ right.T  # whole numbers below 2^24, so exact
    best = distances.argmin(axis=1)
    two_least = np.partition(distances, 1, axis=1)[:, :2]
    clear = two_least[:, 0] < _RATIO**2 * two_least[:, 1]
    mutual = distances.argmin(axis=0)[best] == np.arange(len(left))
    chosen = np.flatnonzero(clear & mutual)
    return np.stack([chosen, best[chosen]], axis=1)


def _features(image: UInt8[np.ndarray, "h w 3"]) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 128"]]:
    """Points in the image plane, and descriptors. Large images are halved until they are of a sensible size."""
    import cv2

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = 1
    while max(gray.shape) > _MAX_EDGE_PX:
        # Whole pixels: the last odd row or column is left out, so that the scale is exactly 2.
        gray = cv2.resize(gray[: gray.shape[0] // 2 * 2, : gray.shape[1] // 2 * 2], None, fx=0.5, fy=0.5)
        scale *= 2
    detector = cv2.SIFT.create(nfeatures=_MAX_FEATURES, contrastThreshold=_CONTRAST)
    points, descriptors = detector.detectAndCompute(gray, None)
    if descriptors is None:
        return np.zeros((0, 2)), np.zeros((0, 128), np.float32)
    # OpenCV's pixel centres are whole numbers, ours are at + 0.5.
    xy = (np.array([point.pt for point in points], dtype=np.float64) + 0.5) * scale
    return xy, descriptors
