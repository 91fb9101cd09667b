"""Ways to spoil a good dataset, each with the check that must name it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from gs_stereo.datasets.schema import ShardSample

Samples = Sequence[ShardSample]


def rows_shifted(samples: Samples, rows: int = 2) -> Samples:
    return [replace(sample, right=np.roll(sample.right, rows, axis=0)) for sample in samples]


def disparity_scaled(samples: Samples, factor: float = 1.1) -> Samples:
    return [replace(sample, disparity=(sample.disparity * factor).astype(np.float32)) for sample in samples]


def disparity_shifted(samples: Samples, shift_px: float = 2.0) -> Samples:
    return [replace(sample, disparity=(sample.disparity + shift_px).astype(np.float32)) for sample in samples]


def half_blurred(samples: Samples, sigma_px: float = 1.5) -> Samples:
    def blurred(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (0, 0), sigma_px)

    return [
        replace(sample, left=blurred(sample.left), right=blurred(sample.right)) if number % 2 else sample
        for number, sample in enumerate(samples)
    ]


def right_eye_blurred(samples: Samples) -> Samples:
    return [replace(sample, right=cv2.GaussianBlur(sample.right, (0, 0), 1.5)) for sample in samples]


def eyes_swapped(samples: Samples) -> Samples:
    return [replace(sample, left=sample.right, right=sample.left) for sample in samples]


def some_blank(samples: Samples) -> Samples:
    black = np.zeros_like(samples[0].left)
    return [replace(samples[0], left=black, right=black), *samples[1:]]


def duplicated(samples: Samples) -> Samples:
    return [
        sample
        for number, original in enumerate(samples)
        for sample in (original, replace(original, sample_id=f"copy{number}", view_id=f"copy{number}"))
    ]


def labels_missing(samples: Samples) -> Samples:
    def thinned(disparity: np.ndarray) -> np.ndarray:
        kept = np.full_like(disparity, np.nan)
        kept[::10] = disparity[::10]
        return kept

    return [replace(sample, disparity=thinned(sample.disparity)) for sample in samples]


SPOILS: dict[str, Callable[[Samples], Samples]] = {
    "row_alignment": rows_shifted,
    "disparity_scale": disparity_scaled,
    "disparity_shift": disparity_shifted,
    "blurred_views": half_blurred,
    "swapped_eyes": eyes_swapped,
    "blank_views": some_blank,
    "duplicate_views": duplicated,
    "coverage": labels_missing,
}
