"""The measures of a dataset, pooled over its samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from gs_stereo.quality.config import QualityConfig
from gs_stereo.quality.neighbours import conflict_shares, repeats
from gs_stereo.quality.sample import SampleMeasures
from gs_stereo.quality.sharpness import extra_blur_px
from gs_stereo.quality.warp import FACTORS, SHIFTS_PX, minimum_of

_SHARPEST_QUARTER = 25.0
_MOSTLY = 0.5
_BETTER = 0.9


@dataclass(frozen=True, kw_only=True, eq=False)
class DatasetMeasures:
    """Measures of all samples in their order, and numbers that need several of them.

    width: of the images in pixels. sample_count: samples in the dataset, of which `samples` were measured.
    damaged_shards: shard files that are not those which the dataset's index describes.
    swapped, blurred, blank, repeated: one truth value a sample. reference_edge_px2: squared edge width of the sharpest
    quarter. conflict: share of label points that neighbouring views contradict. factor_curve, shift_curve: the
    median over samples of the warp errors relative to their own mean; NaN if no sample could be compared.
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
    conflict: Float[np.ndarray, "n"]
    factor_curve: Float[np.ndarray, "f"]
    shift_curve: Float[np.ndarray, "s"]

    @property
    def warp_factor(self) -> float:
        """Label disparity over the disparity that makes the images look most alike."""
        return 1 / minimum_of(FACTORS, self.factor_curve)

    @property
    def warp_shift_px(self) -> float:
        """Label disparity minus the disparity that makes the images look most alike."""
        return -minimum_of(SHIFTS_PX, self.shift_curve)

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
) -> DatasetMeasures:
    """Pool the measures of samples."""
    views = [sample.small for sample in samples]
    reference = _reference_edges(samples)
    return DatasetMeasures(
        width=width,
        sample_count=sample_count,
        samples=tuple(samples),
        damaged_shards=tuple(damaged_shards),
        swapped=np.array([_is_swapped(sample) for sample in samples], dtype=bool),
        blurred=np.array([_is_blurred(sample, reference, config) for sample in samples], dtype=bool),
        blank=np.array([_is_blank(sample, config) for sample in samples], dtype=bool),
        repeated=repeats(views),
        reference_edge_px2=reference,
        conflict=conflict_shares(views),
        factor_curve=_pooled([sample.warp.by_factor for sample in samples if sample.warp], len(FACTORS)),
        shift_curve=_pooled([sample.warp.by_shift for sample in samples if sample.warp], len(SHIFTS_PX)),
    )


def _pooled(curves: Sequence[Float[np.ndarray, "k"]], size: int) -> Float[np.ndarray, "k"]:
    known = [curve / curve.mean() for curve in curves if np.isfinite(curve).all() and curve.mean() > 0]
    return np.median(known, axis=0) if known else np.full(size, np.nan)


def _is_swapped(sample: SampleMeasures) -> bool:
    """By the matches; where there are too few, by whether negative disparities explain the right image better."""
    if np.isfinite(sample.to_the_right):
        return sample.to_the_right > _MOSTLY
    return sample.warp is not None and sample.warp.negative < _BETTER * sample.warp.positive


def _is_blank(sample: SampleMeasures, config: QualityConfig) -> bool:
    return min(sample.left.contrast, sample.right.contrast) < config.blank_contrast


def _reference_edges(samples: Sequence[SampleMeasures]) -> float:
    """Edges of the sharpest quarter of the images: what the scene and the camera allow, also if half are blurred."""
    widths = np.array([[sample.left.edge_width_px2, sample.right.edge_width_px2] for sample in samples])
    return float(np.nanpercentile(widths, _SHARPEST_QUARTER)) if np.isfinite(widths).any() else float("nan")


def _is_blurred(sample: SampleMeasures, reference_px2: float, config: QualityConfig) -> bool:
    """One eye is blurrier than the reference, its photo, or the other eye."""
    widths = np.array([sample.left.edge_width_px2, sample.right.edge_width_px2])
    if not np.isfinite(widths).all():
        return False
    beside_others = extra_blur_px(float(widths.max()), float(np.fmin(reference_px2, widths.min())))
    beside_photo = extra_blur_px(float(widths.max()), sample.photo_edge_width_px2)
    return beside_others > config.extra_blur_px or beside_photo > config.extra_blur_to_photo_px
