"""The measures of a dataset, pooled over its samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.metrics.warp import FACTORS, SHIFTS_PX, minimum_of
from gs_stereo.quality.config import QualityConfig
from gs_stereo.quality.neighbours import conflict_shares, repeats
from gs_stereo.quality.sample import SampleMeasures

_SHARPEST_QUARTER = 25.0
_MOSTLY = 0.5
_BETTER = 0.9
_LISTED_SAMPLES = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class DatasetMeasures:
    """Measures of all samples in their order, and numbers that need several of them.

    width: of the images in pixels. sample_count: samples in the dataset, of which `samples` were measured.
    damaged_shards: shard files that are not those which the dataset's index describes.
    swapped, blurred, blank, repeated: one truth value a sample. reference_edge_px2: squared edge width of the sharpest
    quarter. softer_px2: squared edge width beyond that of the photo of the same view, NaN without one. conflict: share
    of label points that neighbouring views contradict. factor_curve, shift_curve: the median over samples of the warp
    errors relative to their own mean; NaN if no sample could be compared. fitted: there is a capture, which can be
    fitted longer; photos with a generated eye and imported splats have none.
    """

    width: int
    sample_count: int
    samples: tuple[SampleMeasures, ...]
    damaged_shards: tuple[str, ...]
    swapped: Bool[np.ndarray, "n"]
    blurred: Bool[np.ndarray, "n"]
    blank: Bool[np.ndarray, "n"]
    repeated: Bool[np.ndarray, "n"]
    reference_edge_px2: float
    softer_px2: Float[np.ndarray, "n"]
    conflict: Float[np.ndarray, "n"]
    factor_curve: Float[np.ndarray, "f"]
    shift_curve: Float[np.ndarray, "s"]
    fitted: bool = True

    @property
    def longer(self) -> str:
        """Begins what helps: a longer fit, but where no splat was fitted here."""
        return "fit longer or " if self.fitted else ""

    @property
    def warp_factor(self) -> float:
        """Label disparity over the disparity that makes the images look most alike."""
        return 1 / minimum_of(FACTORS, self.factor_curve)

    @property
    def warp_shift_px(self) -> float:
        """Label disparity minus the disparity that makes the images look most alike."""
        return -minimum_of(SHIFTS_PX, self.shift_curve)

    def ids(self, chosen: Bool[np.ndarray, "n"]) -> tuple[str, ...]:
        """The names of the chosen samples, as many as a person reads."""
        return tuple(self.samples[index].sample_id for index in np.flatnonzero(chosen)[:_LISTED_SAMPLES])

    @property
    def consistency(self) -> Float[np.ndarray, "n"]:
        """1 = the label explains the right image and agrees with its neighbours, 0 = nowhere; mean of what is known."""
        alike = 1 - np.array([sample.different_share for sample in self.samples])
        both = np.stack([alike, 1 - self.conflict])
        known = np.isfinite(both)
        return np.where(known, both, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)


def measure_dataset(
    samples: Sequence[SampleMeasures],
    config: QualityConfig,
    *,
    width: int,
    sample_count: int,
    damaged_shards: Sequence[str] = (),
    fitted: bool = True,
) -> DatasetMeasures:
    """Pool the measures of samples.

    Views that stand out are blurred: beside the sharpest quarter (what the scene and the camera allow, also if half of
    the views are blurred), beside their other eye, or beside their own photo. Beside the photo what counts is to be
    softer than the sharpest quarter of the views are: a splat may be a little softer than photos everywhere, which is
    judged for the whole dataset.
    """
    views = [sample.small for sample in samples]
    edges = np.array([[sample.left.edge_width_px2, sample.right.edge_width_px2] for sample in samples])
    wider, finer = edges.max(axis=1), edges.min(axis=1)
    softer = wider - np.array([sample.photo_edge_width_px2 for sample in samples])
    sharpest = _quarter(np.concatenate([wider, finer]))
    stands_out = np.maximum(wider - sharpest, wider - finer) > config.extra_blur_px**2
    contrasts = np.array([min(sample.left.contrast, sample.right.contrast) for sample in samples])
    curves = [sample.warp for sample in samples if sample.warp]
    return DatasetMeasures(
        width=width,
        sample_count=sample_count,
        samples=tuple(samples),
        damaged_shards=tuple(damaged_shards),
        swapped=np.array([_is_swapped(sample) for sample in samples], dtype=bool),
        blurred=stands_out | (softer - _quarter(softer) > config.extra_blur_to_photo_px**2),
        blank=contrasts < config.blank_contrast,
        repeated=repeats(views),
        reference_edge_px2=sharpest,
        softer_px2=softer,
        conflict=conflict_shares(views),
        factor_curve=_pooled([each.by_factor for each in curves], len(FACTORS)),
        shift_curve=_pooled([each.by_shift for each in curves], len(SHIFTS_PX)),
        fitted=fitted,
    )


def _pooled(curves: Sequence[Float[np.ndarray, "k"]], size: int) -> Float[np.ndarray, "k"]:
    known = [curve / curve.mean() for curve in curves if np.isfinite(curve).all() and curve.mean() > 0]
    return np.median(known, axis=0) if known else np.full(size, np.nan)


def _is_swapped(sample: SampleMeasures) -> bool:
    """By the matches; where there are too few, by whether negative disparities explain the right image better."""
    if np.isfinite(sample.to_the_right):
        return sample.to_the_right > _MOSTLY
    return sample.warp is not None and sample.warp.negative < _BETTER * sample.warp.positive


def _quarter(values: Float[np.ndarray, "n"]) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, _SHARPEST_QUARTER)) if known.size else float("nan")
