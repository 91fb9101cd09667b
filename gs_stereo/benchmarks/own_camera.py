"""What a user's stereo camera does to its images, measured on rectified pairs of it: what a rig twin needs to know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from gs_stereo.datasets.layouts.folder import UnlabelledPair
from gs_stereo.errors import InputError
from gs_stereo.imaging.noise import noise_of
from gs_stereo.imaging.sensor_config import SensorConfig
from gs_stereo.imaging.sharpness import edge_width_px2, fine_detail
from gs_stereo.matching.both_sides import agreeing, predict_both
from gs_stereo.matching.sgbm import SgbmMatcher
from gs_stereo.metrics.warp import ComparedPair, best_row_offset_px

_GAMMA = 2.2
_AGREE_PX = 1.0
_PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
_SHOWN = (16, 240)


@dataclass(frozen=True, kw_only=True)
class CameraFacts:
    """Measured on all pairs. width, height: px.

    sensor: settings that make clean pairs look like these. disparity_px: the 5th, 25th, 50th, 75th and 95th percentile
    of what SGBM finds in both directions; NaN without any. fine_detail: of the left images (`sharpness.fine_detail`).
    """

    pairs: int
    width: int
    height: int
    sensor: SensorConfig
    disparity_px: tuple[float, ...]
    fine_detail: float


def camera_of(pairs: Sequence[UnlabelledPair], advance: Callable[[], None] = lambda: None) -> CameraFacts:
    """Measure blur, noise, exposure, row offset and disparities. InputError for broken pairs or several sizes.

    Residue of rectification: the largest row offset that any pair shows. A difference of exposure: the largest, too.
    """
    images: list[UInt8[np.ndarray, "h w 3"]] = []
    offsets, gains, disparities = [], [], []
    for pair in pairs:
        left, right = pair.read()
        if images and left.shape != images[0].shape:
            raise InputError(f"The pair {pair.name} has another size than {pairs[0].name}; give pairs of one camera.")
        images += [left, right]
        disparity = agreeing(*predict_both(SgbmMatcher(), left, right, None), _AGREE_PX).disparity
        known = np.isfinite(disparity)
        disparities.append(disparity[known])
        compared = ComparedPair(left=left, right=right, disparity=disparity, comparable=known)
        offsets.append(abs(best_row_offset_px(compared)))
        gains.append(abs(_gain(left, right, disparity) - 1))
        advance()
    noise, found = noise_of(images), np.concatenate(disparities)
    edges = [width for image in images if np.isfinite(width := edge_width_px2(image))]
    sensor = SensorConfig(
        grey=all((image == image[..., :1]).all() for image in images),
        edge_px2=round(float(np.median(edges)), 3) if edges else None,
        read_noise=_rounded(noise.read),
        shot_noise=_rounded(noise.shot),
        exposure_range=min(_rounded(_largest(gains)), 0.99),
        row_offset_px=_rounded(_largest(offsets)),
    )
    return CameraFacts(
        pairs=len(pairs),
        width=images[0].shape[1],
        height=images[0].shape[0],
        sensor=sensor,
        disparity_px=tuple(np.percentile(found, _PERCENTILES).tolist()) if found.size else (float("nan"),) * 5,
        fine_detail=float(np.mean([fine_detail(image) for image in images[::2]])),
    )


def _gain(left: UInt8[np.ndarray, "h w 3"], right: UInt8[np.ndarray, "h w 3"], disparity: np.ndarray) -> float:
    """Linear brightness of the right eye over the left one, of matched pixels that are neither dark nor white."""
    rows, columns = np.nonzero(np.isfinite(disparity))
    there = np.clip(np.rint(columns - disparity[rows, columns]), 0, left.shape[1] - 1).astype(int)
    here, other = (image[..., 1].astype(np.float64)[rows, x] for image, x in ((left, columns), (right, there)))
    usable = (np.minimum(here, other) >= _SHOWN[0]) & (np.maximum(here, other) <= _SHOWN[1])
    return float(np.median(other[usable] / here[usable]) ** _GAMMA) if usable.any() else float("nan")


def _largest(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return max(known, default=0.0)


def _rounded(value: float) -> float:
    return round(float(np.nan_to_num(value)), 3)
