"""A tiny data set with every awkward label: none, zero, less than any step, and more than 8 and 10 bits of pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gs_stereo.datasets.write import DatasetInfo, ShardSample, write_dataset
from gs_stereo.types import LabelFlag, Provenance

HEIGHT, WIDTH = 12, 20
INFO = DatasetInfo(
    scene="Küche links/left",
    split="train",
    label="sgbm",
    provenance=Provenance(name="sgbm", version="1", licence="Apache-2.0"),
    generator="gs_stereo test",
    metres_per_unit=0.5,
)


def make_sample(number: int, views: bool = True) -> ShardSample:
    """Smooth images, so that JPEG keeps them well; random labels and flags."""
    rng = np.random.default_rng(number)
    disparity = rng.uniform(0.5, 200, (HEIGHT, WIDTH)).astype(np.float32)
    disparity[0, :5] = [np.nan, 0.0, 1e-5, 255.99, 300.0]
    disparity[0, 5:7] = [1023.9, 2000.0]
    flags = rng.choice(np.array([0, LabelFlag.OCCLUDED, LabelFlag.OUT_OF_FRAME, LabelFlag.FROM_SPLAT]), (HEIGHT, WIDTH))
    pose = np.eye(4)
    pose[:3, 3] = rng.normal(size=3)
    images = [_gradient(number + shift) for shift in (0, 3, 6)]
    return ShardSample(
        sample_id=f"Küche-{number}/0.1",
        view_id=f"{number // 2}.jpg",
        left=images[0],
        right=images[1],
        disparity=disparity,
        confidence=rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8),
        flags=flags.astype(np.uint16),
        intrinsics=np.array([[101.25, 0, 10.1], [0, 99.5, 6.3], [0, 0, 1]]),
        baseline=0.1 + number,
        cam_from_world=pose,
        views=np.stack([images[1], images[2]]) if views else None,
        offsets=np.array([0.25, -0.1 - number]) if views else None,
    )


def make_dataset(folder: Path, count: int = 3, *, info: DatasetInfo = INFO, views: bool = True) -> list[ShardSample]:
    """Write the data set and return its samples."""
    samples = [make_sample(number, views) for number in range(count)]
    write_dataset(folder, samples, info, sample_count=count)
    return samples


def _gradient(phase: int) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    channels = [rows * 9 + phase * 5, columns * 7 + phase * 3, rows * 4 + columns * 5 + phase]
    return np.stack(channels, axis=-1).astype(np.uint8)
