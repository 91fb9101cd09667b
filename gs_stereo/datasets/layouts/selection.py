"""Which labels of a sample go into an export, and why the others do not."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from gs_stereo.datasets.layouts.protocol import ExportConfig, Holds
from gs_stereo.datasets.schema import ShardSample

LOW_CONFIDENCE = "low_confidence"
TOO_LARGE = "too_large"


@dataclass(kw_only=True)
class LabelCounts:
    """Running counts of pixels: all, exported labels, and labels left out by reason."""

    pixels: int = 0
    labels: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def selected(
    samples: Iterable[ShardSample], holds: Holds, config: ExportConfig, counts: LabelCounts
) -> Iterator[ShardSample]:
    """The samples with NaN where the label is below the wanted confidence or beyond what the layout can hold."""
    for sample in samples:
        known = np.isfinite(sample.disparity)
        unsure = known & (sample.confidence < config.min_confidence * 255)
        too_large = known & ~unsure & holds.too_large(sample.disparity)
        counts.pixels += known.size
        counts.left_out += Counter({LOW_CONFIDENCE: int(unsure.sum()), TOO_LARGE: int(too_large.sum())})
        disparity = np.where(unsure | too_large, np.float32(np.nan), sample.disparity)
        counts.labels += int(np.isfinite(disparity).sum())
        yield replace(sample, disparity=disparity)
